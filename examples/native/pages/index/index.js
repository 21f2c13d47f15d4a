const hongyan = require('hongyan-miniprogram')
const { backend, templateIds } = require('../../config.js')

Page({
  data: { said: '' },

  onCoupon() {
    this.setData({ said: '券已到账' })
  },

  // A form of one's own: hand the event on, then go about your business
  onNote(event) {
    hongyan.captureSubmit(event)
    this.setData({ said: '收到：' + event.detail.value.note })
  },

  onPay() {
    const success = ({ data }) => {
      const { orderId, payment } = data
      const done = {
        success: () => this.setData({ said: '已支付' }),
        fail: ({ errMsg }) => this.setData({ said: errMsg })
      }
      hongyan.requestPayment(Object.assign({ orderId, place: 'home.pay' }, payment, done))
    }
    wx.request({ url: backend + '/orders', method: 'POST', success, fail: () => this.setData({ said: '下单失败' }) })
  },

  // First thing in the tap: phones refuse the request once anything was awaited
  onNotify() {
    hongyan.requestSubscribe(templateIds, 'home.notify').then(({ accepted }) => {
      this.setData({ said: accepted.length ? '发货时通知您' : '好的，不打扰您' })
    })
  }
})
