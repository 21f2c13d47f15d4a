import type { Test } from 'tap'
import { SAYS } from '../journeys/fields-stories.js'
import { buildWorld, PICKUP, type Body } from '../journeys/fields-world.js'

export type Things = Awaited<ReturnType<typeof buildThings>>

/** An account with one of everything, beside another account that has nothing to do with it. */
export async function buildThings(t: Test) {
  const w = await buildWorld(t)
  const { shop: mine, clinic: other } = w.accounts
  const owner = await w.login()
  const ask = (method: 'POST' | 'PATCH', url: string, body?: Body): Promise<any> => w.ask(method, url, body, owner)

  const who = await w.somebody({ grants: 2, forms: 1, attributes: { city: '杭州' } })
  const { id: audienceId } = await ask('POST', '/v1/audiences', { name: '一位', personIds: [who.id] })
  const trigger = { kind: 'once', at: w.instant(60_000) }
  const campaign = { name: '到货', accountId: mine, templateId: PICKUP, audienceId, trigger, content: SAYS }
  const { id: campaignId } = await ask('POST', '/v1/campaigns', campaign)
  await ask('POST', `/v1/campaigns/${campaignId}/activate`)
  await w.later(120_000)
  await w.does(who, 'order_paid')
  const { data: runs } = await w.ask('GET', `/v1/campaigns/${campaignId}/runs`)
  const [message] = await w.messages(who)
  const { data: credentials } = await w.ask('GET', `/v1/credentials?accountId=${mine}`)
  const { id: optOutId } = await ask('POST', '/v1/opt-outs', { personId: who.id, topic: 'news' })
  const url = 'http://127.0.0.1:9/in'
  const { id: webhookId } = await ask('POST', '/v1/webhooks', { url, events: ['message.accepted'], accountIds: [mine] })
  const { alerts } = await ask('PATCH', '/v1/settings', { alerts: { targets: [{ name: '群', url }] } })
  const { id: operationId } = await w.rooms.operations.start('templates.sync', 1, mine)
  const { id: keyId } = await w.rooms.apiKeys.create({ name: '店', scopes: ['accounts:read'], accountIds: [mine] })
  const password = 'correct horse battery'
  const { id: operatorId } = await w.rooms.operators.create({ email: 'yu@example.com', password, role: 'viewer' })

  const recipient = await w.rooms.people.recipient(mine, who.openId.shop)
  const { code } = await ask('POST', `/v1/accounts/${mine}/tester-codes`)
  await w.rooms.testers.enrol({ accountId: mine, recipientId: recipient.id }, code)
  const { data: testers } = await w.ask('GET', `/v1/accounts/${mine}/testers`)
  const breakerId = `${mine}:${PICKUP}`
  const { _id: _any, ...breaker } = (await w.db.collection('breakers').findOne({})) ?? { _id: null }
  const changedAt = w.clock.now()
  const standing = { ...breaker, accountId: mine, templateId: PICKUP, state: 'open', trips: 1, changedAt, rev: 1 }
  await w.db.collection('breakers').updateOne({ _id: breakerId as never }, { $set: standing }, { upsert: true })
  const fired = { kind: 'queue', accountId: mine, subject: mine, state: 'open', facts: {}, count: 1, tell: [] }
  const times = { firedAt: changedAt, lastAt: changedAt, clearedAt: null, standing: true }
  await w.db.collection('alerts').insertOne({ _id: 'alert-of-mine' as never, ...fired, ...times })
  // Somebody who can no longer be written to, so that there is a suppression.
  const gone = await w.somebody({ grants: 1 })
  const { id: suppressionId } = await w.rooms.people.recipient(mine, gone.openId.shop)
  await w.db
    .collection('recipients')
    .updateOne({ _id: suppressionId as never }, { $set: { reach: 'blocked', reachAt: changedAt } })

  return {
    ...w,
    mine,
    other,
    owner,
    who,
    recipient,
    audienceId,
    campaign,
    campaignId,
    runId: runs[0].id as string,
    messageId: message.id as string,
    credentialId: credentials[0].id as string,
    optOutId: optOutId as string,
    webhookId: webhookId as string,
    targetId: alerts.targets[0].id as string,
    operationId,
    keyId,
    operatorId,
    testerId: testers[0].id as string,
    breakerId,
    suppressionId
  }
}

type Ask = { params?: Record<string, string>; query?: Record<string, string>; body?: unknown; headers?: Body }

