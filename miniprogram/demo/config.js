// What the shop sells and whom it talks to. An ext.json, or the sandbox's phone page, may say otherwise (WeChat's ext
// config). In the devtools, switch off the check of request domains to reach a server on your own machine.
const standard = {
  // the Hongyan server this shop hands its catches to
  server: 'http://127.0.0.1:8080',
  product: { name: '鸿雁牌信笺', detail: '竹纸 · 五十张', price: '19.90' },
  // one-time subscription templates of your account; empty: those the server names for the scene "order"
  templateIds: [],
  // where the shop's own backend places an order at WeChat Pay; empty: no payment is real, its fields are made up
  checkout: ''
}
module.exports = Object.assign(standard, wx.getExtConfigSync ? wx.getExtConfigSync() : {})
