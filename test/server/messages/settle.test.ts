import t from 'tap'
import { backOffMs, MAX_ATTEMPTS, settle, type Asked } from '../../../server/messages/settle.js'
import { gate, type GateFacts } from '../../../server/messages/gates.js'
import { quietUntil } from '../../../server/messages/quiet-hours.js'
import type { MessageRow } from '../../../server/messages/model.js'
import { ERRCODES } from '../../../server/wechat/errcodes.js'
import { answer, noAnswer, notSent } from '../../support/ledger.js'

const asked = (more: Partial<Asked> = {}): Asked => ({
  channel: 'legacy',
  source: 'form',
  doubt: false,
  minus1: false,
  exclusive: true,
  attempt: 1,
  liveForMs: null,
  burst: false,
  ...more
})
const of = (more: Partial<Asked>, code: number | 'noAnswer' | 'notSent' | 'refused' | 'http500') => {
  const result =
    code === 'noAnswer'
      ? noAnswer()
      : code === 'notSent'
        ? notSent()
        : code === 'refused'
          ? ({ kind: 'refused', reason: 'HTTP 404', httpStatus: 404, ms: 1 } as const)
          : code === 'http500'
            ? ({ kind: 'noAnswer', reason: 'HTTP 500', httpStatus: 500, ms: 1 } as const)
            : answer(code)
  const verdict = settle(asked(more), result, 0.5)
  const release = 'release' in verdict && verdict.release !== undefined ? ` ${verdict.release}` : ''
  const by = 'by' in verdict ? ` ${verdict.by}` : ''
  return verdict.to + by + release
}

t.test('what an answer means', async (t) => {
  const payment = { source: 'payment', channel: 'legacy' } as const
  const grant = { source: 'grant', channel: 'subscribe' } as const
  const service = { source: 'none', channel: 'service' } as const
  const doubt = { doubt: true } as const
  const table: [string, Partial<Asked>, Parameters<typeof of>[1], string][] = [
    ['0', {}, 0, 'accepted answer'],
    ['0 after doubt', doubt, 0, 'accepted answer'],
    ['nothing was written', {}, 'notSent', 'again'],
    ['HTTP 404', {}, 'refused', 'again'],
    ['-1', {}, -1, 'again'],
    ['45011', {}, 45011, 'again'],
    ['43108', grant, 43108, 'again'],
    ['43117 waits for hours', service, 43117, 'again'],
    ['43117 after doubt', { ...service, ...doubt }, 43117, 'unknown'],
    ['40013 of a link stops the message alone', service, 40013, 'failed'],
    ['45009 waits for the reset', {}, 45009, 'reset'],
    ['40001 goes again with another token', {}, 40001, 'again'],
    ['42001', {}, 42001, 'again'],
    ['no answer to a form is doubt', {}, 'noAnswer', 'doubt'],
    ['HTTP 500 to a form is doubt', {}, 'http500', 'doubt'],
    ['no answer to a service message is doubt', service, 'noAnswer', 'doubt'],
    ['no answer to a payment is unknown', payment, 'noAnswer', 'unknown'],
    ['no answer to a grant is unknown', grant, 'noAnswer', 'unknown'],
    ['41029 of a form: somebody else spent it', {}, 41029, 'next burn'],
    ['41029 after doubt is the first try', doubt, 41029, 'accepted inferred'],
    ['41029 after doubt proves nothing when others send', { ...doubt, exclusive: false }, 41029, 'unknown burn'],
    ['41029 after doubt and -1 proves nothing', { ...doubt, minus1: true }, 41029, 'unknown burn'],
    ['41028 of a form', {}, 41028, 'next burn'],
    ['41028 after doubt never takes another', doubt, 41028, 'unknown burn'],
    ['41031', {}, 41031, 'next burn'],
    ['41028 of a fresh payment waits', { ...payment, liveForMs: 60_000 }, 41028, 'next defer'],
    ['41028 of an old payment', { ...payment, liveForMs: 3_600_000 }, 41028, 'next burn'],
    ['41029 of a payment', payment, 41029, 'next burn'],
    ['43101 of a grant burns the older ones', grant, 43101, 'next burnAll'],
    ['43101 in a burst backs off', { ...grant, burst: true }, 43101, 'again'],
    ['43101 after doubt', { ...grant, ...doubt }, 43101, 'unknown'],
    ['43004 service', service, 43004, 'failed'],
    ['43004 service after doubt', { ...service, ...doubt }, 43004, 'unknown'],
    ['40241 service', service, 40241, 'failed'],
    ['40241 service after doubt: the first try', { ...service, ...doubt }, 40241, 'accepted inferred'],
    ['41032 gives the form back', {}, 41032, 'next refund'],
    ['41035 gives the payment back', payment, 41035, 'next refund'],
    ['41032 after doubt', doubt, 41032, 'unknown'],
    ['47003', grant, 47003, 'failed'],
    ['40037', {}, 40037, 'failed'],
    ['40037 after doubt', doubt, 40037, 'unknown'],
    ['a code nobody knows', {}, 987654, 'unknown'],
    ['a code nobody knows, after doubt', doubt, 987654, 'unknown']
  ]
  for (const [name, more, code, wanted] of table) t.equal(of(more, code), wanted, name)
})

