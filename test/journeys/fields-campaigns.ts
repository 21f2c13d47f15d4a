import { triggerProbes } from './fields-triggers.js'
import {
  answering,
  BOOKED,
  BRANDED,
  call,
  created,
  fates,
  fatesOf,
  first,
  HOUR,
  MINUTE,
  online,
  patience,
  SAYS,
  SHIPPED,
  type Wish
} from './fields-stories.js'
import { BOOKING, BRAND, LEGACY, PICKUP, type Body, type Probe, type Somebody, type World } from './fields-world.js'

/** What each field of a campaign does, seen from outside: over REST, and in the calls WeChat took. */

const ofClinic = (w: World) => ({ accountId: w.accounts.clinic, templateId: BOOKING, content: BOOKED })
const ofBrand = (w: World) => ({
  accountId: w.accounts.service,
  templateId: BRAND,
  content: BRANDED,
  lane: 'transactional'
})

/** Somebody does the event of a campaign; `look` tells what can be seen. */
function answered(
  wish: Wish,
  more: (w: World, field: any, event: string) => Body,
  look: (w: World, who: Somebody, id: string) => Promise<unknown>,
  properties: Body = {}
): Probe['story'] {
  return async (w, field) => {
    const event = w.unique('bought')
    const who = await w.somebody(wish)
    return online(w, answering(w, event, more(w, field, event)), async (id) => {
      await w.does(who, event, properties)
      return look(w, who, id)
    })
  }
}

