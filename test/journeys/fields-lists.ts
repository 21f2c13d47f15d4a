import { posted } from './fields-messages.js'
import { answering, BOOKED, created, HOUR, MINUTE, online } from './fields-stories.js'
import { BOOKING, PICKUP, type Body, type Probe, type World } from './fields-world.js'

/** What lists and figures are asked by. */

const SUBSCRIBE = '/cgi-bin/message/subscribe/send'

/**
 * What each filter of a list leaves, of three messages: to the shop by a campaign (accepted), to the shop by reference
 * (refused by WeChat), to the clinic (without a right).
 */
async function someMessages(w: World) {
  await posted(w, await w.somebody())
  await w.later(HOUR)
  const since = w.instant()
  const who = await w.somebody({ apps: ['shop', 'clinic'], grants: 0 })
  await w.grant(who, 'shop', PICKUP, 2)
  const event = w.unique('event')
  const campaignId = await online(w, answering(w, event), async (id) => {
    await w.does(who, event)
    return id
  })
  await w.later(MINUTE)
  const until = w.instant()
  const refusal = { path: SUBSCRIBE, openid: who.openId.shop, times: 1, action: { errcode: 40037 } }
  w.sandbox!.controls.addRule(refusal)
  const reference = w.unique('order-')
  await posted(w, who, { reference })
  await w.later(MINUTE)
  const clinic = { accountId: w.accounts.clinic, templateId: BOOKING }
  const other = await w.somebody({ apps: ['clinic'] })
  await posted(w, other, { ...clinic, content: BOOKED })
  const [{ runId }] = await w.messages(who)
  return { since, until, who, campaignId, runId, reference }
}

/** Probes of what lists are asked by. */
export function listProbes(): Probe[] {
  let made: ReturnType<typeof someMessages> | null = null
  const names: Record<string, string> = { accepted: 'campaign', failed: 'refused', skipped: 'clinic' }
  const messages =
    (place: 'GET /v1/messages' | 'GET /v1/messages/export') =>
    (field: string, valueOf: (facts: any, w: World) => unknown, kept: string[]): Probe => ({
      call: place,
      field,
      story: async (w, asked) => {
        const facts = await (made ??= someMessages(w))
        const query = new URLSearchParams(field === 'createdAt[gte]' ? {} : { 'createdAt[gte]': facts.since })
        if (asked === true) query.append(field, String(valueOf(facts, w)))
        else if (field === 'createdAt[gte]') query.append('createdAt[gte]', new Date(0).toISOString())
        const answer = await w.app.inject({
          url: `${place.slice(4)}?${query}`,
          headers: (await w.key(['messages:read'])) as Record<string, string>
        })
        const rows = place.endsWith('export')
          ? answer.body.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
          : (answer.json() as any).data
        const found = rows.map(({ state }: Body) => names[state]).sort()
        return field === 'createdAt[gte]' && asked !== true ? found.length > 3 : found
      },
      said: true,
      gives: [kept, field === 'createdAt[gte]' ? true : ['campaign', 'clinic', 'refused']]
    })
  const both = (['GET /v1/messages', 'GET /v1/messages/export'] as const).flatMap((place) => {
    const probe = messages(place)
    return [
      probe('accountId', (_facts, w) => w.accounts.clinic, ['clinic']),
      probe('runId', ({ runId }) => runId, ['campaign']),
      probe('campaignId', ({ campaignId }) => campaignId, ['campaign']),
      probe('state', () => 'failed,skipped', ['clinic', 'refused']),
      probe('reason', () => 'noCredential', ['clinic']),
      probe('errcode', () => 40037, ['refused']),
      probe('personId', ({ who }) => who.id, ['campaign', 'refused']),
      probe('reference', ({ reference }) => reference, ['refused']),
      probe('createdAt[gte]', ({ since }) => since, ['campaign', 'clinic', 'refused']),
      probe('createdAt[lt]', ({ until }) => until, ['campaign'])
    ]
  })
  return [...both, ...series((w) => (made ??= someMessages(w))), ...campaignLists(), ...paging()]
}

/** What figures over time are asked by. */
function series(factsOf: (w: World) => ReturnType<typeof someMessages>): Probe[] {
  return (['campaigns', 'runs'] as const).flatMap((kind) => {
    const probe = (
      field: string,
      valueOf: (facts: any) => string,
      look: (answer: any) => unknown,
      gives: Probe['gives']
    ): Probe => ({
      call: `GET /v1/${kind}/{id}/series`,
      field,
      story: async (w, asked) => {
        const facts = await factsOf(w)
        const query = new URLSearchParams(field === 'zone' ? { interval: 'day' } : {})
        if (asked === true) query.append(field, valueOf(facts))
        return look(
          await w.ask('GET', `/v1/${kind}/${kind === 'runs' ? facts.runId : facts.campaignId}/series?${query}`)
        )
      },
      said: true,
      gives
    })
    const filed = ({ buckets }: any) => buckets.reduce((sum: number, bucket: any) => sum + bucket.filed, 0)
    const hourOf = ({ buckets }: any) => new Date(buckets[0].at).getUTCHours()
    const around = (text: string, ms: number) => new Date(Date.parse(text) + ms).toISOString()
    return [
      probe(
        'interval',
        () => 'day',
        ({ interval }) => interval,
        ['day', 'hour']
      ),
      probe('zone', () => 'Asia/Tokyo', hourOf, [15, 16]),
      probe('from', ({ since }) => around(since, MINUTE), filed, [0, 1]),
      probe('to', ({ since }) => around(since, -10 * MINUTE), filed, [0, 1])
    ]
  })
}

