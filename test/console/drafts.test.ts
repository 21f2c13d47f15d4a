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
  ['once', { trigger: { kind: 'once', at: '2026-03-03T02:00:00.000Z', zone: 'Asia/Tokyo' } }],
  [
    'recurring',
    {
      trigger: {
        kind: 'recurring',
        zone: 'Asia/Shanghai',
        from: '2026-03-01T00:00:00.000Z',
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
        where: { amount: { gte: 100 } },
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
