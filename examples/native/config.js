module.exports = {
  // Your Hongyan server
  server: 'https://hongyan.example.com',
  // Your own backend, which asks WeChat for the prepay_id
  backend: 'https://shop.example.com',
  // One-time subscription templates of your mini-program
  templateIds: ['TEMPLATE_ID_OF_YOURS']
}
