import type { Controls } from '../sandbox/controls.js'

/** One of the invented people: who they are to the two accounts, what they did, and what may be sent to them for it. */
export type Visitor = {
  shop: string
  follows: string | null
  unionId: string | null
  formId: string | null
  order: { prepayId: string; orderId: string } | null
  granted: boolean
  attributes: { city: string; level: string; orders: number }
}

const PEOPLE = 400
const FOLLOWERS = 160
const CITIES = ['上海', '北京', '杭州', '成都', '广州']
const LEVELS = ['普通', '银卡', '金卡']

/**
 * Fills a fresh sandbox with people. A sandbox of the same seed comes out the same, so that after a restart the ids we
 * know mean the same people as before.
 */
export function stock(controls: Controls, shop: string, service: string, subscribeTemplate: string): Visitor[] {
  const both = controls.addUsers({ count: FOLLOWERS, appids: [shop, service], followers: [service] })
  const others = controls.addUsers({ count: PEOPLE - FOLLOWERS, appids: [shop], followers: [] })
  return [...both, ...others].map(({ openids, unionid }, index) => {
    const openid = openids[shop]!
    const visitor: Visitor = {
      shop: openid,
      follows: openids[service] ?? null,
      unionId: unionid,
      formId: null,
      order: null,
      granted: false,
      attributes: {
        city: CITIES[index % CITIES.length]!,
        level: LEVELS[index % 7 === 0 ? 2 : index % 3 === 0 ? 1 : 0]!,
        orders: index % 6
      }
    }
    if (index % 5 !== 4)
      visitor.formId = controls.mintFormIds({ appid: shop, openid, count: 1, build: 'release' }).formIds[0]!
    if (index % 4 === 0) {
      const { prepayId, orderId } = controls.order({ appid: shop, openid, paid: true })
      visitor.order = { prepayId, orderId }
    }
    if (index % 3 !== 0) {
      controls.grant({ appid: shop, openid, templateId: subscribeTemplate, result: 'accept', count: 1, push: false })
      visitor.granted = true
    }
    return visitor
  })
}
