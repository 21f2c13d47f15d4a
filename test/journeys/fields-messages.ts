import {
  BOOKED,
  BRANDED,
  call,
  fates,
  fatesOf,
  first,
  HOUR,
  MINUTE,
  patience,
  SAYS,
  SHIPPED,
  type Wish
} from './fields-stories.js'
import { BOOKING, BRAND, LEGACY, PICKUP, type Body, type Probe, type Somebody, type World } from './fields-world.js'

/** What each field of a direct message does, seen from outside: over REST, and in the calls WeChat took. */

const byBrand = (w: World) => ({ accountId: w.accounts.service, templateId: BRAND, content: BRANDED })
const follower: Wish = { apps: ['service'], follows: true }

/** A message to somebody of the shop, said or as `more` says. @returns the answer to the post */
export async function posted(w: World, who: Somebody, more: Body = {}): Promise<any> {
  const body = { accountId: w.accounts.shop, to: { personId: who.id }, templateId: PICKUP, content: SAYS, ...more }
  const key = w.unique('key')
  const codes = (errors: Body[] | undefined) => ({ errors: errors?.map(({ code }) => code) })
  if (w.ways.message === 'batch') {
    const { accountId, ...item } = body
    const answer = await w.ask('POST', '/v1/messages/batch', { accountId, items: [{ id: key, ...item }] })
    await w.flush()
    const { message, errors } = answer.items[0]
    return message ?? codes(errors)
  }
  const { status, body: answer } = await w.call('POST', '/v1/messages', body, { 'idempotency-key': key })
  await w.flush()
  return status === 202 ? answer : codes(answer.errors)
}

/** Posts one to somebody, and tells what `look` sees. */
function sent(
  wish: Wish,
  more: (w: World, field: any, who: Somebody) => Body,
  look: (w: World, who: Somebody, answer: any) => Promise<unknown>
): Probe['story'] {
  return async (w, field) => {
    const who = await w.somebody(wish)
    return look(w, who, await posted(w, who, more(w, field, who)))
  }
}

const last = (part: (body: any) => unknown) => async (w: World, who: Somebody) => part((await w.taken(who)).at(-1))

/** Named in this way, or as somebody else: who gets it? */
const namedBy = (field: string, nameOf: (who: Somebody) => string): Probe => ({
  field: `to.${field}`,
  story: async (w, mine) => {
    const who = await w.somebody({ grants: 1 })
    const other = await w.somebody({ grants: 1 })
    await posted(w, who, { to: { [field]: nameOf(mine === true ? who : other) } })
    return [(await w.taken(who)).length, (await w.taken(other)).length]
  },
  said: true,
  instead: false,
  gives: [
    [1, 0],
    [0, 1]
  ]
})

/** The next step of a chain, which is tried because nobody granted the first one. */
const falls = (w: World, step: Body): Body => ({
  fallback: [{ accountId: w.accounts.shop, templateId: LEGACY, content: SHIPPED, ...step }]
})
const fallsToBrand = (w: World, step: Body) => falls(w, { ...byBrand(w), ...step })
const inReserve: Wish = { apps: ['shop', 'clinic'], forms: 1 }
const brandFan: Wish = { apps: ['shop', 'service'], follows: true }