/** Probes of `POST /v1/campaigns`, and of PATCH by the same fields. */
export const campaignProbes: readonly Probe[] = [
  {
    field: 'name',
    story: async (w, name) => (await created(w, answering(w, w.unique('e'), { name }))).name,
    said: '到货提醒',
    instead: '别的',
    gives: ['到货提醒', '别的']
  },
  {
    field: 'accountId',
    story: answered(
      { apps: ['shop', 'clinic'], grants: 1 },
      (w, account) => (account === 'clinic' ? ofClinic(w) : {}),
      async (w, who) => {
        const [{ accountId }] = await w.messages(who)
        const [{ touser }] = await w.taken(who)
        return [accountId === w.accounts.clinic, touser === who.openId.clinic]
      }
    ),
    said: 'clinic',
    instead: 'shop',
    gives: [
      [true, true],
      [false, false]
    ]
  },
  {
    field: 'audienceId',
    story: async (w, limited) => {
      const event = w.unique('bought')
      const tag = w.unique('vip')
      const who = await w.somebody({ grants: 1 })
      const { id: audienceId } = await w.ask('POST', '/v1/audiences', {
        name: tag,
        rule: { tag, op: 'exists', value: true }
      })
      return online(w, answering(w, event, { audienceId: limited === true ? audienceId : null }), async () => {
        await w.does(who, event)
        return fatesOf(w, who)
      })
    },
    said: true,
    instead: false,
    gives: [[], ['accepted']]
  },
  {
    field: 'templateId',
    story: answered(
      { forms: 1, grants: 1 },
      (_w, templateId) => (templateId === LEGACY ? { templateId, content: SHIPPED } : {}),
      call(({ template_id }) => template_id)
    ),
    said: LEGACY,
    gives: [LEGACY, PICKUP]
  },
  {
    field: 'lane',
    // What is not urgent leaves the last right of a person to what is.
    story: async (w, lane) => {
      await w.ask('PATCH', `/v1/accounts/${w.accounts.shop}`, { reserveForTransactional: 1 })
      const seen = await answered({ grants: 1 }, () => ({ lane }), fates)(w, lane)
      await w.ask('PATCH', `/v1/accounts/${w.accounts.shop}`, { reserveForTransactional: 0 })
      return seen
    },
    said: 'transactional',
    gives: [['accepted'], ['skipped noCredential']]
  },
  {
    field: 'content',
    story: answered(
      { grants: 1 },
      (_w, content) => ({ content }),
      call(({ data }) => data.thing1.value),
      {
        item: '龙井'
      }
    ),
    said: { ...SAYS, thing1: '{{ event.item }}到了' },
    instead: SAYS,
    gives: ['龙井到了', '桂花糕']
  },
  {
    field: 'content.*.value',
    story: answered(
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
    story: answered(
      { apps: ['shop'], forms: 1 },
      (_w, color) => ({ templateId: LEGACY, content: { ...SHIPPED, keyword1: { value: 'D1', color } } }),
      call(({ data }) => data.keyword1.color)
    ),
    said: '#173177',
    gives: ['#173177', undefined]
  },
  {
    field: 'open.page',
    story: answered(
      { grants: 1 },
      (_w, page) => ({ open: { page } }),
      call(({ page }) => page?.split('hytag')[0]),
      { id: 7 }
    ),
    said: 'pages/order?id={{ event.id }}',
    gives: ['pages/order?id=7&', undefined]
  },
  {
    field: 'open.miniprogram.appId',
    story: answered(
      { apps: ['service'], follows: true },
      (w, appId) => ({ ...ofBrand(w), open: { miniprogram: { appId, page: 'pages/a' } } }),
      call(({ miniprogram }) => miniprogram?.appid)
    ),
    said: 'wx5b1a2c3d4e5f6001',
    instead: 'wx5b1a2c3d4e5f6002',
    gives: ['wx5b1a2c3d4e5f6001', 'wx5b1a2c3d4e5f6002']
  },
  {
    field: 'open.miniprogram.page',
    story: answered(
      { apps: ['service'], follows: true },
      (w, page) => ({ ...ofBrand(w), open: { miniprogram: { appId: 'wx5b1a2c3d4e5f6001', page } } }),
      call(({ miniprogram }) => miniprogram.pagepath?.split(/[?&]?hytag/)[0])
    ),
    said: 'pages/a',
    instead: 'pages/b',
    gives: ['pages/a', 'pages/b']
  },
  {
    field: 'open.url',
    story: answered(
      { apps: ['service'], follows: true },
      (w, url) => ({ ...ofBrand(w), open: { url } }),
      call(({ url }) => url?.split('/o/')[0])
    ),
    said: 'https://shop.test/a',
    gives: ['http://hongyan.test', undefined]
  },
  {
    field: 'scene',
    story: answered({ grants: 1 }, (_w, scene) => ({ scene }), first(patience)),
    said: 'appointment',
    gives: [5, 1440]
  },
  {
    field: 'emphasis',
    story: answered(
      { forms: 1 },
      (_w, emphasis) => ({ templateId: LEGACY, content: SHIPPED, emphasis }),
      call(({ emphasis_keyword }) => emphasis_keyword)
    ),
    said: 'keyword2',
    gives: ['keyword2.DATA', undefined]
  },
  {
    field: 'tooLong',
    story: answered(
      { grants: 1 },
      (_w, tooLong) => ({ tooLong, content: { ...SAYS, thing1: '{{ event.item }}' } }),
      fates,
      { item: '长'.repeat(30) }
    ),
    said: 'skip',
    gives: [['skipped invalidValue: thing1: tooLong'], ['accepted']]
  },
  {
    field: 'missingVariable',
    story: answered(
      { grants: 1 },
      (_w, missingVariable) => ({ missingVariable, content: { ...SAYS, thing1: '{{ user.unknown }}' } }),
      async (w, who, id) => [await fatesOf(w, who), (await w.ask('GET', `/v1/campaigns/${id}`)).state]
    ),
    said: 'stop',
    gives: [
      [[], 'paused'],
      [['skipped missingVariable'], 'online']
    ]
  },
  {
    field: 'lifeMs',
    story: answered({ grants: 1 }, (_w, lifeMs) => ({ lifeMs }), first(patience)),
    said: 2 * HOUR,
    gives: [120, 1440]
  },
  {
    field: 'waitForCredential',
    story: answered(
      {},
      (_w, waitForCredential) => ({ waitForCredential }),
      first(({ state, waitingFor }) => [state, waitingFor])
    ),
    said: true,
    gives: [
      ['planned', 'credential'],
      ['skipped', null]
    ]
  },
  {
    field: 'topic',
    story: async (w, topic) => {
      const event = w.unique('bought')
      const who = await w.somebody({ grants: 1 })
      await w.ask('POST', '/v1/opt-outs', { personId: who.id, topic: 'offers' })
      return online(w, answering(w, event, { topic }), async () => {
        await w.does(who, event)
        return fatesOf(w, who)
      })
    },
    said: 'offers',
    gives: [['skipped optedOut'], ['accepted']]
  },
  {
    field: 'caps.perPersonPerDay',
    story: async (w, perPersonPerDay) => {
      const event = w.unique('bought')
      const who = await w.somebody({ grants: 2 })
      const caps = perPersonPerDay === undefined ? {} : { caps: { perPersonPerDay } }
      return online(w, answering(w, event, caps), async () => {
        await w.does(who, event)
        await w.does(who, event)
        return (await fatesOf(w, who)).sort()
      })
    },
    said: 1,
    gives: [
      ['accepted', 'skipped capped'],
      ['accepted', 'accepted']
    ]
  },
  ...(['missed', 'missed.lateWithinMs'] as const).map((field): Probe => ({
    field,
    // Nobody was there to start it for half an hour.
    story: async (w, missed) => {
      const who = await w.somebody({ grants: 1 })
      const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: 'one', personIds: [who.id] })
      const trigger = { kind: 'once', at: w.instant(HOUR) }
      return online(w, { ...answering(w, ''), audienceId, trigger, missed }, async (id) => {
        await w.later(1.5 * HOUR)
        return (await w.ask('GET', `/v1/campaigns/${id}/runs`)).data.map(({ state }: Body) => state)
      })
    },
    said: field === 'missed' ? 'skip' : { lateWithinMs: 10 * MINUTE },
    ...(field !== 'missed' && { instead: { lateWithinMs: HOUR } }),
    gives: [['missed'], ['finished']]
  })),
  ...triggerProbes
]
