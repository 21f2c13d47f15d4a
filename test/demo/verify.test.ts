import t from 'tap'
import { habitsOf } from '../../demo/phones.js'
import { seeded } from '../../demo/random.js'
import { agreed, factsOf, tableOf } from '../../demo/report.js'
import { masked, messageOf, percentile, verify, type Ledgers } from '../../demo/verify.js'
import type { OurMessage, SandboxRow } from '../../demo/verify.js'

const APP = 'wx5b1a2c3d4e5f6001'
const FORM = 'abc0123456789def'
const TEMPLATE = 'SandboxSubscribePickup_00000000000000000000'

const message = (id: string, state: string, more: Partial<OurMessage> = {}): OurMessage => ({
  id,
  appid: APP,
  openid: 'o1',
  campaignId: 'c',
  state,
  reason: null,
  by: 'answer',
  ...more
})
const row = (id: string, more: Partial<SandboxRow> = {}): SandboxRow => ({
  seq: 1,
  at: 1000,
  appid: APP,
  channel: 'legacy',
  openid: 'o1',
  templateId: 'T',
  page: `pages/a?x=1&hytag=${id}.sig`,
  ...more
})
const credential = (more: object = {}) => ({
  id: 'k1',
  appid: APP,
  openid: 'o1',
  source: 'form',
  templateId: null,
  value: masked(FORM),
  state: 'live',
  sendsLeft: 1,
  held: 0,
  unlimited: false,
  ...more
})
const form = (usesLeft: number) => ({ kind: 'formId' as const, id: FORM, appid: APP, openid: 'o1', usesLeft })
const grant = (usesLeft: number | null) => ({
  kind: 'grant' as const,
  id: TEMPLATE,
  appid: APP,
  openid: 'o1',
  usesLeft
})
const caughtForm = { kind: 'formId' as const, id: FORM, appid: APP, openid: 'o1' }
const caughtGrant = { kind: 'grant' as const, id: TEMPLATE, appid: APP, openid: 'o1' }
const kept = (sendsLeft: number, more: object = {}) =>
  credential({ source: 'grant', templateId: TEMPLATE, value: '…', sendsLeft, ...more })

const judge = (ledgers: Partial<Ledgers>) => {
  const nothing = { messages: [], sandboxRows: [], credentials: [], sandboxCredentials: [], caught: [], expected: {} }
  const { lost, double, disagreements } = verify({ ...nothing, ...ledgers })
  return [lost, double, disagreements]
}
const fine = [0, 0, 0]
const lost = [1, 0, 0]
const double = [0, 1, 0]
const disagreement = [0, 0, 1]

