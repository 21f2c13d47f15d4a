// The Hongyan server this shop hands its catches to, and what it sells. In the devtools, switch off the check of
// request domains to reach a server on your own machine.
module.exports = {
  server: 'http://127.0.0.1:8080',
  product: { name: '鸿雁牌信笺', price: '19.90' },
  // one-time subscription templates of your account; empty: those the server names for the scene "order"
  templateIds: []
}
