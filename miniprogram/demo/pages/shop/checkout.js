const { checkout, product } = require('../../config.js')

/**
 * What wx.requestPayment takes, for one order. A shop's backend asks WeChat Pay for it; without one (in the devtools,
 * where payments are mocks anyway) the fields are made up.
 */
module.exports = function placeOrder(orderId) {
  if (!checkout) {
    return Promise.resolve({
      timeStamp: String(Math.floor(Date.now() / 1000)),
      nonceStr: Math.random().toString(36).slice(2),
      package: 'prepay_id=wx' + Date.now() + Math.random().toString(16).slice(2, 12),
      signType: 'MD5',
      paySign: 'made by your backend'
    })
  }
  const amount = Math.round(Number(product.price) * 100)
  return new Promise((resolve, reject) =>
    wx.request({
      url: checkout,
      method: 'POST',
      data: { orderId, amount, description: product.name },
      success: ({ statusCode, data }) =>
        statusCode === 200 ? resolve(data) : reject({ errMsg: `下单失败：${statusCode}` }),
      fail: reject
    })
  )
}
