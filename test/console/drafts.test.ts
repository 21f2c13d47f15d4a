import t from 'tap'
import { CampaignCreate, CampaignPatch } from '../../shared/campaign.js'
import { consoleCode } from './code.js'

type Code = {
  draftOf: (campaign: object, now: number) => object
  bodyOf: (draft: object) => object | null
  patchOf: (body: object) => object
}
const NOW = Date.parse('2026-03-02T00:00:00Z')
const plain = {
  name: '提醒',
  accountId: 'a1',
  audienceId: 'p1',
  templateId: 't1',
  lane: 'bulk',
  content: { thing1: '{{ user.name }}', thing2: { value: '好', color: '#173177' } },
  missingVariable: 'skip',
  waitForCredential: false
}
const answer = { event: 'order_placed', reentry: 'each' }

/** Campaigns as somebody may have made them over the API, with all that can be said of one. */
const CAMPAIGNS: readonly [what: string, fields: object][] = [
  ['once', { trigger: { kind: 'once', at: '2026-03-03T02:00:30.500Z', zone: 'Asia/Tokyo' } }],
  ['in the second of two equal hours', { trigger: { kind: 'once', at: '2026-11-01T06:30:00.000Z', zone: 'America/New_York' } }], // prettier-ignore
  [
    'recurring',
    {
      trigger: {
        kind: 'recurring',
        zone: 'Asia/Shanghai',
        from: '2026-03-01T00:00:30.000Z',
        until: '2026-05-01T00:00:00.000Z',
        every: 'month',
        days: [1, 31],
        times: ['09:00', '18:00']
      },
      missed: { lateWithinMs: 0 },
      scene: 'logistics',
      topic: 'offers'
    }
  ],
  [
    'an event with all conditions',
    {
      trigger: {
        kind: 'event',
        ...answer,
        where: {
          amount: { gte: 100 },
          vip: { eq: true },
          note: { ne: '' },
          city: { in: ['a,b', 'c'] },
          level: { in: [] },
          name: { eq: ' x ' }
        },
        key: 'orderId',
        delayMs: 30_000,
        cancelOn: { event: 'order_paid', where: { amount: { gt: 99 } } }
      },
      lane: 'transactional',
      open: { page: 'pages/order?id={{ event.orderId }}' },
      emphasis: 'thing1',
      tooLong: 'cut',
      lifeMs: 90_000,
      caps: { perPersonPerDay: 2 }
    }
  ],
  ['ahead of a time', { trigger: { kind: 'event', ...answer, reentry: { perDays: 3 }, before: { property: 'startsAt', ms: 3_600_000 } } }], // prettier-ignore
  [
    'A and not B',
    {
      trigger: { kind: 'notFollowed', ...answer, missing: 'order_paid', withinMs: 5_400_000 },
      open: { miniprogram: { appId: 'wx5b1a2c3d4e5f6001', page: 'pages/a' }, url: 'https://example.com/' },
      waitForCredential: true,
      missingVariable: 'stop'
    }
  ]
]

t.test('a campaign opened in the wizard and saved is as it was', async (t) => {
  const { draftOf, bodyOf, patchOf } = await consoleCode<Code>('screens/campaigns/draft.ts')
  const same = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown
  for (const [what, fields] of CAMPAIGNS) {
    const campaign = { ...plain, ...fields }
    t.ok(CampaignCreate.safeParse(campaign).success, `${what}: is a campaign`)
    const body = bodyOf(draftOf(campaign, NOW))!
    t.same(same(body), campaign, what)
    t.ok(CampaignPatch.safeParse(same(patchOf(body))).success, `${what}: may be sent`)
  }
  const skipping = { ...plain, ...CAMPAIGNS[0]![1], missed: 'skip' }
  t.match(bodyOf(draftOf(skipping, NOW)), { missed: { lateWithinMs: 0 } }, 'skip: no later than at once')
})

type Line = { name: string; op: string; type: string; text: string }
type Rules = {
  newGroup: (mode: string, children: object[]) => object
  ruleOf: (group: object) => object
  isUnfinished: (node: object) => boolean
  draftOf: (rule: object) => object
}
t.test('what a condition shows is what it means; one that is not filled in is said to be', async (t) => {
  const { newGroup, ruleOf, isUnfinished, draftOf } = await consoleCode<Rules>('screens/audiences/rule-draft.ts')
  const did = (line: Line) => newGroup('all', [{ key: 1, kind: 'did', name: 'paid', atLeast: 1, withinDays: 0, where: [line] }]) // prettier-ignore
  const yes = { name: 'vip', op: 'eq', type: 'yesno', text: '' }
  t.same(ruleOf(did(yes)), { all: [{ did: 'paid', where: { vip: { eq: true } } }] }, 'shown as a tick')
  t.same(ruleOf(did({ ...yes, text: 'abc' })), { all: [{ did: 'paid', where: { vip: { eq: true } } }] })
  t.same(ruleOf(did({ ...yes, text: 'false' })), { all: [{ did: 'paid', where: { vip: { eq: false } } }] })
  t.notOk(isUnfinished(did(yes)))
  t.ok(isUnfinished(did({ ...yes, name: '' })), 'no name')
  t.ok(isUnfinished(did({ name: 'amount', op: 'gte', type: 'number', text: 'abc' })), 'no number')
  const reachable = { all: [{ reachable: true, templateId: 't1' }] }
  t.same(ruleOf(draftOf(reachable)), reachable)
})
