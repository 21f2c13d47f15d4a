import { answering, created, fatesOf, HOUR, MINUTE, online, SAYS, SHIPPED } from './fields-stories.js'
import { posted } from './fields-messages.js'
import { LEGACY, PICKUP, type Body, type Probe, type Somebody, type World } from './fields-world.js'

/** What the fields of the smaller calls do: changing, cancelling, resolving, trying out, going online against advice. */

const SUBSCRIBE = '/cgi-bin/message/subscribe/send'

/** A message for an hour from now is changed; `look` sees what comes of it. */
function changed(
  patch: (w: World, field: any) => Body,
  look: (w: World, who: Somebody, message: any) => unknown,
  body: Body = {}
): Probe['story'] {
  return async (w, field) => {
    const who = await w.somebody({ grants: 1, forms: 1 })
    const { id } = await posted(w, who, { at: w.instant(HOUR), ...body })
    if (field !== undefined) await w.ask('PATCH', `/v1/messages/${id}`, patch(w, field))
    const message = await w.ask('GET', `/v1/messages/${id}`)
    await w.later(HOUR)
    return look(w, who, message)
  }
}
const legacy = { templateId: LEGACY, content: SHIPPED }
const keyword1 = async (w: World, who: Somebody) => (await w.taken(who))[0].data.keyword1

/** A message that WeChat may or may not have taken. */
async function doubtful(w: World, grants = 1): Promise<Somebody> {
  const who = await w.somebody({ grants })
  const once = { path: SUBSCRIBE, openid: who.openId.shop, times: 1 }
  w.sandbox!.controls.addRule({ ...once, action: { reset: 'after' } })
  return who
}

/** A run that has written to these people; `play` is given its id. */
async function run<T>(w: World, people: Somebody[], play: (runId: string) => Promise<T>): Promise<T> {
  const personIds = people.map(({ id }) => id)
  const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: '几位', personIds })
  const body = { ...answering(w, ''), audienceId, trigger: { kind: 'once', at: w.instant() }, lane: 'transactional' }
  return online(w, body, async (id) => play((await w.ask('GET', `/v1/campaigns/${id}/runs`)).data[0].id))
}

async function retried(w: World, field: Body): Promise<number> {
  const refused = await w.somebody({ grants: 1 })
  const once = { path: SUBSCRIBE, openid: refused.openId.shop, times: 1 }
  w.sandbox!.controls.addRule({ ...once, action: { errcode: 40037 } })
  return run(w, [refused, await w.somebody()], async (runId) => {
    const states = ['failed', 'skipped']
    return (await w.ask('POST', `/v1/runs/${runId}/retry`, { states, ...field })).retried
  })
}

/** An owner's word against the ladder, on an account that demands tests. */
const overruled =
  (verb: 'activate' | 'resume'): Probe['story'] =>
  async (w, reason) => {
    const { id } = await created(w, answering(w, w.unique('event')))
    const at = `/v1/campaigns/${id}`
    if (verb === 'resume') {
      await w.ask('POST', `${at}/activate`)
      await w.ask('POST', `${at}/pause`)
      await w.ask('PATCH', at, { name: '改过' })
    }
    const account = `/v1/accounts/${w.accounts.shop}`
    await w.ask('PATCH', account, { testLadder: 'required' })
    const body = reason === undefined ? {} : { override: { reason } }
    const { status } = await w.call('POST', `${at}/${verb}`, body, await w.login('owner'))
    await w.ask('PATCH', account, { testLadder: 'off' })
    await w.call('POST', `${at}/cancel`)
    return status
  }

const naming = { content: { ...SAYS, thing1: '{{ event.item }}' } }

/** Probes of the calls that change or decide something. */
/** What a recurring trigger's next two instants are; the 2nd of January 2090 is a Monday. */
const recurring = (field: string, said: unknown, gives: [string[], string[]], more: Body = {}): Probe => ({
  call: 'POST /v1/campaigns/next-runs',
  field: `trigger.${field}`,
  story: async (w, value) => {
    const base = { kind: 'recurring', from: '2090-01-02T00:00:00Z', every: 'day', times: ['10:00'], ...more }
    const trigger = { ...base, ...(value !== undefined && { [field]: value }) }
    const { nextRuns } = await w.ask('POST', '/v1/campaigns/next-runs', { trigger })
    return nextRuns.slice(0, 2).map((at: string) => at.slice(5, 16))
  },
  said,
  gives
})
const EACH_DAY: [string, string] = ['01-02T02:00', '01-03T02:00']

