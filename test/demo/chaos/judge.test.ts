import t from 'tap'
import type { BookedMessage, Books } from '../../../demo/chaos/books.js'
import { isFine, judge, permanentRetries, whyUnknown } from '../../../demo/chaos/judge.js'
import type { Promised } from '../../../demo/chaos/load.js'
import type { SandboxRow } from '../../../demo/verify.js'

const APP = 'wx5b1a2c3d4e5f6001'
const message = (id: string, state: string, more: Partial<BookedMessage> = {}): BookedMessage => ({
  id,
  appid: APP,
  openid: 'o1',
  campaignId: null,
  state,
  reason: null,
  code: null,
  by: 'answer',
  channel: 'legacy',
  source: 'form',
  lease: null,
  todo: false,
  attempts: 1,
  log: [{ kind: 'answer', code: 0, note: null }],
  ...more
})
const row = (id: string, seq = 1): SandboxRow => ({
  seq,
  at: 1000,
  appid: APP,
  channel: 'legacy',
  openid: 'o1',
  templateId: 'T',
  page: `pages/a?hytag=${id}.sig`
})
const answered = (code: number) => ({ kind: 'answer', code, note: null })
const silent = { kind: 'noAnswer', code: null, note: 'timeout: no whole answer in time' }
const unknown = { reason: 'noAnswer', by: null, attempts: 1, log: [silent] }

const judged = (books: Partial<Books>, promised: Partial<Promised> = {}, doomed: string[] = []) =>
  judge(
    { messages: [], credentials: [], sandboxRows: [], sandboxCredentials: [], ...books },
    { caught: [], direct: books.messages?.map(({ id }) => id) ?? [], expected: {}, ...promised },
    new Set(doomed)
  )
const faultsOf = (...asked: Parameters<typeof judged>) => {
  const { lost, double, stuck, disagreements, unexplained, permanentRetries: retries } = judged(...asked)
  return { lost, double, stuck, disagreements, unexplained, retries }
}
const none = { lost: 0, double: 0, stuck: 0, disagreements: 0, unexplained: 0, retries: 0 }
const fine = { messages: [message('m', 'accepted')], sandboxRows: [row('m')] }

t.test('both books', async (t) => {
  t.same(faultsOf(fine), none, 'agree on a message both call sent')
  t.ok(isFine(judged(fine)))

  t.same(faultsOf(fine, { direct: ['m', 'n'] }), { ...none, lost: 1 }, 'one promised over the API is not there')
  t.same(faultsOf(fine, { direct: [] }), { ...none, double: 1 }, 'one is there that nobody asked for')
  t.same(faultsOf(fine, { direct: ['m', 'm'] }), none, 'the same one asked for twice is one')
  t.same(faultsOf({ ...fine, sandboxRows: [row('m'), row('m', 2)] }), { ...none, double: 1 }, 'delivered twice')
  t.same(faultsOf({ ...fine, sandboxRows: [] }), { ...none, disagreements: 1 }, 'called sent, and never taken')
  t.notOk(isFine(judged({ ...fine, sandboxRows: [] })))

  const open = { messages: [message('m', 'held')] }
  t.same(faultsOf(open), { ...none, lost: 1, stuck: 1 }, 'one that never ended is lost, and stuck')
  t.same(faultsOf({ ...fine, messages: [message('m', 'accepted', { lease: 't' })] }), { ...none, stuck: 1 })
  t.same(faultsOf({ ...fine, messages: [message('m', 'accepted', { todo: true })] }), { ...none, stuck: 1 })
})

t.test('what is unknown says why', async (t) => {
  const grant = { source: 'grant', channel: 'subscribe' as const }
  const cases: [string | null, Partial<BookedMessage>][] = [
    ['grant: no answer (timeout)', { ...grant, ...unknown }],
    ['payment: the process died with the request out', { ...unknown, source: 'payment', attempts: 1, log: [] }],
    ['service: the process died with the request out', { ...unknown, source: 'none', channel: 'service', attempts: 2 }],
    [null, { ...grant, ...unknown, log: [answered(-1)] }]
  ]
  for (const [why, more] of cases) t.equal(whyUnknown(message('m', 'unknown', more)), why, why ?? 'or it counts')

  const messages = [
    message('m', 'unknown', { ...unknown, ...grant }),
    message('n', 'unknown', { ...unknown, source: 'payment', log: [answered(-1)] })
  ]
  const both = judged({ messages, sandboxRows: [row('m')] })
  t.same(both.unknown, { 'grant: no answer (timeout); WeChat took it': 1, 'unexplained; WeChat never took it': 1 })
  t.equal(both.unexplained, 1)
  t.notOk(isFine(both))
})

t.test('a code no asking mends is asked about once', async (t) => {
  const cases: [number, number[]][] = [
    [0, [40003]],
    [1, [40003, 40003]],
    [1, [40003, 43004, 0]],
    [0, [-1, 40001, 45011, 0]],
    [0, [41028, 0]],
    [0, []]
  ]
  for (const [times, codes] of cases) t.equal(permanentRetries(codes.map(answered)), times, codes.join(', '))
  t.equal(permanentRetries([silent, answered(40003)]), 0, 'silence may be asked about')
  const twice = message('m', 'failed', { code: 40003, log: [answered(40003), answered(40003)] })
  t.notOk(isFine(judged({ messages: [twice] })))
})

t.test('success is of those nobody was set up to refuse', async (t) => {
  const messages = [
    message('a', 'accepted'),
    message('b', 'delivered'),
    message('c', 'unknown', unknown),
    message('d', 'failed', { openid: 'doomed', code: 40003, log: [answered(40003)] })
  ]
  const rows = [row('a'), row('b', 2), row('c', 3)]
  t.equal(judged({ messages, sandboxRows: rows }, {}, ['doomed']).success, 2 / 3, 'unknown is not success')
  t.same(judged({ messages, sandboxRows: rows }).byState, {
    accepted: 1,
    delivered: 1,
    unknown: 1,
    'failed: errcode 40003': 1
  })
})
