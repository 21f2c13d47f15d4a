/** Your Hongyan server. */
export const server = 'https://hongyan.example.com'
/** Your own backend, which asks WeChat for the prepay_id. */
export const backend = 'https://shop.example.com'
/** One-time subscription templates of your mini-program. */
export const templateIds = ['TEMPLATE_ID_OF_YOURS']