export const callProbes: readonly Probe[] = [
  recurring('from', '2090-01-03T00:00:00Z', [['01-03T02:00', '01-04T02:00'], EACH_DAY]),
  recurring('until', '2090-01-02T12:00:00Z', [['01-02T02:00'], EACH_DAY]),
  recurring('zone', 'Asia/Tokyo', [['01-02T01:00', '01-03T01:00'], EACH_DAY]),
  recurring(
    'every',
    'month',
    [
      ['02-01T02:00', '03-01T02:00'],
      ['01-02T02:00', '01-09T02:00']
    ],
    { every: 'week', days: [1] }
  ),
  recurring(
    'days',
    [2],
    [
      ['01-03T02:00', '01-10T02:00'],
      ['01-02T02:00', '01-09T02:00']
    ],
    { every: 'week', days: [1] }
  ),
  recurring('times', ['11:00', '12:00'], [['01-02T03:00', '01-02T04:00'], EACH_DAY]),
  {
    call: 'POST /v1/messages/batch',
    field: 'items[].id',
    // Under the same name it is the same message, however often it is handed in.
    story: async (w, same) => {
      const who = await w.somebody({ grants: 2 })
      const item = { to: { personId: who.id }, templateId: PICKUP, content: SAYS }
      const id = w.unique('item')
      for (const name of [id, same === true ? id : w.unique('item')]) {
        await w.ask('POST', '/v1/messages/batch', { accountId: w.accounts.shop, items: [{ id: name, ...item }] })
      }
      return (await w.messages(who)).length
    },
    said: true,
    instead: false,
    gives: [1, 2]
  },
  {
    call: 'PATCH /v1/messages/{id}',
    field: 'at',
    story: changed(
      (w, ms) => ({ at: w.instant(ms) }),
      async (w, who) => fatesOf(w, who)
    ),
    said: 2 * HOUR,
    gives: [['planned'], ['accepted']]
  },
  {
    call: 'PATCH /v1/messages/{id}',
    field: 'notAfter',
    story: changed(
      (w, ms) => ({ notAfter: w.instant(ms) }),
      (_w, _who, { dueAt, notAfter }) => (Date.parse(notAfter) - Date.parse(dueAt)) / MINUTE
    ),
    said: 90 * MINUTE,
    gives: [30, 1440]
  },
  {
    call: 'PATCH /v1/messages/{id}',
    field: 'content',
    story: changed(
      (_w, content) => ({ content }),
      async (w, who) => (await w.taken(who))[0].data.thing1.value
    ),
    said: { ...SAYS, thing1: '龙井' },
    gives: ['龙井', '桂花糕']
  },
  {
    call: 'PATCH /v1/messages/{id}',
    field: 'content.*.value',
    story: changed((_w, keyword) => ({ content: { ...SHIPPED, keyword1: keyword } }), keyword1, legacy),
    said: { value: 'D2' },
    gives: [{ value: 'D2' }, { value: 'D1' }]
  },
  {
    call: 'PATCH /v1/messages/{id}',
    field: 'content.*.color',
    story: changed((_w, keyword) => ({ content: { ...SHIPPED, keyword1: keyword } }), keyword1, legacy),
    said: { value: 'D1', color: '#173177' },
    gives: [{ value: 'D1', color: '#173177' }, { value: 'D1' }]
  },
  ...(['accountId', 'reference'] as const).map((field): Probe => ({
    call: 'POST /v1/messages/cancel',
    field,
    story: async (w, right) => {
      const reference = w.unique('order-')
      const who = await w.somebody({ grants: 1 })
      await posted(w, who, { at: w.instant(HOUR), reference })
      const body = { accountId: w.accounts.shop, reference }
      const other = field === 'reference' ? w.unique('order-') : w.accounts.clinic
      const asked = right === true ? body : { ...body, [field]: other }
      const { cancelled } = await w.ask('POST', '/v1/messages/cancel', asked)
      return [cancelled, await fatesOf(w, who)]
    },
    said: true,
    instead: false,
    gives: [
      [1, ['skipped cancelled']],
      [0, ['planned']]
    ]
  })),
  {
    call: 'POST /v1/messages/{id}/resolve',
    field: 'as',
    story: async (w, as) => {
      const who = await doubtful(w)
      const { id } = await posted(w, who)
      return (await w.ask('POST', `/v1/messages/${id}/resolve`, { as })).state
    },
    said: 'accepted',
    instead: 'failed',
    gives: ['accepted', 'failed']
  },
  {
    call: 'POST /v1/runs/{id}/resolve-unknown',
    field: 'as',
    story: async (w, as) => {
      const who = await doubtful(w)
      return run(w, [who], async (runId) => {
        const { resolved } = await w.ask('POST', `/v1/runs/${runId}/resolve-unknown`, { as })
        return [resolved, (await w.messages(who)).map(({ state }) => state)]
      })
    },
    said: 'accepted',
    instead: 'failed',
    gives: [
      [1, ['accepted']],
      [1, ['failed']]
    ]
  },
  {
    call: 'POST /v1/runs/{id}/retry',
    field: 'states',
    story: retried,
    said: { states: ['failed'] },
    instead: { states: ['failed', 'skipped'] },
    gives: [1, 2]
  },
  {
    call: 'POST /v1/runs/{id}/retry',
    field: 'reasons',
    story: retried,
    said: { reasons: ['noCredential'] },
    instead: {},
    gives: [1, 2]
  },
  {
    call: 'POST /v1/runs/{id}/retry',
    field: 'errcodes',
    story: retried,
    said: { errcodes: [40037] },
    instead: {},
    gives: [1, 2]
  },
  {
    call: 'POST /v1/campaigns/{id}/activate',
    field: 'override.reason',
    story: overruled('activate'),
    said: '门店今天开业，来不及测试',
    gives: [200, 422]
  },
  {
    call: 'POST /v1/campaigns/{id}/resume',
    field: 'override.reason',
    story: overruled('resume'),
    said: '门店今天开业，来不及测试',
    gives: [200, 422]
  },
  {
    call: 'POST /v1/campaigns/{id}/test-sends',
    field: 'to',
    story: async (w, mine) => {
      const [who, other] = [await w.somebody({ grants: 1 }), await w.somebody({ grants: 1 })]
      const { id } = await created(w, answering(w, w.unique('event')))
      await w.ask('POST', `/v1/campaigns/${id}/test-sends`, { to: [mine === true ? who.id : other.id] })
      await w.flush()
      return [(await w.taken(who)).length, (await w.taken(other)).length]
    },
    said: true,
    instead: false,
    gives: [
      [1, 0],
      [0, 1]
    ]
  },
  {
    call: 'POST /v1/campaigns/{id}/test-sends',
    field: 'event',
    story: async (w, event) => {
      const who = await w.somebody({ grants: 1 })
      const { id } = await created(w, answering(w, w.unique('event'), naming))
      const { messages } = await w.ask('POST', `/v1/campaigns/${id}/test-sends`, { to: [who.id], event })
      await w.flush()
      return [messages[0].reason, (await w.taken(who)).map(({ data }) => data.thing1.value)]
    },
    said: { item: '龙井' },
    gives: [
      [null, ['龙井']],
      ['missingVariable', []]
    ]
  },
  {
    call: 'POST /v1/campaigns/{id}/dry-run',
    field: 'event',
    story: async (w, event) => {
      const { id: personId } = await w.somebody({ grants: 1 })
      const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: '一位', personIds: [personId] })
      const { id } = await created(w, answering(w, w.unique('event'), { ...naming, audienceId }))
      const begun = await w.ask('POST', `/v1/campaigns/${id}/dry-run`, { event })
      await w.flush()
      const { result } = await w.ask('GET', `/v1/operations/${begun.id}`)
      return [result.byState.sent ?? 0, result.byReason]
    },
    said: { item: '龙井' },
    gives: [
      [1, {}],
      [0, { missingVariable: 1 }]
    ]
  }
]