t.test('two ledgers of messages', async (t) => {
  const cases: [string, number[], Partial<Ledgers>][] = [
    ['agree on a message both call sent', fine, { messages: [message('m', 'accepted')], sandboxRows: [row('m')] }],
    ['agree on one nobody sent', fine, { messages: [message('m', 'skipped', { reason: 'noCredential' })] }],
    [
      'agree on an unknown one WeChat took',
      fine,
      { messages: [message('m', 'unknown', { reason: 'noAnswer' })], sandboxRows: [row('m')] }
    ],
    ['agree on an unknown one WeChat never saw', fine, { messages: [message('m', 'unknown', { reason: 'noAnswer' })] }],
    [
      'agree on a failure by receipt',
      fine,
      { messages: [message('m', 'failed', { by: 'receipt' })], sandboxRows: [row('m')] }
    ],
    [
      'do not count a repeat WeChat recognised',
      fine,
      {
        messages: [message('m', 'delivered')],
        sandboxRows: [
          row('m', { page: undefined, clientMsgId: 'm.0' }),
          row('m', { seq: 2, page: undefined, clientMsgId: 'm.0', duplicateOf: 1 })
        ]
      }
    ],
    [
      'let a new round go out after a system failure',
      fine,
      {
        messages: [message('m', 'delivered')],
        sandboxRows: [
          row('m', { page: undefined, clientMsgId: 'm.0' }),
          row('m', { seq: 2, page: undefined, clientMsgId: 'm.1' })
        ]
      }
    ],
    ['call a message that is not final lost', lost, { messages: [message('m', 'held')] }],
    ['call one that is unknown for no reason lost', lost, { messages: [message('m', 'unknown')] }],
    ['call one a campaign should have made lost', lost, { messages: [message('m', 'skipped')], expected: { c: 2 } }],
    [
      'call one a campaign made too many double',
      double,
      { messages: [message('m', 'skipped'), message('n', 'skipped')], expected: { c: 1 } }
    ],
    [
      'call one delivered twice double',
      double,
      { messages: [message('m', 'accepted')], sandboxRows: [row('m'), row('m', { seq: 2 })] }
    ],
    ['disagree on one accepted that WeChat never took', disagreement, { messages: [message('m', 'accepted')] }],
    [
      'disagree on a receipt without a message',
      disagreement,
      { messages: [message('m', 'failed', { by: 'receipt' })] }
    ],
    [
      'disagree on one failed that WeChat took',
      disagreement,
      { messages: [message('m', 'failed')], sandboxRows: [row('m')] }
    ],
    [
      'disagree on one skipped that WeChat took',
      disagreement,
      { messages: [message('m', 'skipped')], sandboxRows: [row('m')] }
    ],
    [
      'disagree on one that went to somebody else',
      disagreement,
      { messages: [message('m', 'accepted')], sandboxRows: [row('m', { openid: 'o2' })] }
    ],
    ['disagree on one that is not ours', disagreement, { sandboxRows: [row('m')] }],
    ['disagree on one without a tag', disagreement, { sandboxRows: [row('m', { page: 'pages/a' })] }]
  ]
  for (const [name, wanted, ledgers] of cases) t.same(judge(ledgers), wanted, name)
})

t.test('two ledgers of rights', async (t) => {
  const doubt = [message('m', 'unknown', { reason: 'noAnswer', credentialId: 'k1' })]
  const cases: [string, number[], Partial<Ledgers>][] = [
    [
      'agree on a form that is left',
      fine,
      { caught: [caughtForm], credentials: [credential()], sandboxCredentials: [form(1)] }
    ],
    [
      'agree on one handed in twice',
      fine,
      { caught: [caughtForm, caughtForm], credentials: [credential()], sandboxCredentials: [form(1)] }
    ],
    [
      'agree on one that is spent',
      fine,
      { credentials: [credential({ sendsLeft: 0 })], sandboxCredentials: [form(0)] }
    ],
    [
      'agree on one burned where WeChat has none left',
      fine,
      { credentials: [credential({ state: 'dead' })], sandboxCredentials: [form(0)] }
    ],
    [
      'agree on the sum of grants',
      fine,
      {
        caught: [caughtGrant, caughtGrant],
        credentials: [kept(1), kept(0, { id: 'k2' })],
        sandboxCredentials: [grant(1)]
      }
    ],
    [
      'agree on a grant until withdrawn',
      fine,
      {
        caught: [caughtGrant, caughtGrant],
        credentials: [kept(0, { source: 'longTermGrant', unlimited: true })],
        sandboxCredentials: [grant(null)]
      }
    ],
    [
      'leave out what an unknown message may have used',
      fine,
      { messages: doubt, credentials: [credential({ sendsLeft: 0, held: 1 })], sandboxCredentials: [form(1)] }
    ],
    ['call a form that is not kept lost', lost, { caught: [caughtForm], sandboxCredentials: [form(1)] }],
    [
      'call one tap of two that is not kept lost',
      [1, 0, 0],
      { caught: [caughtGrant, caughtGrant], credentials: [kept(2)], sandboxCredentials: [grant(2)] }
    ],
    [
      'disagree on another number of sends',
      disagreement,
      { credentials: [credential()], sandboxCredentials: [form(0)] }
    ],
    [
      'disagree on one burned that WeChat would take',
      disagreement,
      { credentials: [credential({ state: 'dead' })], sandboxCredentials: [form(1)] }
    ],
    [
      'disagree on a send that is held for nothing',
      disagreement,
      { credentials: [credential({ sendsLeft: 0, held: 1 })], sandboxCredentials: [form(1)] }
    ],
    ['disagree on one WeChat never gave', disagreement, { credentials: [credential()] }]
  ]
  for (const [name, wanted, ledgers] of cases) t.same(judge(ledgers), wanted, name)
})