/** What to ask of each route about the account's own things; by nothing more than an id where a route is not named. */
export function askFor(call: string, w: Things): Ask {
  const said = ASKS[call]?.(w) ?? {}
  const path = call.split(' ')[1]!
  const id =
    Object.entries<string>({
      '/v1/accounts/{id}': w.mine,
      '/v1/operators/{id}': w.operatorId,
      '/v1/api-keys/{id}': w.keyId,
      '/v1/operations/{id}': w.operationId,
      '/v1/people/{id}': w.who.id,
      '/v1/opt-outs/{id}': w.optOutId,
      '/v1/suppressions/{id}': w.suppressionId,
      '/v1/credentials/{id}': w.credentialId,
      '/v1/messages/{id}': w.messageId,
      '/v1/audiences/{id}': w.audienceId,
      '/v1/campaigns/{id}': w.campaignId,
      '/v1/runs/{id}': w.runId,
      '/v1/breakers/{id}': w.breakerId,
      '/v1/webhooks/{id}': w.webhookId,
      '/v1/settings/alert-targets/{id}': w.targetId,
      '/v1/word-lists/{id}': 'marketing'
    }).find(([start]) => path.startsWith(start))?.[1] ?? ''
  return { ...said, params: { id, templateId: PICKUP, titleId: '1', testerId: w.testerId, ...said.params } }
}

