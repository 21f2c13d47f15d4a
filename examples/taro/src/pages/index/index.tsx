import { useState } from 'react'
import Taro from '@tarojs/taro'
import { Button, Form, Input, View } from '@tarojs/components'
import { captureSubmit, requestPayment, requestSubscribe } from 'hongyan-miniprogram'
import { backend, templateIds } from '../../config'

/** What your backend answers: its own number, and what WeChat's payment needs. */
type Order = { orderId: string; payment: Taro.requestPayment.Option }

export default function Index() {
  const [said, say] = useState('')

  async function pay() {
    try {
      const { data } = await Taro.request<Order>({ url: `${backend}/orders`, method: 'POST' })
      await requestPayment({ ...data.payment, orderId: data.orderId, place: 'home.pay' })
      say('已支付')
    } catch {
      say('没有支付')
    }
  }
  // First thing in the tap: phones refuse the request once anything was awaited
  async function notify() {
    const { accepted } = await requestSubscribe(templateIds, 'home.notify')
    say(accepted.length > 0 ? '发货时通知您' : '好的，不打扰您')
  }

  return (
    <View>
      <hongyan-form place="home.coupon" onSubmit={() => say('券已到账')}>
        <View>领券</View>
      </hongyan-form>
      <Form
        reportSubmit
        onSubmit={(event) => {
          captureSubmit(event, 'home.note')
          say(`收到：${event.detail.value?.note}`)
        }}
      >
        <Input name="note" placeholder="给店家留言" />
        <Button formType="submit">发送</Button>
      </Form>
      <Button onClick={pay}>支付</Button>
      <Button onClick={notify}>发货时通知我</Button>
      <View>{said}</View>
    </View>
  )
}