t.test('a sandbox row names its message', async (t) => {
  t.same(messageOf({ clientMsgId: 'ab.c.0' }), { id: 'ab.c', delivery: 'ab.c.0' }, 'by client_msg_id, with its round')
  t.same(messageOf({ page: 'pages/a?hytag=abc.sig&y=1' }), { id: 'abc', delivery: 'abc.sig' }, 'by the tag in its page')
  t.equal(messageOf({ page: 'pages/a?other=abc.sig' }), null, 'or not at all')
  t.equal(messageOf({}), null)
})

t.test('percentiles are by nearest rank', async (t) => {
  t.equal(percentile([5, 1, 4, 2, 3], 0.5), 3)
  t.equal(percentile([5, 1, 4, 2, 3], 0.95), 5)
  t.equal(percentile([], 0.5), null)
})

t.test('phones', async (t) => {
  const all = Array.from({ length: 300 }, (_, index) => habitsOf(index))
  const some = (what: (habits: (typeof all)[number]) => boolean) => all.filter(what).length
  t.same(habitsOf(12), habitsOf(12), 'do the same in every run')
  const shares = [
    some(({ forms }) => forms === 0),
    some(({ doubleTap }) => doubleTap),
    some(({ mock }) => mock === 'early'),
    some(({ mock }) => mock === 'late'),
    some(({ deprecated }) => deprecated),
    some(({ payment }) => payment === 'paid'),
    some(({ payment }) => payment === 'cancelled'),
    some(({ subscribe }) => subscribe === 'reject'),
    some(({ subscribe }) => subscribe === 'switchedOff'),
    some(({ offline, restart }) => offline && restart),
    some(({ losesAnswer }) => losesAnswer)
  ]
  t.ok(
    shares.every((n) => n > 0),
    'between them do everything'
  )
  const [one, two] = [seeded(7), seeded(7)]
  t.same([one(), one(), one()], [two(), two(), two()], 'and roll the same dice')
})

t.test('the end of a run', async (t) => {
  const messages = [message('m', 'accepted'), message('n', 'failed', { code: 43004 })]
  const ledgers: Ledgers = {
    messages,
    sandboxRows: [row('m')],
    credentials: [],
    sandboxCredentials: [],
    caught: [],
    expected: {}
  }
  const outcome = {
    captured: { stored: 3, duplicate: 1, refused: { mock: 2 }, atDoor: { retired: 1 } },
    messages: { total: 2, byState: { accepted: 1, failed: 1 }, byReason: { 'failed: errcode 43004': 1 } },
    verdict: verify(ledgers),
    ledgers,
    latency: { p50Ms: 300, p95Ms: null },
    faults: { 'errcode -1': 1 }
  }
  const summary = { ...factsOf(outcome), seconds: 12.3 }
  t.same(Object.keys(factsOf(outcome)), ['captured', 'messages', 'lost', 'double', 'disagreements', 'latency'])
  t.ok(agreed(summary), 'is good when nothing is lost, double or in dispute')
  t.notOk(agreed({ ...summary, double: 1 }))
  const table = tableOf(summary, outcome)
  for (const text of ['refused: mock', 'failed: errcode 43004', APP, 'p50 300 ms, p95 –', 'both ledgers agree']) {
    t.match(table, text)
  }
  const bad = { ...outcome, verdict: verify({ ...ledgers, sandboxRows: [] }) }
  t.match(
    tableOf({ ...factsOf(bad), seconds: 1 }, bad),
    /disagreements 1\n {2}disagreement: message m is accepted here/
  )
})