t.test('every listed code settles every source, and none claims more than is known after doubt', async (t) => {
  const sources = ['form', 'payment', 'grant', 'longTermGrant', 'menu', 'none'] as const
  const channels = {
    form: 'legacy',
    payment: 'legacy',
    grant: 'subscribe',
    longTermGrant: 'subscribe',
    menu: 'service',
    none: 'service'
  } as const
  let settled = 0
  for (const row of ERRCODES) {
    for (const source of sources) {
      for (const doubt of [false, true]) {
        const verdict = settle(asked({ source, channel: channels[source], doubt }), answer(row.code), 0.5)
        settled += 1
        if (!doubt || row.code === 0) continue
        if (verdict.to === 'accepted') t.ok(verdict.by === 'inferred', `${row.code} ${source}`)
        if (verdict.to === 'failed' || verdict.to === 'next')
          t.fail(`${row.code} ${source}: doubt ended in ${verdict.to}`)
      }
    }
  }
  t.comment(`${settled} cells of the settle matrix`)
  t.ok(settled > 1000)
})

t.test('a person who got too many messages rests for hours', async (t) => {
  const hours = [0, 0.5, 1].map((chance) => {
    const verdict = settle(asked(), answer(43117), chance)
    return verdict.to === 'again' ? verdict.afterMs / 3_600_000 : null
  })
  t.same(hours, [1.6, 2, 2.4])
  t.equal(of({ attempt: MAX_ATTEMPTS }, 43117), 'failed')
})

t.test('eight attempts are enough', async (t) => {
  t.equal(of({ attempt: MAX_ATTEMPTS }, -1), 'failed')
  t.equal(of({ attempt: MAX_ATTEMPTS, doubt: true }, -1), 'unknown')
  t.same(
    [1, 2, 3, 7, 20].map((n) => backOffMs(n, 0.5)),
    [1000, 2000, 4000, 60_000, 60_000]
  )
})

t.test('quiet hours', async (t) => {
  const night = { from: '22:00', to: '08:00' }
  const zone = 'Asia/Shanghai'
  const at = (text: string) => quietUntil(new Date(text), night, zone)?.toISOString() ?? null
  t.equal(at('2026-03-02T13:59:00Z'), null, 'before them')
  t.equal(at('2026-03-02T14:00:00Z'), '2026-03-03T00:00:00.000Z', 'from ten in the evening')
  t.equal(at('2026-03-02T20:00:00Z'), '2026-03-03T00:00:00.000Z', 'past midnight')
  t.equal(at('2026-03-03T00:00:00Z'), null, 'over at eight')
  t.equal(
    quietUntil(new Date('2026-03-29T00:30:00Z'), { from: '01:00', to: '06:00' }, 'Europe/Berlin')?.toISOString(),
    '2026-03-29T04:00:00.000Z',
    'across the start of summer time'
  )
})

t.test('the gates', async (t) => {
  const now = new Date('2026-03-02T15:00:00Z')
  const row = (more: Partial<MessageRow> = {}) =>
    ({
      state: 'planned',
      channel: 'legacy',
      lane: 'bulk',
      test: false,
      notAfter: new Date('2026-03-03T15:00:00Z'),
      attempt: 0,
      hold: null,
      ...more
    }) as MessageRow
  const facts = (more: Partial<GateFacts> = {}): GateFacts => ({
    now,
    run: 'online',
    accountPaused: false,
    optedOut: false,
    reach: 'ok',
    follower: true,
    waitStopped: false,
    sensitive: null,
    held: null,
    quiet: null,
    zone: 'Asia/Shanghai',
    rightDiesAt: null,
    ...more
  })
  const quiet = { from: '22:00', to: '08:00', dying: 'skip' as const }
  t.same(gate(row(), facts()), { go: true })
  t.match(gate(row(), facts({ run: 'cancelled' })), { stop: 'skipped', reason: 'cancelled' })
  t.match(gate(row(), facts({ optedOut: true })), { stop: 'skipped', reason: 'optedOut' })
  t.match(gate(row({ notAfter: now }), facts()), { stop: 'expired' })
  t.match(gate(row(), facts({ reach: 'blocked' })), { stop: 'skipped', reason: 'suppressed' })
  t.match(gate(row({ channel: 'service' }), facts({ follower: false })), { stop: 'skipped', reason: 'suppressed' })
  t.match(gate(row(), facts({ quiet })), { delay: '2026-03-03T00:00:00.000Z', waitingFor: 'quietHours' })
  t.same(gate(row({ lane: 'transactional' }), facts({ quiet })), { go: true }, 'quiet hours bind bulk only')
  t.match(gate(row({ notAfter: new Date('2026-03-02T20:00:00Z') }), facts({ quiet })), {
    stop: 'skipped',
    reason: 'quietHours'
  })
  t.match(gate(row(), facts({ quiet, rightDiesAt: new Date('2026-03-02T18:00:00Z') })), {
    stop: 'skipped',
    reason: 'quietHours'
  })
  t.same(gate(row(), facts({ quiet: { ...quiet, dying: 'send' }, rightDiesAt: new Date('2026-03-02T18:00:00Z') })), {
    go: true
  })
  const doubt = { state: 'sending' as const, hold: { cred: 'c', h: 'm.1', source: 'form' as const, doubt: true } }
  t.same(gate(row(doubt), facts()), { go: true }, 'a form in doubt is asked again')
  t.match(gate(row({ ...doubt, notAfter: now }), facts()), { giveUp: 'deadline' })
  t.match(gate(row({ ...doubt, hold: { ...doubt.hold, source: 'grant' } }), facts()), { giveUp: 'noAnswer' })
  t.match(gate(row({ ...doubt, attempt: 8 }), facts()), { giveUp: 'attempts' })
  const service = { ...doubt, channel: 'service' as const, hold: { ...doubt.hold, source: 'none' as const } }
  t.same(gate(row({ ...service, firstSentAt: new Date(now.getTime() - 7 * 60_000) }), facts()), { go: true })
  t.match(
    gate(row({ ...service, firstSentAt: new Date(now.getTime() - 9 * 60_000) }), facts()),
    { giveUp: 'tooOld' },
    'WeChat forgets client_msg_id after ten minutes'
  )
})
