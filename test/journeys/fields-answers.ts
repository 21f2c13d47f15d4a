import { SERVICE, SHOP } from '../../demo/accounts.js'
import { answering, BRANDED, created, HOUR, MINUTE, SAYS } from './fields-stories.js'
import { monday } from './fields-triggers.js'
import { posted } from './fields-messages.js'
import { until } from '../support/live-app.js'
import { BRAND, LEGACY, PICKUP, type Body, type Somebody, type World } from './fields-world.js'

/** What the calls answer, field by field, in situations in which each has something to say. */

const SUBSCRIBE = '/cgi-bin/message/subscribe/send'

/** An answer as it was given, beside what it has to say: patterns, in which every field says something. */
export type Told = { call: string; answer: unknown; says: unknown }

const SOME = /./
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Campaigns: each comes back as it was set up. */
async function campaigns(w: World): Promise<Told[]> {
  const now = w.instant()
  const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: '全部', rule: { all: [] } })
  const instants = { from: now, until: w.instant(300 * HOUR) }
  const every = { kind: 'recurring', ...instants, zone: 'Asia/Tokyo', every: 'week', days: [2, 4], times: ['09:30'] }
  const where = { amount: { gte: 100 } }
  const after = { kind: 'event', event: 'paid', where, delayMs: HOUR, key: 'id', reentry: { perDays: 2 } }
  const before = { property: 'startsAt', ms: HOUR }
  const ahead = { kind: 'event', event: 'booked', before, reentry: 'once', cancelOn: { event: 'cancelled', where } }
  const missing = { kind: 'notFollowed', event: 'ordered', where, missing: 'paid', withinMs: HOUR, key: 'id' }
  const content = { ...SAYS, thing1: { value: '桂花糕', color: '#173177' } }
  const brand = { accountId: w.accounts.service, templateId: BRAND, content: BRANDED }
  const said: Body[] = [
    { trigger: { kind: 'once', at: w.instant(HOUR), zone: 'Europe/Paris' }, missed: 'skip', audienceId, content },
    { trigger: every, missed: { lateWithinMs: HOUR }, audienceId, open: { page: 'pages/a' }, topic: 'offers' },
    { trigger: after, scene: 'logistics', emphasis: 'keyword1', tooLong: 'skip', missingVariable: 'stop' },
    { trigger: ahead, lane: 'transactional', lifeMs: HOUR, waitForCredential: true, caps: { perPersonPerDay: 2 } },
    {
      ...brand,
      trigger: { ...missing, reentry: { perDays: 3 } },
      open: { miniprogram: { appId: SHOP.appid, page: 'b' } }
    },
    { ...brand, trigger: { ...missing, reentry: 'once' }, open: { url: 'https://shop.test/a' } }
  ]
  const told: Told[] = []
  for (const more of said) {
    const body = answering(w, '', { name: w.unique('到货'), ...more })
    const draft = { ...body, id: SOME, state: 'draft', createdAt: now, updatedAt: now }
    told.push({ call: 'POST /v1/campaigns', answer: await created(w, body), says: draft })
  }
  const next = await w.ask('POST', '/v1/campaigns/next-runs', { trigger: { ...every, until: undefined } })
  told.push({ call: 'POST /v1/campaigns/next-runs', answer: next, says: { nextRuns: Array(5).fill(INSTANT) } })
  const { id: personId } = await w.somebody({ grants: 1 })
  const { id: one } = await w.ask('POST', '/v1/audiences', { name: '一位', personIds: [personId] })
  const holey = { missingVariable: 'stop', content: { ...SAYS, thing1: '{{ user.unknown }}' } }
  const { id } = await created(w, answering(w, '', { ...holey, audienceId: one, trigger: { kind: 'once', at: now } }))
  await w.ask('POST', `/v1/campaigns/${id}/activate`)
  await w.flush()
  const why = /^missingVariable thing1/
  const paused = await w.ask('GET', `/v1/campaigns/${id}`)
  told.push({ call: 'GET /v1/campaigns/{id}', answer: paused, says: { state: 'paused', stateReason: why } })
  const runs = await w.ask('GET', `/v1/campaigns/${id}/runs`)
  const held = { data: [{ paused: true, heldReason: why }] }
  told.push({ call: 'GET /v1/campaigns/{id}/runs', answer: runs, says: held })
  return told
}