/** Probes of `POST /v1/messages`, and of its batches. */
export const messageProbes: readonly Probe[] = [
  {
    field: 'accountId',
    story: async (w, account) => {
      const who = await w.somebody({ apps: ['shop', 'clinic'], grants: 1 })
      const clinic = account === 'clinic'
      await posted(w, who, clinic ? { accountId: w.accounts.clinic, templateId: BOOKING, content: BOOKED } : {})
      const [{ touser }] = await w.taken(who)
      return touser === who.openId.clinic
    },
    said: 'clinic',
    instead: 'shop',
    gives: [true, false]
  },
  namedBy('openId', ({ openId }) => openId.shop),
  namedBy('unionId', ({ unionId }) => unionId),
  namedBy('personId', ({ id }) => id),
  namedBy('externalId', ({ externalId }) => externalId),
  {
    field: 'templateId',
    story: sent(
      { forms: 1, grants: 1 },
      (_w, templateId) => (templateId === LEGACY ? { templateId, content: SHIPPED } : {}),
      call(({ template_id }) => template_id)
    ),
    said: LEGACY,
    gives: [LEGACY, PICKUP]
  },
  {
    field: 'content',
    story: sent(
      { grants: 1 },
      (_w, content) => ({ content }),
      call(({ data }) => data.thing1.value)
    ),
    said: { ...SAYS, thing1: '龙井' },
    instead: SAYS,
    gives: ['龙井', '桂花糕']
  },
  {
    field: 'content.*.value',
    story: sent(
      { grants: 1 },
      (_w, thing1) => ({ content: { ...SAYS, thing1 } }),
      call(({ data }) => data.thing1.value)
    ),
    said: { value: '秋茶' },
    instead: '桂花糕',
    gives: ['秋茶', '桂花糕']
  },
  {
    field: 'content.*.color',
    story: sent(
      { forms: 1 },
      (_w, color) => ({ templateId: LEGACY, content: { ...SHIPPED, keyword1: { value: 'D1', color } } }),
      call(({ data }) => data.keyword1.color)
    ),
    said: '#173177',
    gives: ['#173177', undefined]
  },
  {
    field: 'emphasis',
    story: sent(
      { forms: 1 },
      (_w, emphasis) => ({ templateId: LEGACY, content: SHIPPED, emphasis }),
      call(({ emphasis_keyword }) => emphasis_keyword)
    ),
    said: 'keyword2',
    gives: ['keyword2.DATA', undefined]
  },
  {
    field: 'open.page',
    story: sent(
      { grants: 1 },
      (_w, page) => ({ open: { page } }),
      call(({ page }) => page?.split('hytag')[0])
    ),
    said: 'pages/order?id=7',
    gives: ['pages/order?id=7&', undefined]
  },
  {
    field: 'open.miniprogram.appId',
    story: sent(
      follower,
      (w, appId) => ({ ...byBrand(w), open: { miniprogram: { appId, page: 'pages/a' } } }),
      call(({ miniprogram }) => miniprogram.appid)
    ),
    said: 'wx5b1a2c3d4e5f6001',
    instead: 'wx5b1a2c3d4e5f6002',
    gives: ['wx5b1a2c3d4e5f6001', 'wx5b1a2c3d4e5f6002']
  },
  {
    field: 'open.miniprogram.page',
    story: sent(
      follower,
      (w, page) => ({ ...byBrand(w), open: { miniprogram: { appId: 'wx5b1a2c3d4e5f6001', page } } }),
      call(({ miniprogram }) => miniprogram.pagepath.split(/[?&]?hytag/)[0])
    ),
    said: 'pages/a',
    instead: 'pages/b',
    gives: ['pages/a', 'pages/b']
  },
  {
    field: 'open.url',
    story: sent(
      follower,
      (w, url) => ({ ...byBrand(w), open: { url } }),
      call(({ url }) => url?.split('/o/')[0])
    ),
    said: 'https://shop.test/a',
    gives: ['http://hongyan.test', undefined]
  },
  {
    field: 'lane',
    // Three a day are enough, of what is not urgent.
    story: async (w, lane) => {
      const who = await w.somebody({ grants: 4 })
      for (let n = 0; n < 3; n++) await posted(w, who)
      await posted(w, who, { lane })
      return (await fatesOf(w, who)).sort()
    },
    said: 'bulk',
    gives: [
      ['accepted', 'accepted', 'accepted', 'skipped capped'],
      ['accepted', 'accepted', 'accepted', 'accepted']
    ]
  },
  {
    field: 'at',
    story: sent(
      { grants: 1 },
      (w, ms) => (ms === undefined ? {} : { at: w.instant(ms) }),
      first(({ state, waitingFor }) => [state, waitingFor])
    ),
    said: HOUR,
    gives: [
      ['planned', 'time'],
      ['accepted', null]
    ]
  },
  {
    field: 'notAfter',
    story: async (w, ms) => {
      const who = await w.somebody()
      await posted(w, who, { waitForCredential: true, ...(ms !== undefined && { notAfter: w.instant(ms) }) })
      await w.later(HOUR)
      return fatesOf(w, who)
    },
    said: 30 * MINUTE,
    gives: [['expired'], ['planned']]
  },
  {
    field: 'scene',
    story: sent({ grants: 1 }, (_w, scene) => ({ scene }), first(patience)),
    said: 'payment',
    gives: [1, 1440]
  },
  {
    field: 'waitForCredential',
    story: sent({}, (_w, waitForCredential) => ({ waitForCredential }), fates),
    said: true,
    gives: [['planned'], ['skipped noCredential']]
  },
  {
    field: 'reference',
    story: sent(
      { grants: 1 },
      (_w, reference) => ({ reference }),
      async (w) => {
        const found = await w.ask('GET', '/v1/messages?reference=order-8231')
        const many = found.data.length
        await w.db.collection('messages').updateMany({ reference: 'order-8231' }, { $set: { reference: null } })
        return many
      }
    ),
    said: 'order-8231',
    gives: [1, 0]
  },
  {
    field: 'templated',
    story: sent(
      { grants: 1 },
      (_w, templated) => ({ templated, data: { item: '龙井' }, content: { ...SAYS, thing1: '{{ data.item }}' } }),
      async (w, who, answer) => answer.errors ?? (await w.taken(who))[0].data.thing1.value
    ),
    said: true,
    gives: ['龙井', ['content.placeholder']]
  },
  {
    field: 'data',
    story: sent(
      { grants: 1 },
      (_w, data) => ({ templated: true, data, content: { ...SAYS, thing1: "{{ data.item | default: '茶' }}" } }),
      call(({ data }) => data.thing1.value)
    ),
    said: { item: '龙井' },
    gives: ['龙井', '茶']
  },
  {
    field: 'tooLong',
    story: sent(
      { grants: 1 },
      (_w, tooLong) => ({
        templated: true,
        data: { item: '长'.repeat(30) },
        content: { ...SAYS, thing1: '{{ data.item }}' },
        tooLong
      }),
      async (w, who, answer) => answer.errors ?? (await w.taken(who))[0].data.thing1.value.length
    ),
    said: 'fail',
    gives: [['content.tooLong'], 20]
  },
  {
    field: 'fallback[].accountId',
    story: sent(
      { apps: ['shop', 'service'], forms: 1, follows: true },
      (w, brand) => (brand === true ? fallsToBrand(w, {}) : falls(w, {})),
      async (w, who) => {
        const [{ touser }] = await w.taken(who)
        return touser === who.openId.service
      }
    ),
    said: true,
    instead: false,
    gives: [true, false]
  },
  {
    field: 'fallback[].templateId',
    story: async (w, templateId) => {
      const who = await w.somebody({ apps: ['shop', 'clinic'], forms: 1 })
      await w.grant(who, 'shop', PICKUP)
      const step = templateId === LEGACY ? {} : { templateId, content: SAYS }
      const begin = { accountId: w.accounts.clinic, templateId: BOOKING, content: BOOKED }
      await posted(w, who, { ...begin, ...falls(w, step) })
      return (await w.taken(who)).map(({ template_id }) => template_id)
    },
    said: LEGACY,
    instead: PICKUP,
    gives: [[LEGACY], [PICKUP]]
  },
  {
    field: 'fallback[].content',
    story: sent(
      inReserve,
      (w, content) => falls(w, { content }),
      last(({ data }) => data.keyword1.value)
    ),
    said: { ...SHIPPED, keyword1: 'D2' },
    instead: SHIPPED,
    gives: ['D2', 'D1']
  },
  {
    field: 'fallback[].content.*.value',
    story: sent(
      inReserve,
      (w, keyword1) => falls(w, { content: { ...SHIPPED, keyword1 } }),
      last(({ data }) => data.keyword1.value)
    ),
    said: { value: 'D3' },
    instead: 'D1',
    gives: ['D3', 'D1']
  },
  {
    field: 'fallback[].content.*.color',
    story: sent(
      inReserve,
      (w, color) => falls(w, { content: { ...SHIPPED, keyword1: { value: 'D1', color } } }),
      last(({ data }) => data.keyword1.color)
    ),
    said: '#173177',
    gives: ['#173177', undefined]
  },
  {
    field: 'fallback[].open.page',
    story: sent(
      inReserve,
      (w, page) => falls(w, { open: { page } }),
      last(({ page }) => page?.split(/[?&]?hytag/)[0])
    ),
    said: 'pages/late',
    gives: ['pages/late', undefined]
  },
  {
    field: 'fallback[].open.miniprogram.appId',
    story: sent(
      brandFan,
      (w, appId) => fallsToBrand(w, { open: { miniprogram: { appId, page: 'pages/a' } } }),
      last(({ miniprogram }) => miniprogram.appid)
    ),
    said: 'wx5b1a2c3d4e5f6001',
    instead: 'wx5b1a2c3d4e5f6002',
    gives: ['wx5b1a2c3d4e5f6001', 'wx5b1a2c3d4e5f6002']
  },
  {
    field: 'fallback[].open.miniprogram.page',
    story: sent(
      brandFan,
      (w, page) => fallsToBrand(w, { open: { miniprogram: { appId: 'wx5b1a2c3d4e5f6001', page } } }),
      last(({ miniprogram }) => miniprogram.pagepath.split(/[?&]?hytag/)[0])
    ),
    said: 'pages/a',
    instead: 'pages/b',
    gives: ['pages/a', 'pages/b']
  },
  {
    field: 'fallback[].open.url',
    story: sent(
      brandFan,
      (w, url) => fallsToBrand(w, { open: { url } }),
      last(({ url }) => url?.split('/o/')[0])
    ),
    said: 'https://shop.test/a',
    gives: ['http://hongyan.test', undefined]
  }
]
