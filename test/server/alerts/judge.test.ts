import t from 'tap'
import { endingsOf, levelOf } from '../../../server/alerts/judge.js'
import { markdownOf, titleOf } from '../../../server/alerts/texts.js'
import { AlertKind } from '../../../shared/alert.js'

t.test('a figure', async (t) => {
  t.test('too high fires at one value and is fine again at another', async (t) => {
    const share = { fire: 0.2, clear: 0.1 }
    t.same(
      [0, 0.1, 0.11, 0.19, 0.2, 1].map((value) => levelOf(value, share)),
      [null, null, 'hold', 'hold', 'fire', 'fire']
    )
  })
  t.test('too low does the same the other way round', async (t) => {
    const days = { fire: 3, clear: 5 }
    t.same(
      [0, 3, 3.1, 4.9, 5, Infinity].map((value) => levelOf(value, days)),
      ['fire', 'fire', 'hold', 'hold', null, null]
    )
  })
  t.test('with one value for both holds nowhere', async (t) => {
    t.same(
      [0.1, 0.2, 0.3].map((value) => levelOf(value, { fire: 0.2, clear: 0.2 })),
      [null, 'fire', 'fire']
    )
  })
})

t.test('endings', async (t) => {
  t.test('are what was decided within the window, however often it moved there', async (t) => {
    const counters: { n: Record<string, number> }[] = [
      { n: { open: 100 } },
      { n: { open: -100, accepted: 90, 'failed:43004': 6, 'skipped:capped': 4 } },
      { n: { accepted: -80, delivered: 70, 'failed:userBlock': 10 } },
      { n: { unknown: 2, expired: 5 } }
    ]
    t.same(endingsOf(counters), {
      failed: 18,
      decided: 98,
      worst: { 'failed:userBlock': 10, 'failed:43004': 6, unknown: 2 }
    })
  })
  t.test('of what was accepted before it count once', async (t) => {
    t.match(endingsOf([{ n: { accepted: -100, delivered: 70, 'failed:userBlock': 30 } }]), { failed: 30, decided: 100 })
  })
  t.test('name the five worst', async (t) => {
    const n = Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((k) => [`failed:${k}`, k]))
    t.same(Object.keys(endingsOf([{ n }]).worst), ['failed:7', 'failed:6', 'failed:5', 'failed:4', 'failed:3'])
  })
})

t.test('titles', async (t) => {
  const facts = {
    share: 0.256,
    failed: 13,
    decided: 51,
    windowMinutes: 15,
    daysLeft: 1.24,
    behindMs: 330_000,
    reason: 'why',
    drifted: 2
  }
  const subjects = [
    'state',
    'blocked:service',
    'penalty',
    'platform ticket',
    'formIds spent elsewhere',
    'templates',
    'source punished',
    'refusals in a burst',
    'tokens refused',
    'relay',
    'errcode 45009',
    'unknown errcode -7'
  ]
  t.test('say of every kind what is wrong, in both languages', async (t) => {
    const all = [
      ...AlertKind.options.filter((kind) => kind !== 'account').map((kind) => ({ kind, subject: 'T' })),
      ...subjects.map((subject) => ({ kind: 'account' as const, subject }))
    ]
    const titles = all.flatMap((each) => [titleOf({ ...each, facts }, 'zh'), titleOf({ ...each, facts }, 'en')])
    t.equal(new Set(titles).size, all.length * 2)
    for (const title of titles) t.notMatch(title, /undefined|NaN|null|object/, title)
    t.equal(titleOf({ kind: 'failures', subject: '', facts }, 'zh'), '最近 15 分钟有 26% 的消息发送失败（13/51）')
    t.equal(titleOf({ kind: 'queue', subject: '', facts }, 'en'), 'messages are 5.5 min late and do not go out')
    t.match(titleOf({ kind: 'account', subject: 'unknown errcode -7', facts }, 'en'), /nobody knows: -7$/)
  })
  t.test('take no markup from outside into a robot’s message', async (t) => {
    const text = markdownOf(
      {
        kind: 'webhook',
        subject: 'h',
        facts: { reason: 'a](http://evil) <font color="info">**x**\n> 账号: y' },
        accountId: 'a',
        accountName: '晨读<b>',
        what: 'fired',
        at: new Date('2026-03-02T04:00:00Z')
      },
      'zh'
    )
    t.same(text.split('\n'), [
      '<font color="warning">鸿雁告警</font> **回调地址已停用：a(http://evil) font color="info"x  账号: y**',
      '> 账号: 晨读b',
      '> 时间: 2026-03-02 12:00:00'
    ])
  })
})