/** One campaign whose messages come to all kinds of ends, with its run and its figures. */
async function messages(w: World): Promise<Told[]> {
  const began = w.instant()
  const [fan, poor, late] = [await w.somebody({ grants: 1 }), await w.somebody(), await w.somebody({ grants: 1 })]
  const [refused, doubted, slow] = [
    await w.somebody({ grants: 1 }),
    await w.somebody({ grants: 1 }),
    await w.somebody({ grants: 1 })
  ]
  const rule = ({ openId }: Somebody, action: object, times?: number) =>
    w.sandbox!.controls.addRule({ path: SUBSCRIBE, openid: openId.shop, ...(times && { times }), action } as never)
  rule(refused, { errcode: 40037 }, 1)
  rule(doubted, { reset: 'after' }, 1)
  rule(slow, { errcode: -1 }, 1)
  const never = rule(late, { errcode: -1 })
  const people = [fan, poor, late, refused, doubted, slow]
  const { id: audienceId } = await w.ask('POST', '/v1/audiences', {
    name: '几位',
    personIds: people.map(({ id }) => id)
  })
  const trigger = { kind: 'once', at: began }
  const set = { audienceId, trigger, open: { page: 'pages/order' }, lane: 'transactional', scene: 'logistics' }
  const { id: campaignId } = await created(w, { ...answering(w, ''), ...set })
  await w.ask('POST', `/v1/campaigns/${campaignId}/activate`)
  await w.flush()
  const mine = async (who: Somebody) => w.ask('GET', `/v1/messages/${(await w.messages(who))[0].id}`)
  const delivered = ({ state }: Body) => state === 'delivered'
  const { runId, id } = await until('the receipt', () => mine(fan), delivered)
  await opened(w, fan, id)

  const told: Told[] = []
  const tell = (call: string, answer: unknown, says: unknown) => void told.push({ call, answer, says })
  const run = { id: runId, campaignId, accountId: w.accounts.shop, paused: false, instant: began, startedAt: began }
  const funnel = { matched: 6, reachable: 5, claimed: 3, accepted: 1, confirmable: 1, delivered: 1, opened: 1, open: 2 }
  const counts = {
    total: 6,
    opened: 1,
    byState: { delivered: 1, skipped: 1, failed: 1, unknown: 1, open: 2 },
    byReason: { noCredential: 1, 40037: 1 }
  }
  const rate = 4
  const etaAt = new Date(Date.parse(began) + (1000 * 2) / rate).toISOString()
  const underWay = { ...run, state: 'sending', counts, rate, etaAt, funnel: { ...funnel, deliveredShare: 1 } }
  tell('GET /v1/runs/{id}', await w.ask('GET', `/v1/runs/${runId}`), underWay)
  tell('GET /v1/runs/{id}/funnel', await w.ask('GET', `/v1/runs/${runId}/funnel`), underWay.funnel)

  const open = await w.ask('GET', `/v1/campaigns/${campaignId}/funnel`)
  tell('GET /v1/campaigns/{id}/funnel', open, { funnel: { open: 2 }, runs: [{ funnel: { open: 2 } }] })
  w.clock.advance(MINUTE)
  const span = { interval: 'day', zone: 'Asia/Tokyo', from: INSTANT, to: w.instant() }
  const query = new URLSearchParams({ interval: 'day', zone: 'Asia/Tokyo' })
  const day = { at: /T15:00:00\.000Z$/, filed: 6, accepted: 1, delivered: 1, failed: 1, skipped: 1, opened: 1 }
  tell('GET /v1/campaigns/{id}/series', await w.ask('GET', `/v1/campaigns/${campaignId}/series?${query}`), {
    ...span,
    buckets: [{ ...day, open: 2, unknown: 1 }]
  })

  const row = { accountId: w.accounts.shop, campaignId, runId, templateId: PICKUP, lane: 'transactional', test: false }
  const times = { createdAt: began, dueAt: began, notAfter: w.instant(29 * MINUTE), sentAt: began, settledAt: began }
  const seen = await mine(fan)
  const recipientId = (await w.ask('GET', `/v1/people/${fan.id}`)).recipients[0].id
  const sent = {
    ...{ ...row, ...times, id, personId: fan.id, recipientId },
    ...{ state: 'delivered', by: 'receipt', msgid: /^\d{19}$/, openedAt: began, attempts: 1 },
    data: { thing1: { value: '桂花糕' } },
    open: { page: 'pages/order' },
    credential: { id: SOME, source: 'grant' },
    attemptLog: [{ at: began, code: 0, kind: 'answer', latencyMs: Number }]
  }
  tell('GET /v1/messages/{id}', seen, sent)
  const refusal = { code: 40037, kind: 'answer', rid: SOME, note: /invalid template_id/ }
  tell('GET /v1/messages/{id}', await mine(refused), {
    state: 'failed',
    by: 'answer',
    code: 40037,
    attemptLog: [refusal]
  })
  tell('GET /v1/messages/{id}', await mine(poor), { state: 'skipped', reason: 'noCredential', attempts: 0 })
  const listed = async (who: Somebody, says: Body) =>
    tell('GET /v1/messages', await w.ask('GET', `/v1/messages?personId=${who.id}`), { data: [says] })
  await listed(refused, { code: 40037 })
  await listed(poor, { reason: 'noCredential' })
  const { data: _data, open: _open, credential: _credential, attemptLog: _log, ...plain } = sent
  tell('GET /v1/messages', await w.ask('GET', `/v1/messages?personId=${fan.id}`), { data: [plain] })
  tell(
    'POST /v1/runs/{id}/resolve-unknown',
    await w.ask('POST', `/v1/runs/${runId}/resolve-unknown`, { as: 'failed' }),
    {
      resolved: 1
    }
  )

  await w.later(10 * MINUTE)
  await until('the other receipt', () => mine(slow), delivered)
  await w.later(HOUR)
  w.sandbox!.controls.removeRules(never.id)
  const over = { ...run, state: 'finished', finishedAt: w.instant() }
  const { data: runs } = await w.ask('GET', `/v1/campaigns/${campaignId}/runs`)
  tell('GET /v1/campaigns/{id}/runs', { data: runs }, { data: [{ ...over, counts: { byState: { expired: 1 } } }] })
  const end = { matched: 6, accepted: 2, delivered: 2, opened: 1 }
  const funnels = await w.ask('GET', `/v1/campaigns/${campaignId}/funnel`)
  const told2 = { funnel: { ...end, reachable: 5, claimed: 4, confirmable: 2, deliveredShare: 1 } }
  tell('GET /v1/campaigns/{id}/funnel', funnels, { ...told2, runs: [{ runId, instant: began, ...told2 }] })
  tell('POST /v1/runs/{id}/retry', await w.ask('POST', `/v1/runs/${runId}/retry`, { states: ['skipped'] }), {
    retried: 1
  })

  await w.later(MINUTE)
  tell('GET /v1/runs/{id}/series', await w.ask('GET', `/v1/runs/${runId}/series?${query}`), {
    ...{ ...span, to: w.instant() },
    buckets: [{ ...day, accepted: 2, delivered: 2, failed: 2, expired: 1 }]
  })
  return told
}

