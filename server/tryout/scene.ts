import type { CampaignCreate } from '../../shared/campaign.js'
import { DAY_MS } from '../../shared/limits.js'

/** The sandbox's own apps, with templates they start with (server/sandbox/README.md). */
export const SHOP = {
  kind: 'miniprogram',
  appId: 'wx5b1a2c3d4e5f6001',
  secret: '6001a1b2c3d4e5f60718293a4b5c6d7e',
  name: '晨读书店'
} as const
export const SERVICE = {
  kind: 'service',
  appId: 'wx5b1a2c3d4e5f6003',
  secret: '6003a1b2c3d4e5f60718293a4b5c6d7e',
  name: '晨读书店服务号'
} as const
const fixedId = (head: string) => head.padEnd(43, '0')
export const SUBSCRIBE = fixedId('SandboxSubscribePickup_')
const SHIPPED = fixedId('SandboxLegacyShipped_')
const SERVICE_SHIPPED = fixedId('SandboxServiceShipped_')

/** One campaign that runs at once, one that answers orders, one for next week, and a draft of A without B. */
export function campaignsOf({
  now,
  shopId,
  serviceId,
  everybody,
  members
}: {
  now: Date
  shopId: string
  serviceId: string
  everybody: string
  members: string
}): (CampaignCreate & { activate: boolean })[] {
  const base = { missingVariable: 'default', waitForCredential: false } as const
  return [
    {
      ...base,
      name: '订单发货提醒',
      accountId: shopId,
      audienceId: everybody,
      templateId: SHIPPED,
      lane: 'bulk',
      trigger: { kind: 'once', at: now, zone: 'Asia/Shanghai' },
      missed: { lateWithinMs: 600_000 },
      content: {
        keyword1: 'D20261101',
        keyword2: '飞雁速运',
        keyword3: 'FY7310025518',
        keyword4: '2026年11月1日 16:40'
      },
      open: { page: 'pages/order' },
      activate: true
    },
    {
      ...base,
      name: '到店取件提醒',
      accountId: shopId,
      templateId: SUBSCRIBE,
      lane: 'transactional',
      trigger: { kind: 'event', event: 'order_shipped', reentry: 'each' },
      content: {
        thing1: '{{ event.place | default: "东门柜机" }}',
        character_string2: '{{ event.code }}',
        time3: '{{ event.until }}'
      },
      open: { page: 'pages/order?id={{ event.orderId }}' },
      activate: true
    },
    {
      ...base,
      name: '每周新书到店',
      accountId: serviceId,
      audienceId: members,
      templateId: SERVICE_SHIPPED,
      lane: 'bulk',
      trigger: {
        kind: 'recurring',
        from: new Date(now.getTime() + DAY_MS),
        zone: 'Asia/Shanghai',
        every: 'week',
        days: [1],
        times: ['10:00']
      },
      content: { character_string1: 'D20261101', thing2: '晨读手账本', time3: '2026年11月1日 16:40' },
      open: { miniprogram: { appId: SHOP.appId, page: 'pages/new' } },
      activate: true
    },
    {
      ...base,
      name: '待付款提醒',
      accountId: shopId,
      templateId: SHIPPED,
      lane: 'transactional',
      trigger: {
        kind: 'notFollowed',
        event: 'order_placed',
        missing: 'order_paid',
        withinMs: 1_800_000,
        key: 'orderId',
        reentry: 'each'
      },
      content: {
        keyword1: '{{ event.orderId }}',
        keyword2: '{{ event.productName | default: "您的商品" }}',
        keyword3: '{{ event.amount }}',
        keyword4: '30 分钟内'
      },
      open: { page: 'pages/order?id={{ event.orderId }}' },
      activate: false
    }
  ]
}
