const hongyan = require('hongyan-miniprogram')
const { product, templateIds } = require('../../config.js')

Page({
  data: { product, templateIds, orderId: '', paid: false, subscribed: '', queued: 0, handedIn: 0 },

  onShow() {
    this.count()
  },

  onOrder() {
    const orderId = 'D' + Date.now()
    hongyan.track('order_placed', { orderId, productName: product.name, amount: Number(product.price) })
    this.setData({ orderId, paid: false })
    this.count()
  },

  // In a shop these fields come from its backend, which asked WeChat Pay for the prepay_id
  onPay() {
    const { orderId } = this.data
    hongyan.requestPayment({
      orderId,
      place: 'shop.pay',
      timeStamp: String(Math.floor(Date.now() / 1000)),
      nonceStr: Math.random().toString(36).slice(2),
      package: 'prepay_id=wx' + Date.now() + Math.random().toString(16).slice(2, 12),
      signType: 'MD5',
      paySign: 'made by your backend',
      success: () => {
        hongyan.track('order_paid', { orderId, amount: Number(product.price) })
        this.setData({ paid: true })
      },
      fail: (res) => wx.showToast({ title: res.errMsg, icon: 'none' }),
      complete: () => this.count()
    })
  },

  onSubscribed({ detail }) {
    const { accepted, errMsg } = detail
    this.setData({ subscribed: accepted.length ? '好的，发货时告诉您' : errMsg })
    this.count()
  },

  onNote(event) {
    hongyan.captureSubmit(event)
    wx.showToast({ title: '收到：' + (event.detail.value.note || ''), icon: 'none' })
    this.count()
  },

  onPreferences({ detail }) {
    wx.showToast({ title: detail.optedOut ? '不再打扰' : '消息已打开', icon: 'none' })
  },

  count() {
    const { queued, acknowledged } = hongyan.status()
    const handedIn = Object.keys(acknowledged).reduce((sum, verdict) => sum + acknowledged[verdict], 0)
    this.setData({ queued, handedIn })
  }
})