/** The person taps on the card, and the mini-program tells. */
async function opened(w: World, who: Somebody, messageId: string): Promise<void> {
  const { page } = (await w.taken(who)).at(-1)
  const tag = decodeURIComponent(/hytag=([^&]+)/.exec(page)![1]!)
  const [recipient] = (await w.ask('GET', `/v1/people/${who.id}`)).recipients
  const phone = w.phone({ accountId: w.accounts.shop, recipientId: recipient.id, personId: who.id })
  const items = [{ id: `open ${messageId}`.slice(0, 64), tag, at: w.instant() }]
  await w.app.inject({ method: 'POST', url: '/v1/capture/opens', headers: phone, payload: { items } })
  await w.flush()
}

/** What is said of messages as they are posted, changed and taken back. */
async function posts(w: World): Promise<Told[]> {
  const told: Told[] = []
  const tell = (call: string, answer: unknown, says: unknown) => void told.push({ call, answer, says })
  const [rich, poor] = [await w.somebody({ grants: 2, forms: 1 }), await w.somebody()]
  const reference = w.unique('order-')
  const at = w.instant(8 * 24 * HOUR)
  const said = { id: SOME, state: 'planned', reference, reachable: { now: true, atSendTime: true } }
  tell('POST /v1/messages', await posted(w, rich, { reference }), said)
  const unreachable = { reachable: { now: false, atSendTime: false, reason: 'noCredential' } }
  tell('POST /v1/messages', await posted(w, poor), unreachable)
  const shipped = {
    keyword1: 'D1',
    keyword2: '飞雁速运',
    keyword3: 'FY1',
    keyword4: { value: '2030', color: '#173177' }
  }
  const later = await posted(w, rich, { templateId: LEGACY, content: shipped, at, reference: `${reference}b` })
  tell('POST /v1/messages', later, { reachable: { now: true, atSendTime: false, reason: 'expiresBefore' } })
  const view = await w.ask('GET', `/v1/messages/${later.id}`)
  const times = { waitingFor: 'time', dueAt: at, reference: `${reference}b` }
  tell('GET /v1/messages/{id}', view, { ...times, data: { keyword4: { value: '2030', color: '#173177' } } })
  const { data } = await w.ask('GET', `/v1/messages?reference=${reference}b`)
  tell('GET /v1/messages', { data }, { data: [times] })

  const person = (who: Somebody) => ({ to: { personId: who.id }, templateId: PICKUP, content: SAYS })
  const items = [
    { id: 'a', ...person(rich), reference: `${reference}c` },
    { id: 'b', ...person(poor) },
    { id: 'c', ...person(rich), content: { thing1: '桂花糕' } }
  ]
  const batch = await w.ask('POST', '/v1/messages/batch', { accountId: w.accounts.shop, items })
  const missing = { pointer: SOME, code: /^content/, message: SOME }
  tell('POST /v1/messages/batch', batch, {
    items: [
      { id: 'a', verdict: 'planned', message: { ...said, reference: `${reference}c` } },
      { id: 'b', verdict: 'planned', message: unreachable },
      { id: 'c', verdict: 'refused', errors: [missing] }
    ]
  })
  const cancel = { accountId: w.accounts.shop, reference: `${reference}b` }
  tell('POST /v1/messages/cancel', await w.ask('POST', '/v1/messages/cancel', cancel), { cancelled: 1 })
  await w.flush()

  const fan = await w.somebody({ apps: ['service'], follows: true })
  for (const open of [{ miniprogram: { appId: SHOP.appid, page: 'pages/a' } }, { url: 'https://shop.test/a' }]) {
    const { id } = await posted(w, fan, { accountId: w.accounts.service, templateId: BRAND, content: BRANDED, open })
    tell('GET /v1/messages/{id}', await w.ask('GET', `/v1/messages/${id}`), { open })
  }
  const page = await w.ask('GET', '/v1/messages?limit=1&count=true')
  tell('GET /v1/messages', page, { page: { nextCursor: SOME, total: page.page.total, estimated: false } })
  return told
}

