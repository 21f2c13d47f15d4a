import t from 'tap'
import { PER_DAY } from '../../shared/limits.js'
import { Trigger } from '../../shared/trigger.js'
import { consoleCode } from './code.js'

type Code = {
  language: { value: 'zh-CN' | 'en' }
  zone: { value: string }
  triggerInWords: (trigger: object) => string
  triggerInShort: (trigger: object) => string
  spanExactly: (ms: number) => string
  originOf: (value: unknown, standard: unknown, shown: string, whose: string) => string
  inWords: (rule: object) => string
}
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const shanghai = { zone: 'Asia/Shanghai' }
const from = '2026-03-01T00:00:00Z'

/** A trigger, what both languages say of it, and the names both must have. */
const SAID: readonly [what: string, trigger: object, zh: string, en: string, names: string[]][] = [
  [
    'once',
    { kind: 'once', at: '2026-03-02T02:00:00Z', ...shanghai },
    '2026/03/02 10:00（Asia/Shanghai）发送一次',
    'Once, 2026-03-02, 10:00 (Asia/Shanghai)',
    ['Asia/Shanghai']
  ],
  [
    'once, in a zone of its own',
    { kind: 'once', at: '2026-07-02T02:00:00Z', zone: 'America/New_York' },
    '2026/07/01 22:00（America/New_York）发送一次',
    'Once, 2026-07-01, 22:00 (America/New_York)',
    ['America/New_York']
  ],
  [
    'every day, several times',
    { kind: 'recurring', every: 'day', times: ['18:30', '09:00'], from, ...shanghai },
    '每天 09:00、18:30（Asia/Shanghai）；2026/03/01 08:00 起',
    'Every day at 09:00, 18:30 (Asia/Shanghai); from 2026-03-01, 08:00',
    ['Asia/Shanghai']
  ],
  [
    'some days of the week, for a while',
    { kind: 'recurring', every: 'week', days: [7, 1], times: ['10:00'], from, until: '2026-06-30T15:59:00Z', zone: 'Asia/Tokyo' }, // prettier-ignore
    '每周一、周日 10:00（Asia/Tokyo）；2026/03/01 09:00 至 2026/07/01 00:59',
    'Every Mon, Sun at 10:00 (Asia/Tokyo); from 2026-03-01, 09:00 until 2026-07-01, 00:59',
    ['Asia/Tokyo']
  ],
  [
    'some days of the month, several times',
    { kind: 'recurring', every: 'month', days: [31, 1, 15], times: ['08:00', '20:00'], from, ...shanghai },
    '每月 1、15、31 日 08:00、20:00（Asia/Shanghai）；2026/03/01 08:00 起',
    'Every month on 1, 15, 31 at 08:00, 20:00 (Asia/Shanghai); from 2026-03-01, 08:00',
    ['Asia/Shanghai']
  ],
  [
    'an event',
    { kind: 'event', event: 'order_paid' },
    '发生 order_paid 后立即',
    'At once after order_paid',
    ['order_paid']
  ],
  [
    'an event, later, of each order once in a while',
    { kind: 'event', event: 'order_paid', delayMs: DAY + HOUR + 90_000, key: 'orderId', reentry: { perDays: 7 } },
    '发生 order_paid 后 1天1小时1分钟30秒；每个 orderId 各算各的；每人每 7 天一次',
    '1 day 1 hr 1 min 30 sec after order_paid; each orderId by itself; once a person in 7 days',
    ['order_paid', 'orderId']
  ],
  [
    'ahead of what an event names, unless it is taken back',
    { kind: 'event', event: 'booked', before: { property: 'startsAt', ms: 2 * HOUR }, cancelOn: { event: 'cancelled' }, reentry: 'once' }, // prettier-ignore
    'booked 的 startsAt 之前 2小时；发送前出现 cancelled 就不发；每人只一次',
    '2 hr before startsAt of booked; not if cancelled comes first; once a person',
    ['booked', 'startsAt', 'cancelled']
  ],
  [
    'an event under conditions, and one that takes it back under others',
    {
      kind: 'event',
      event: 'cart',
      delayMs: 30 * MINUTE,
      where: { amount: { gte: 100, lt: 500 }, city: '上海', note: { exists: false }, size: { in: ['S', 'M'] } },
      cancelOn: { event: 'order_paid', where: { amount: { gt: 99 } } }
    },
    '发生 cart 后 30分钟；只限 cart 满足 amount 不小于 100、amount 小于 500、city 等于 上海、没有 note、size 是其中之一 S, M；' +
      '发送前出现 order_paid（amount 大于 99）就不发',
    '30 min after cart; only cart where amount is at least 100, amount is less than 500, city is 上海, lacks note, ' +
      'size is one of S, M; not if order_paid (amount is more than 99) comes first',
    ['cart', 'amount', 'city', '上海', 'note', 'size', 'order_paid']
  ],
  [
    'A and not B',
    { kind: 'notFollowed', event: 'order_placed', missing: 'order_paid', withinMs: 90 * MINUTE, where: { amount: 5 }, key: 'orderId' }, // prettier-ignore
    '发生 order_placed 后 1小时30分钟 内没有 order_paid；只限 order_placed 满足 amount 等于 5；每个 orderId 各算各的',
    'order_placed without order_paid within 1 hr 30 min; only order_placed where amount is 5; each orderId by itself',
    ['order_placed', 'order_paid', 'orderId']
  ]
]

