const hongyan = require('hongyan-miniprogram')
const { product, templateIds } = require('../../config.js')
const placeOrder = require('./checkout.js')

Page({
  data: { product, templateIds, orderId: '', paid: false, subscribed: '', queued: 0, handedIn: 0 },

  onShow() {
    this.count()
    clearInterval(this.counting)
    this.counting = setInterval(() => this.count(), 1000)
  },

  onHide() {
    clearInterval(this.counting)
  },

  onOrder() {
    const orderId = 'D' + Date.now()
    hongyan.track('order_placed', { orderId, productName: product.name, amount: Number(product.price) })
    this.setData({ orderId, paid: false })
    this.count()
  },

  onPay() {
    const { orderId } = this.data
    const fail = ({ errMsg }) => wx.showToast({ title: /cancel/.test(errMsg) ? '已取消支付' : errMsg, icon: 'none' })
    placeOrder(orderId).then((payment) => {
      const success = () => {
        hongyan.track('order_paid', { orderId, amount: Number(product.price) })
        this.setData({ paid: true })
      }
      const complete = () => this.count()
      hongyan.requestPayment(Object.assign({ orderId, place: 'shop.pay', success, fail, complete }, payment))
    }, fail)
  },

  onSubscribed({ detail }) {
    const { accepted, results, errMsg } = detail
    const refused = Object.keys(results).some((id) => results[id] === 'reject')
    this.setData({ subscribed: accepted.length ? '好的，发货时告诉您' : refused ? '好的，不打扰您' : errMsg })
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
    if (queued !== this.data.queued || handedIn !== this.data.handedIn) this.setData({ queued, handedIn })
  }
})