/** What an operator is told before going online, and of those who wait. */
async function rehearsals(w: World): Promise<Told[]> {
  const told: Told[] = []
  const tell = (call: string, answer: unknown, says: unknown) => void told.push({ call, answer, says })
  const [rich, poor, full] = [
    await w.somebody({ forms: 1 }),
    await w.somebody(),
    await w.somebody({ grants: 3, forms: 1 })
  ]
  for (let n = 0; n < 3; n++) await posted(w, full)
  const personIds = [rich.id, poor.id, full.id]
  const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: '三位', personIds })
  const shipped = { keyword1: 'D1', keyword2: '飞雁速运', keyword3: '{{ user.x }}', keyword4: '2030' }
  const at = w.instant(HOUR)
  const set = {
    audienceId,
    templateId: LEGACY,
    content: shipped,
    missingVariable: 'default',
    trigger: { kind: 'once', at }
  }
  const { id } = await created(w, { ...answering(w, ''), ...set, scene: 'logistics', emphasis: 'keyword9' })
  const fault = { pointer: SOME, code: SOME, message: SOME }
  const forecast = {
    ...{ matched: 3, reachableNow: 2, reachableAtSendTime: 2, sendAt: at, capLimit: 3, capped: 1 },
    ...{ dailyBudgetLeft: Number, durationMs: Number, estimated: false }
  }
  tell('POST /v1/campaigns/{id}/check', await w.ask('POST', `/v1/campaigns/${id}/check`), {
    ...{ ready: false, problems: [fault], warnings: [fault], nextRuns: [at], forecast }
  })
  await w.ask('PATCH', `/v1/campaigns/${id}`, { emphasis: 'keyword1', content: { ...shipped, keyword3: 'FY1' } })
  tell('POST /v1/campaigns/{id}/check', await w.ask('POST', `/v1/campaigns/${id}/check`), { ready: true })

  const sends = await w.ask('POST', `/v1/campaigns/${id}/test-sends`, { to: [rich.id, poor.id] })
  const skipped = { personId: poor.id, state: 'skipped', reason: 'noCredential', detail: null }
  tell('POST /v1/campaigns/{id}/test-sends', sends, {
    messages: [{ id: SOME, personId: rich.id, state: 'planned', reason: null }, skipped]
  })
  await w.flush()
  const { id: test } = sends.messages[0]
  const message = await w.ask('GET', `/v1/messages/${test}`)
  tell('GET /v1/messages/{id}', message, { test: true, campaignId: id })
  tell('GET /v1/messages', { data: [message] }, { data: [{ test: true }] })

  await w.ask('PATCH', `/v1/campaigns/${id}`, {
    content: { ...shipped, keyword3: '{{ user.x }}' },
    missingVariable: 'skip'
  })
  const holes = await w.ask('POST', `/v1/campaigns/${id}/test-sends`, { to: [full.id] })
  const hole = { reason: 'missingVariable', detail: /^keyword3/ }
  tell('POST /v1/campaigns/{id}/test-sends', holes, { messages: [hole] })

  const begun = await w.ask('POST', `/v1/campaigns/${id}/dry-run`)
  tell('POST /v1/campaigns/{id}/dry-run', begun, { id: SOME, kind: SOME, state: 'running', done: 0 })
  await w.flush()
  const operation = await w.ask('GET', `/v1/operations/${begun.id}`)
  tell('POST /v1/campaigns/{id}/dry-run', operation, { state: 'done', done: 3, result: { total: 3 } })
  await w.ask('POST', `/v1/campaigns/${id}/dry-run`)
  await w.ask('DELETE', `/v1/campaigns/${id}`)
  await w.flush()
  const lost = await w.db.collection('operations').findOne({ error: { $ne: null } })
  const failed = await w.ask('GET', `/v1/operations/${String(lost!._id)}`)
  tell('POST /v1/campaigns/{id}/dry-run', failed, { state: 'failed', error: SOME })
  return told
}