/** A campaign of the clinic, and one of the shop that is online, was run on two days and waits for two people. */
async function someCampaigns(w: World) {
  const personIds = [(await w.somebody()).id]
  const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: '一位', personIds })
  const day = { kind: 'recurring', from: w.instant(), every: 'day', times: ['10:00'] }
  const daily = await created(w, { ...answering(w, ''), audienceId, trigger: day })
  await w.ask('POST', `/v1/campaigns/${daily.id}/activate`)
  for (let n = 0; n < 3; n++) await w.later(24 * HOUR)
  const event = w.unique('event')
  const waiting = await created(w, answering(w, event, { trigger: { kind: 'event', event, delayMs: HOUR } }))
  await w.ask('POST', `/v1/campaigns/${waiting.id}/activate`)
  const early = await w.somebody()
  await w.does(early, event)
  await w.later(2 * HOUR)
  await w.does(await w.somebody(), event)
  const content = BOOKED
  const clinic = { accountId: w.accounts.clinic, templateId: BOOKING, content }
  const draft = await created(w, { ...answering(w, w.unique('event')), ...clinic, name: '诊所' })
  return { daily: daily.id, waiting: waiting.id, draft: draft.id }
}
let campaigns: ReturnType<typeof someCampaigns> | null = null

function campaignLists(): Probe[] {
  const of = (field: string, valueOf: (w: World) => string, kept: string[]): Probe => ({
    call: 'GET /v1/campaigns',
    field,
    story: async (w, asked) => {
      const known = await (campaigns ??= someCampaigns(w))
      const names = new Map(Object.entries(known).map(([name, id]) => [id, name]))
      const query = new URLSearchParams({ limit: '100', ...(asked === true && { [field]: valueOf(w) }) })
      const { data } = await w.ask('GET', `/v1/campaigns?${query}`)
      return data.flatMap(({ id }: Body) => names.get(id) ?? []).sort()
    },
    said: true,
    gives: [kept, ['daily', 'draft', 'waiting']]
  })
  return [
    of('accountId', (w) => w.accounts.clinic, ['draft']),
    of('state', () => 'online,paused', ['daily', 'waiting']),
    of('trigger.kind', () => 'recurring', ['daily']),
    {
      call: 'GET /v1/campaigns/{id}/waits',
      field: 'state',
      story: async (w, state) => {
        const { waiting } = await (campaigns ??= someCampaigns(w))
        const { data } = await w.ask(
          'GET',
          `/v1/campaigns/${waiting}/waits?${state === undefined ? '' : `state=${state}`}`
        )
        return data.map((each: Body) => each.state)
      },
      said: 'waiting',
      gives: [['waiting'], ['waiting', 'fired']]
    }
  ]
}

/** The words every list takes: how many, from where, in which order, and how many in all. */
function paging(): Probe[] {
  const lists: Record<string, { url: (known: Awaited<ReturnType<typeof someCampaigns>>) => string; by: string }> = {
    'GET /v1/messages': { url: () => '/v1/messages', by: 'dueAt' },
    'GET /v1/campaigns': { url: () => '/v1/campaigns', by: 'createdAt' },
    'GET /v1/campaigns/{id}/runs': { url: ({ daily }) => `/v1/campaigns/${daily}/runs`, by: 'startedAt' },
    'GET /v1/campaigns/{id}/waits': { url: ({ waiting }) => `/v1/campaigns/${waiting}/waits`, by: 'due' }
  }
  return Object.entries(lists).flatMap(([call, { url, by }]) => {
    const get = async (w: World, query: Body) =>
      w.ask('GET', `${url(await (campaigns ??= someCampaigns(w)))}?${new URLSearchParams(query)}`)
    const probe = (field: string, story: Probe['story'], gives: Probe['gives']): Probe => {
      return { call, field, story, said: true, instead: false, gives }
    }
    return [
      probe('limit', async (w, asked) => (await get(w, asked === true ? { limit: '1' } : {})).data.length === 1, [
        true,
        false
      ]),
      probe(
        'cursor',
        async (w, asked) => {
          const one = await get(w, { limit: '1' })
          const next = await get(w, { limit: '1', ...(asked === true && { cursor: one.page.nextCursor }) })
          return next.data[0].id === one.data[0].id
        },
        [false, true]
      ),
      probe(
        'sort',
        async (w, asked) => {
          const { data } = await get(w, { sort: asked === true ? by : `-${by}`, limit: '100' })
          return data.length > 1 && Date.parse(data[0][by]) < Date.parse(data.at(-1)[by])
        },
        [true, false]
      ),
      probe('count', async (w, asked) => typeof (await get(w, asked === true ? { count: 'true' } : {})).page.total, [
        'number',
        'undefined'
      ])
    ]
  })
}