/** Bodies and queries that a caller of this account would be answered for. */
const ASKS: Record<string, (w: Things) => Ask> = {
  'POST /v1/setup': () => ({ body: { code: 'x', email: 'a@example.com', password: 'correct horse' } }),
  'POST /v1/auth/login': () => ({ body: { email: 'a@example.com', password: 'wrong' } }),
  'PATCH /v1/me': () => ({ body: { currentPassword: 'no', password: 'correct horse battery' } }),
  'POST /v1/operators': () => ({
    body: { email: `o${Math.random()}@example.com`, password: 'correct horse', role: 'viewer' }
  }),
  'PATCH /v1/operators/{id}': () => ({ body: { role: 'viewer' } }),
  'POST /v1/api-keys': (w) => ({ body: { name: 'k', scopes: ['accounts:read'], accountIds: [w.mine] } }),
  'POST /v1/accounts': () => ({
    body: { kind: 'miniprogram', appId: 'wx00000000000000aa', secret: 'secret of it', name: 'x' }
  }),
  'PATCH /v1/accounts/{id}': () => ({ body: { name: '店' } }),
  'POST /v1/accounts/{id}/token/refresh': () => ({ body: { failedToken: 'x' } }),
  'PATCH /v1/platform': () => ({ body: { mode: 'sandbox' } }),
  'POST /v1/platform/authorizations': (w) => ({ body: { accountId: w.mine } }),
  'GET /v1/platform/authorizations/return': () => ({ query: { state: 'x', auth_code: 'y' } }),
  'POST /v1/people/identify': (w) => ({ body: { externalId: w.who.externalId } }),
  'GET /v1/people': (w) => ({ query: { accountId: w.mine } }),
  'PATCH /v1/people/{id}': () => ({ body: { attributes: { city: '苏州' } } }),
  'POST /v1/people/lookup': (w) => ({ body: { externalId: w.who.externalId } }),
  'POST /v1/people/import': (w) => ({
    query: { accountId: w.mine },
    body: 'externalId\nx1\n',
    headers: { 'content-type': 'text/csv' }
  }),
  'GET /v1/people/{id}/why-not': (w) => ({ query: { accountId: w.mine, templateId: PICKUP } }),
  'GET /v1/opt-outs': (w) => ({ query: { personId: w.who.id } }),
  'POST /v1/opt-outs': (w) => ({ body: { personId: w.who.id } }),
  'GET /v1/suppressions': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/templates': (w) => ({ query: { accountId: w.mine } }),
  'POST /v1/templates': (w) => ({
    body: { accountId: w.mine, kind: 'subscribe', titleId: '1', keywordIds: [1, 2] }
  }),
  'POST /v1/templates/sync': (w) => ({ body: { accountId: w.mine } }),
  'POST /v1/templates/lint': () => ({ body: { title: '到货提醒', keywords: [{ name: '商品', example: '书' }] } }),
  'GET /v1/templates/{templateId}': (w) => ({ query: { accountId: w.mine } }),
  'DELETE /v1/templates/{templateId}': (w) => ({ query: { accountId: w.mine } }),
  'DELETE /v1/templates/{templateId}/drift': (w) => ({ query: { accountId: w.mine } }),
  'POST /v1/templates/{templateId}/preview': (w) => ({ body: { accountId: w.mine, content: SAYS } }),
  'GET /v1/accounts/{id}/template-library': () => ({ query: { kind: 'subscribe' } }),
  'GET /v1/accounts/{id}/template-library/{titleId}': () => ({ query: { kind: 'subscribe' } }),
  'PUT /v1/accounts/{id}/industries': () => ({ body: { primary: '1', secondary: '2' } }),
  'POST /v1/capture/session': () => ({ body: { appId: 'wx00000000000000ff', code: 'x' } }),
  'POST /v1/capture/sessions': (w) => ({ body: { accountId: w.mine, openId: w.who.openId.shop } }),
  'POST /v1/capture/credentials': (w) => ({
    body: { sentAt: w.instant(), items: [{ id: 'c1', source: 'form', value: 'form-x', caughtAt: w.instant() }] }
  }),
  'POST /v1/capture/events': (w) => ({
    body: { sentAt: w.instant(), items: [{ id: 'e1', name: 'looked', at: w.instant() }] }
  }),
  'POST /v1/capture/opens': (w) => ({ body: { items: [{ id: 'o1', tag: 'x', at: w.instant() }] } }),
  'POST /v1/capture/testers': () => ({ body: { code: 'none' } }),
  'PUT /v1/capture/preferences': () => ({ body: { optedOut: false } }),
  'POST /v1/credentials': (w) => ({
    body: { accountId: w.mine, items: [{ id: 'x', openId: w.who.openId.shop, source: 'form', value: 'v' }] }
  }),
  'POST /v1/credentials/confirm': (w) => ({ body: { accountId: w.mine, orderId: 'o', paidAt: w.instant() } }),
  'GET /v1/credentials': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/credentials/reach': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/credentials/sources': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/credentials/stats': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/credentials/forecast': (w) => ({ query: { accountId: w.mine } }),
  'POST /v1/messages': (w) => ({
    body: { accountId: w.mine, to: { personId: w.who.id }, templateId: PICKUP, content: SAYS },
    headers: { 'idempotency-key': 'm1' }
  }),
  'POST /v1/messages/batch': (w) => ({
    body: {
      accountId: w.mine,
      items: [{ id: 'b1', to: { personId: w.who.id }, templateId: PICKUP, content: SAYS }]
    }
  }),
  'POST /v1/messages/cancel': (w) => ({ body: { accountId: w.mine, reference: 'r' } }),
  'GET /v1/messages': (w) => ({ query: { personId: w.who.id } }),
  'GET /v1/messages/export': (w) => ({ query: { personId: w.who.id } }),
  'PATCH /v1/messages/{id}': (w) => ({ body: { at: w.instant(3_600_000) } }),
  'POST /v1/messages/{id}/resolve': () => ({ body: { as: 'failed' } }),
  'POST /v1/events': (w) => ({
    body: { accountId: w.mine, items: [{ id: 'ev', externalId: w.who.externalId, name: 'x', at: w.instant() }] }
  }),
  'GET /v1/events': (w) => ({ query: { personId: w.who.id } }),
  'POST /v1/audiences': () => ({ body: { name: '新的', personIds: [] } }),
  'PATCH /v1/audiences/{id}': () => ({ body: { name: '一位' } }),
  'POST /v1/audiences/preview': (w) => ({ body: { accountId: w.mine, rule: { reachable: true } } }),
  'POST /v1/campaigns/next-runs': () => ({
    body: { trigger: { kind: 'recurring', from: '2090-01-02T00:00:00Z', every: 'day', times: ['10:00'] } }
  }),
  'POST /v1/campaigns': (w) => ({ body: w.campaign }),
  'PATCH /v1/campaigns/{id}': () => ({ body: { name: '改' } }),
  'POST /v1/campaigns/{id}/test-sends': (w) => ({ body: { to: [w.who.id] } }),
  'POST /v1/runs/{id}/retry': () => ({ body: { states: ['failed'] } }),
  'POST /v1/runs/{id}/resolve-unknown': () => ({ body: { as: 'failed' } }),
  'PUT /v1/word-lists/{id}': () => ({ body: { words: ['秒杀'] } }),
  'GET /v1/dashboard/summary': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/dashboard/series': (w) => ({ query: { accountId: w.mine } }),
  'GET /v1/stream': (w) => ({ query: { accountId: w.mine }, headers: { accept: 'text/event-stream' } }),
  'PATCH /v1/settings': () => ({ body: { alerts: { language: 'zh' } } }),
  'POST /v1/webhooks': (w) => ({
    body: { url: 'http://127.0.0.1:9/x', events: ['message.accepted'], accountIds: [w.mine] }
  }),
  'PATCH /v1/webhooks/{id}': () => ({ body: { name: 'x' } })
}