/** Who waits between an event and its message, and what became of them. */
async function waits(w: World): Promise<Told[]> {
  const event = w.unique('ordered')
  const who = await w.somebody({ grants: 1 })
  const trigger = { kind: 'notFollowed', event, missing: 'paid', withinMs: HOUR, key: 'id', reentry: 'once' }
  const { id } = await created(w, answering(w, event, { trigger }))
  await w.ask('POST', `/v1/campaigns/${id}/activate`)
  const at = w.instant()
  const due = w.instant(HOUR + MINUTE)
  await w.does(who, event, { id: 7 })
  w.clock.advance(MINUTE)
  const paidAt = w.instant()
  await w.does(who, 'paid', { id: 7 })
  const { data } = await w.ask('GET', `/v1/campaigns/${id}/waits`)
  for (const order of [8, 9]) {
    await w.does(who, event, { id: order })
    await w.later(2 * HOUR)
  }
  const { data: all } = await w.ask('GET', `/v1/campaigns/${id}/waits?state=dropped`)
  await w.ask('POST', `/v1/campaigns/${id}/cancel`)
  const stoppedBy = { eventId: SOME, name: 'paid', at: paidAt }
  const stopped = {
    id: SOME,
    state: 'stopped',
    personId: who.id,
    eventId: SOME,
    at,
    key: '7',
    due,
    stoppedBy,
    settledAt: paidAt
  }
  return [
    { call: 'GET /v1/campaigns/{id}/waits', answer: { data }, says: { data: [stopped] } },
    {
      call: 'GET /v1/campaigns/{id}/waits',
      answer: { data: all },
      says: { data: [{ state: 'dropped', reason: 'reentry' }] }
    }
  ]
}

/** All of it, one situation after the other. */
export async function answers(w: World): Promise<Told[]> {
  await monday(w)
  // WeChat tells of deliveries.
  const url = await w.app.listen({ host: '127.0.0.1', port: 0 })
  for (const { appid, secret, kind, name } of [SHOP, SERVICE]) {
    const account = kind === 'service' ? w.accounts.service : w.accounts.shop
    await w.ask('PATCH', `/v1/accounts/${account}`, { callback: { token: 'callbacktoken', mode: 'plain' } })
    const callback = { url: `${url}/callback/${appid}`, token: 'callbacktoken' }
    w.sandbox!.controls.putApp({ appid, secret, kind, name, openPlatform: 'demo', callback } as never)
  }
  const told: Told[] = []
  for (const tell of [campaigns, messages, posts, rehearsals, waits]) told.push(...(await tell(w)))
  return told
}
