import type { Client } from './client.js'
import type { DemoAccount } from './ledgers.js'
import type { CaughtRight } from './verify.js'

const DAY_MS = 86_400_000
const ORDERS = 10
const PAID = 8
const CONFIRMED_EARLY = 3

/**
 * A shop's own backend hands in rights it holds itself: payments that are still pending, confirmed later (some before
 * they were handed in, two never), the same batch twice, and values of all the kinds that are worth nothing.
 * @returns the rights that must be kept now
 */
export async function backendHandsIn({
  api,
  sandbox,
  account,
  openids
}: {
  api: Client
  sandbox: Client
  account: DemoAccount
  /** At least ten people of the account. */
  openids: readonly string[]
}): Promise<CaughtRight[]> {
  const appid = account.appId
  const accountId = account.id
  const buyers = openids.slice(0, ORDERS)
  type Order = { prepayId: string; orderId: string }
  const placed = buyers.map((openid) => ({ appid, openid }))
  const orders = await sandbox.post<Order[]>('/sandbox/orders', placed)
  const pending = orders.map(({ prepayId, orderId }, i) => {
    const what = { id: `pending-${i}`, openId: buyers[i]!, source: 'payment', value: prepayId }
    return { ...what, result: 'pending', orderId, caughtAt: new Date().toISOString() }
  })
  const confirm = async ({ orderId }: Order) => {
    await api.post('/v1/credentials/confirm', { accountId, orderId, paidAt: new Date().toISOString() })
  }

  await sandbox.post(
    '/sandbox/orders/pay',
    orders.slice(0, PAID).map(({ prepayId }) => ({ prepayId }))
  )
  for (const order of orders.slice(0, CONFIRMED_EARLY)) await confirm(order)
  for (let twice = 0; twice < 2; twice++) await api.post('/v1/credentials', { accountId, items: pending })
  for (const order of orders.slice(CONFIRMED_EARLY, PAID)) await confirm(order)
  await api.post('/v1/credentials', { accountId, items: worthless(buyers[0]!) })

  return orders.map(({ prepayId }, i) => ({ kind: 'prepayId', id: prepayId, appid, openid: buyers[i]! }))
}

/** One of each thing the server must refuse. */
function worthless(openId: string) {
  const form = (id: string, value: string, caughtAt = new Date()) => ({
    id,
    openId,
    source: 'form',
    value,
    caughtAt: caughtAt.toISOString()
  })
  const grant = (id: string, templateId: string, result: string) => ({
    id,
    openId,
    source: 'grant',
    templateId,
    result
  })
  return [
    form('old', 'f00dfeed'.repeat(4), new Date(Date.now() - 8 * DAY_MS)),
    form('retired', 'requestFormId:fail deprecated'),
    form('failed', 'requestFormId:fail timeout'),
    form('mock', 'the formId is a mock one'),
    form('blank', ' '),
    grant('refused', 'SandboxSubscribePickup_'.padEnd(43, '0'), 'reject'),
    grant('stranger', 'NoSuchTemplate_'.padEnd(43, '0'), 'accept')
  ]
}