t.test('what a trigger does is said with the same facts in both languages', async (t) => {
  const code = await consoleCode<Code>(
    'words/language.ts',
    'look/time.ts',
    'screens/campaigns/trigger-sentence.ts',
    'screens/audiences/look.ts',
    'screens/accounts/look.ts'
  )
  const inBoth = (say: () => string) => {
    const [zh, en] = (['zh-CN', 'en'] as const).map((language) => {
      code.language.value = language
      return say()
    })
    return { zh: zh!, en: en! }
  }
  const numbers = (text: string) => text.match(/\d+/g)?.map(Number).sort((a, b) => a - b) ?? [] // prettier-ignore

  for (const [what, trigger, zh, en, names] of SAID) {
    t.ok(Trigger.safeParse(trigger).success, `${what}: is a trigger`)
    // Whatever zone the console shows, the trigger's own is what counts.
    code.zone.value = 'Europe/Berlin'
    const said = inBoth(() => code.triggerInWords(trigger))
    t.same(said, { zh, en }, what)
    t.same(numbers(said.zh), numbers(said.en), `${what}: the same numbers`)
    for (const name of names) t.ok(said.zh.includes(name) && said.en.includes(name), `${what}: ${name} in both`)
    const short = inBoth(() => code.triggerInShort(trigger))
    t.ok(said.zh.startsWith(short.zh) && said.en.startsWith(short.en), `${what}: in short`)
  }
  t.same(
    new Set(SAID.map(([, trigger]) => (trigger as { kind: string }).kind)).size,
    Trigger.options.length,
    'every kind is in the table'
  )

  t.same(inBoth(() => code.spanExactly(0)), { zh: '0秒', en: '0 sec' }) // prettier-ignore
  t.same(inBoth(() => code.spanExactly(25 * HOUR)), { zh: '1天1小时', en: '1 day 1 hr' }) // prettier-ignore
  t.same(
    inBoth(() => code.inWords({ did: 'paid', where: { amount: { gt: 9 } }, atLeast: 2, withinDays: 30 })),
    {
      zh: '做过的事: paid (amount 大于 9) × 2 ≤ 30天',
      en: 'Something they did: paid (amount is more than 9) × 2 ≤ 30 days'
    }
  )
  const perDay = (value: number) => inBoth(() => code.originOf(value, PER_DAY.service, '100,000', 'wechat'))
  t.same(perDay(PER_DAY.service), { zh: '默认 100,000（微信规则）', en: 'Default: 100,000 (by WeChat’s rules)' })
  t.same(perDay(7), {
    zh: '本账号设置；默认 100,000（微信规则）',
    en: 'Set for this account; default: 100,000 (by WeChat’s rules)'
  })
})
