import { captureSubmit, requestPayment, requestSubscribe } from 'hongyan-miniprogram'
import { backend, templateIds } from '../../config'

/** What your backend answers: its own number, and what WeChat's payment needs. */
type Order = { orderId: string; payment: WechatMiniprogram.RequestPaymentOption }

Page({
  data: { said: '' },

  onCoupon() {
    this.setData({ said: '券已到账' })
  },

  // A form of one's own: hand the event on, then go about your business
  onNote(event: WechatMiniprogram.FormSubmit) {
    captureSubmit(event)
    this.setData({ said: `收到：${event.detail.value.note}` })
  },

  onPay() {
    wx.request<Order>({
      url: `${backend}/orders`,
      method: 'POST',
      success: ({ data: { orderId, payment } }) => {
        requestPayment({
          ...payment,
          orderId,
          place: 'home.pay',
          success: () => this.setData({ said: '已支付' }),
          fail: ({ errMsg }: WechatMiniprogram.GeneralCallbackResult) => this.setData({ said: errMsg })
        })
      },
      fail: () => this.setData({ said: '下单失败' })
    })
  },

  // First thing in the tap: phones refuse the request once anything was awaited
  async onNotify() {
    const { accepted } = await requestSubscribe(templateIds, 'home.notify')
    this.setData({ said: accepted.length > 0 ? '发货时通知您' : '好的，不打扰您' })
  }
})
