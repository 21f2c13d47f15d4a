import t from 'tap'
import { createTokenCentre, type TokenCentre } from '../../../server/wechat/access-token.js'
import { bySecret } from '../../../server/wechat/token-calls.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import type { WechatAnswer, WechatClient, WechatResult } from '../../../server/wechat/client.js'
import { testClock, type TestClock } from '../../support/clock.js'
import { memoryTokenRows } from './memory-token-rows.js'

const classic: WechatAccount = {
  accountId: 'a1',
  appId: 'wx00000000000000a1',
  kind: 'miniprogram',
  apiBase: 'https://api.weixin.qq.com',
  tokenApi: 'classic'
}
const stable: WechatAccount = { ...classic, tokenApi: 'stable' }

type Instead = WechatResult | null | (() => Promise<WechatResult | null>)
type Asked = { how: 'classic' | 'stable' | 'forced'; secret: string }

/** WeChat's two token calls over a clock: what was asked, which tokens live, and a way to answer otherwise. */
function tokenServer(clock: TestClock) {
  const asked: Asked[] = []
  const instead: Instead[] = []
  let made = 0
  let current = { token: '', until: 0 }
  const ok = (body: object): WechatResult => ({
    kind: 'answer',
    errcode: 0,
    errmsg: '',
    rid: null,
    body,
    httpStatus: 200,
    ms: 1
  })
  return {
    asked,
    /** Answers the next calls instead of the server, first in first out; null lets one pass. */
    instead,
    client: {
      async call(request) {
        const json = request.json as { force_refresh: boolean; secret: string } | undefined
        const how = request.path === '/cgi-bin/token' ? 'classic' : json!.force_refresh ? 'forced' : 'stable'
        asked.push({ how, secret: json?.secret ?? String(request.query!.secret) })
        const other = instead.shift()
        const answer = typeof other === 'function' ? await other() : other
        if (answer) return answer
        const left = current.until - clock.now().getTime()
        if (how !== 'stable' || left <= 300_000) {
          made += 1
          current = { token: `token-${made}`, until: clock.now().getTime() + 7_200_000 }
        }
        const expires_in = Math.round((current.until - clock.now().getTime()) / 1000)
        return ok({ access_token: current.token, expires_in })
      },
      async close() {}
    } as WechatClient
  }
}

function setUp(options: { rows?: ReturnType<typeof memoryTokenRows>; sleep?: (ms: number) => Promise<unknown> } = {}) {
  const clock = testClock()
  const rows = options.rows ?? memoryTokenRows()
  const wechat = tokenServer(clock)
  const warnings: string[] = []
  const log = { debug: () => {}, warn: (_: object, message: string) => void warnings.push(message) }
  const notices: [string, string | null, unknown][] = []
  const rests: [ms: number, forcesSpent: boolean][] = []
  const centre = (): TokenCentre =>
    createTokenCentre({
      rests: (_, { until, forcesSpent }) => void rests.push([until.getTime() - clock.now().getTime(), forcesSpent]),
      notice: (accountId, failure) => void notices.push([accountId, failure?.code ?? null, failure?.facts.ip]),
      rows,
      clock,
      fetcher: bySecret({ client: wechat.client, secretOf: async () => 's3cret' }),
      seal: { seal: (text) => `sealed:${text}`, open: (sealed) => sealed.slice('sealed:'.length) },
      random: () => 0.5,
      sleep: options.sleep ?? (async (ms) => clock.advance(ms)),
      log
    })
  return { clock, rows, wechat, warnings, notices, rests, centre, tokens: centre() }
}

const no = (errcode: number, errmsg = ''): WechatAnswer => ({
  kind: 'answer',
  errcode,
  errmsg,
  rid: null,
  body: {},
  httpStatus: 200,
  ms: 1
})
/** The day tests begin on, as days since 1970 in Asia/Shanghai. */
const SHANGHAI_DAY = 20_513
const turn = () => new Promise<void>((done) => setImmediate(done))

t.test('a token', async (t) => {
  t.test('is fetched once for two hundred callers, sealed in the row, then served from memory', async (t) => {
    const { tokens, wechat, rows } = setUp()
    const all = await Promise.all(Array.from({ length: 200 }, () => tokens.current(classic)))
    t.ok(all.every(({ token, gen }) => token === 'token-1' && gen === 1))
    t.same(wechat.asked, [{ how: 'classic', secret: 's3cret' }])
    t.match(rows.row('a1'), { token: 'sealed:token-1', gen: 1, lease: null, leaseUntil: null })
    t.same(rows.row('a1').expiresAt, new Date('2026-03-01T02:00:00Z'))
  })

  t.test('is shared by processes: the second reads what the first fetched', async (t) => {
    const { centre, tokens, wechat } = setUp()
    await tokens.current(stable)
    t.match(await centre().current(stable), { token: 'token-1', gen: 1 })
    t.same(wechat.asked.map(({ how }) => how), ['stable']) // prettier-ignore
  })

  t.test('is fetched by one process while another waits for its row', async (t) => {
    let release: () => void = () => {}
    const { centre, tokens, wechat } = setUp({ sleep: turn })
    wechat.instead.push(() => new Promise((done) => (release = () => done(null))))
    const first = tokens.current(classic)
    while (wechat.asked.length === 0) await turn()
    const second = centre().current(classic)
    for (let i = 0; i < 20; i++) await turn()
    release()
    t.match(await first, { token: 'token-1', gen: 1 })
    t.match(await second, { token: 'token-1', gen: 1 })
    t.equal(wechat.asked.length, 1)
  })

  t.test('is renewed ahead of its end while the old one serves', async (t) => {
    for (const account of [classic, stable]) {
      const { tokens, wechat, clock } = setUp()
      await tokens.current(account)
      clock.advance((7200 - 245) * 1000)
      t.match(await tokens.current(account), { token: 'token-1' }, 'not yet due')
      await turn()
      t.equal(wechat.asked.length, 1)
      clock.advance(10_000)
      t.match(await tokens.current(account), { token: 'token-1', gen: 1 }, 'the old one serves')
      await turn()
      t.match(await tokens.current(account), { token: 'token-2', gen: 2 })
      t.equal(wechat.asked.length, 2)
    }
  })

  t.test('that cannot be renewed yet goes on serving, and WeChat is asked at growing intervals only', async (t) => {
    const { tokens, wechat, clock, warnings } = setUp()
    await tokens.current(classic)
    clock.advance((7200 - 235) * 1000)
    wechat.instead.push(no(-1, 'system error'), no(-1, 'system error'))
    for (let i = 0; i < 5; i++) {
      t.match(await tokens.current(classic), { token: 'token-1' })
      await turn()
    }
    t.equal(wechat.asked.length, 2)
    t.same(warnings, ['token not renewed, the old one serves'])
    clock.advance(1_001)
    await tokens.current(classic)
    await turn()
    clock.advance(1_500)
    await tokens.current(classic)
    await turn()
    t.equal(wechat.asked.length, 3, 'the second pause is 2 s')
    clock.advance(600)
    await tokens.current(classic)
    await turn()
    t.match(await tokens.current(classic), { token: 'token-2' })
  })

  t.test('that another process replaced is noticed within a minute', async (t) => {
    const { centre, tokens, clock, wechat } = setUp()
    const { token } = await tokens.current(classic)
    clock.advance(30_000)
    await centre().refresh(classic, token)
    t.match(await tokens.current(classic), { gen: 1 })
    clock.advance(30_001)
    await tokens.current(classic)
    await turn()
    t.match(await tokens.current(classic), { token: 'token-2', gen: 2 })
    t.equal(wechat.asked.length, 2)
  })

  t.test('that is the same stable one as before keeps its number and is asked for again later', async (t) => {
    const { tokens, wechat, clock, rows } = setUp()
    await tokens.current(stable)
    rows.row('a1').renewAt = new Date(clock.now().getTime() + 1_000)
    clock.advance(61_000)
    await tokens.current(stable) // reads the row again
    await turn()
    t.match(rows.row('a1'), { gen: 1, lease: null })
    t.equal(wechat.asked.length, 2)
    t.ok(rows.row('a1').renewAt.getTime() > clock.now().getTime())
  })

  t.test('sealed with a key that is gone is fetched anew', async (t) => {
    const { tokens, centre, rows, wechat } = setUp()
    await tokens.current(classic)
    const broken = createTokenCentre({
      rows,
      clock: testClock(),
      fetcher: bySecret({ client: wechat.client, secretOf: async () => 's3cret' }),
      seal: {
        seal: (text) => `new:${text}`,
        open: (sealed) => {
          if (!sealed.startsWith('new:')) throw new Error('unknown key')
          return sealed.slice(4)
        }
      },
      random: () => 0.5
    })
    t.match(await broken.current(classic), { token: 'token-2', gen: 2 })
    t.ok(centre)
  })
})

t.test('a refused token', async (t) => {
  t.test('is replaced once for all who report it, in every process', async (t) => {
    const { tokens, centre, wechat } = setUp()
    const other = centre()
    const { gen } = await tokens.current(classic)
    await other.current(classic)
    const reports = Array.from({ length: 200 }, (_, i) => (i % 2 ? tokens : other).refused(classic, gen))
    const all = await Promise.all(reports)
    t.ok(all.every((one) => one.token === 'token-2' && one.gen === 2))
    t.equal(wechat.asked.length, 2)
    t.match(await tokens.refused(classic, gen), { gen: 2 }, 'a late report changes nothing')
    t.match(await other.current(classic), { gen: 2 })
    t.equal(wechat.asked.length, 2)
  })

  t.test('each time it is voided costs one refresh, however often, as long as new ones work in between', async (t) => {
    const { tokens, wechat } = setUp()
    for (let gen = 1; gen <= 5; gen++) {
      await tokens.current(classic)
      if (gen > 1) t.match(await tokens.refused(classic, gen), { gen }, 'it worked a moment ago')
      t.match(await tokens.refused(classic, gen), { gen: gen + 1 })
      tokens.worked(classic, gen + 1)
    }
    t.equal(wechat.asked.length, 6)
  })

  t.test('now and then, that works in between, costs nothing and rests nobody', async (t) => {
    const { tokens, wechat, clock, warnings } = setUp()
    const { token, gen } = await tokens.current(stable)
    tokens.worked(stable, gen)
    for (let i = 0; i < 50; i++) {
      clock.advance(1_000)
      t.match(await tokens.refused(stable, gen), { token, gen })
      tokens.worked(stable, gen)
    }
    t.same(wechat.asked.map(({ how }) => how), ['stable']) // prettier-ignore
    t.same(warnings, [])
  })

  t.test('is believed in once only, and only while it worked lately', async (t) => {
    const { tokens, centre, wechat, clock } = setUp()
    const other = centre()
    await tokens.current(classic)
    await other.current(classic)
    for (const each of [tokens, other]) each.worked(classic, 1)
    t.match(await tokens.refused(classic, 1), { gen: 1 })
    t.match(await tokens.current(classic), { gen: 1 })
    t.match(await tokens.refused(classic, 1), { token: 'token-2', gen: 2 }, 'really void')
    t.match(await other.refused(classic, 1), { gen: 2 }, 'who would believe in it as well looks at the row first')
    t.equal(wechat.asked.length, 2)

    tokens.worked(classic, 2)
    tokens.worked(classic, 1) // a late answer to the old one
    t.match(await tokens.refused(classic, 2), { gen: 2 })
    tokens.worked(classic, 1)
    t.match(await tokens.refused(classic, 2), { gen: 3 }, 'says nothing of the new one')

    tokens.worked(classic, 3)
    clock.advance(60_001)
    t.match(await tokens.refused(classic, 3), { gen: 4 }, 'a minute ago is not lately')
    await t.rejects(tokens.refused(classic, 4), { code: 'wechat.token-storm' }, 'a new one that never worked is not')
    t.equal(wechat.asked.length, 4)
  })

  t.test('of two hundred calls at once is replaced once, whatever had worked before', async (t) => {
    const { tokens, centre, wechat } = setUp()
    const other = centre()
    await tokens.current(classic)
    await other.current(classic)
    for (const each of [tokens, other]) each.worked(classic, 1)
    const reports = Array.from({ length: 200 }, (_, i) => (i % 2 ? tokens : other).refused(classic, 1))
    const all = await Promise.all(reports)
    t.ok(all.filter(({ gen }) => gen === 2).length >= 198)
    t.equal(wechat.asked.length, 2)
  })

  t.test('twice in a row rests the account for 60 s, in every process that looks', async (t) => {
    const { tokens, centre, wechat, clock, warnings } = setUp()
    await tokens.current(classic)
    await tokens.refused(classic, 1)
    const storm = {
      code: 'wechat.token-storm',
      status: 502,
      retryable: true,
      facts: { until: '2026-03-01T00:01:00.000Z' }
    }
    await t.rejects(tokens.refused(classic, 2), storm)
    await t.rejects(tokens.current(classic), storm)
    await t.rejects(tokens.refused(classic, 2), storm)
    await t.rejects(tokens.refresh(classic, 'token-2'), storm)
    const other = centre()
    await t.rejects(other.current(classic), storm)
    t.equal(wechat.asked.length, 2)
    t.same(warnings, ['tokens refused repeatedly, the account rests'])

    clock.advance(60_001)
    t.match(await tokens.current(classic), { token: 'token-3', gen: 3 }, 'the refused one is not served again')
    await t.rejects(tokens.refused(classic, 3), { code: 'wechat.token-storm' }, 'still in a row')
    clock.advance(60_001)
    const { gen } = await tokens.current(classic)
    tokens.worked(classic, gen)
    t.match(await tokens.refused(classic, gen), { gen })
    t.match(await tokens.refused(classic, gen), { gen: gen + 1 }, 'one that worked ends the row')
    t.equal(wechat.asked.length, 5)
  })

  t.test('of the stable call is replaced by force, at most every 30 s and 19 times a day', async (t) => {
    const { tokens, centre, wechat, clock, rows, rests } = setUp()
    await tokens.current(stable)
    t.match(await tokens.refused(stable, 1), { token: 'token-2', gen: 2 })
    tokens.worked(stable, 2)
    t.same(wechat.asked.map(({ how }) => how), ['stable', 'stable', 'forced']) // prettier-ignore
    t.match(rows.row('a1').forced, { n: 1, at: clock.now().toISOString() })

    clock.advance(10_000)
    const soon = {
      code: 'wechat.token-storm',
      facts: { until: new Date(clock.now().getTime() + 20_000).toISOString() }
    }
    t.match(await tokens.refused(stable, 2), { gen: 2 }, 'it worked')
    await t.rejects(tokens.refused(stable, 2), soon)
    t.equal(rows.row('a1').lease, null)
    clock.advance(20_001)
    t.match(await tokens.current(stable), { token: 'token-3', gen: 3 })
    tokens.worked(stable, 3)

    for (let gen = 3; gen < 20; gen++) {
      clock.advance(31_000)
      await tokens.refused(stable, gen)
      await tokens.refused(stable, gen)
      tokens.worked(stable, gen + 1)
    }
    t.equal(rows.row('a1').forced.n, 19)
    clock.advance(31_000)
    t.same(rests.splice(0), [[20_000, false]])
    await tokens.refused(stable, 20)
    const until = new Date(clock.now().getTime() + 300_000).toISOString()
    const spent = { code: 'wechat.token-storm', message: /replaced no more today/, facts: { until, forcesSpent: true } }
    await t.rejects(tokens.refused(stable, 20), spent)
    const forced = () => wechat.asked.filter(({ how }) => how === 'forced').length
    t.equal(forced(), 19)
    t.same(rests.splice(0), [[300_000, true]])

    const other = centre()
    clock.advance(299_000)
    const asked = wechat.asked.length
    for (const each of [tokens, other]) await t.rejects(each.current(stable), spent, 'in every process')
    t.equal(wechat.asked.length, asked)
    clock.advance(2_000)
    await t.rejects(tokens.current(stable), { code: 'wechat.token-storm', facts: { forcesSpent: true } })
    t.same([wechat.asked.length, forced()], [asked + 1, 19], 'asked again, and not by force')
    t.same(rests.splice(0), [[300_000, true]])
    clock.set('2026-03-01T16:00:01Z') // midnight in Shanghai
    t.match(await tokens.current(stable), { gen: 21 })
  })

  t.test('that cannot be forced any more is asked for again when WeChat replaces it by itself', async (t) => {
    const { tokens, wechat, clock, rows, rests } = setUp()
    await tokens.current(stable)
    clock.advance((7_200 - 420) * 1_000)
    rows.row('a1').forced = { day: SHANGHAI_DAY, n: 19, at: null }
    await t.rejects(tokens.refused(stable, 1), { code: 'wechat.token-storm', facts: { forcesSpent: true } })
    t.same(rests, [[120_000, true]], 'its last five minutes begin in two')
    clock.advance(120_000)
    t.match(await tokens.current(stable), { token: 'token-2', gen: 2 })
    t.same(wechat.asked.map(({ how }) => how), ['stable', 'stable', 'stable']) // prettier-ignore
  })

  t.test('and the rest after it end when another process is told to start afresh', async (t) => {
    const { tokens, centre, rows, clock } = setUp()
    await tokens.current(stable)
    rows.row('a1').forced = { day: SHANGHAI_DAY, n: 19, at: null }
    await t.rejects(tokens.refused(stable, 1), { code: 'wechat.token-storm', facts: { forcesSpent: true } })
    await t.rejects(tokens.current(classic), { code: 'wechat.token-storm' })
    await centre().forget('a1')
    clock.advance(1)
    t.match(await tokens.current(classic), { token: 'token-2', gen: 1 })
  })

  t.test('that force does not replace either rests the account', async (t) => {
    const { tokens, wechat } = setUp()
    const { token } = await tokens.current(stable)
    const same = { ...no(0), body: { access_token: token, expires_in: 7000 } }
    wechat.instead.push(same, same)
    await t.rejects(tokens.refused(stable, 1), { code: 'wechat.token-storm' })
  })
})

t.test('the refresher', async (t) => {
  t.test('that died is replaced when its lease ends', async (t) => {
    const { tokens, rows, clock, wechat } = setUp()
    await rows.make('a1')
    await rows.lease('a1', 0, 'dead', clock.now(), new Date(clock.now().getTime() + 20_000))
    t.match(await tokens.current(classic), { token: 'token-1', gen: 1 })
    t.ok(clock.monotonic() > 20_000 && clock.monotonic() < 21_000)
    t.equal(wechat.asked.length, 1)
  })

  t.test('that stalled past its lease throws its answer away and takes the newer token', async (t) => {
    const { tokens, centre, rows, wechat, clock } = setUp()
    wechat.instead.push(async () => {
      clock.advance(20_001)
      await centre().current(classic)
      return { ...no(0), body: { access_token: 'late', expires_in: 7200 } }
    })
    t.match(await tokens.current(classic), { token: 'token-1', gen: 1 })
    t.match(rows.row('a1'), { token: 'sealed:token-1', gen: 1, lease: null })
  })

  t.test('that lost five seconds before it could call does not call under that lease', async (t) => {
    const { rows, wechat, clock } = setUp()
    let slow = true
    const tokens = createTokenCentre({
      rows,
      clock,
      seal: { seal: (text) => text, open: (text) => text },
      fetcher: bySecret({
        client: wechat.client,
        secretOf: async () => {
          if (slow) clock.advance(5_001)
          slow = false
          t.equal(wechat.asked.length, 0)
          return 's3cret'
        }
      }),
      random: () => 0
    })
    t.match(await tokens.current(classic), { gen: 1 })
    t.equal(wechat.asked.length, 1)
  })

  t.test('that waits for ever on others gives up with an error worth trying again', async (t) => {
    const { tokens, rows, clock } = setUp({ sleep: turn })
    await rows.make('a1')
    await rows.lease('a1', 0, 'busy', clock.now(), new Date('2027-01-01'))
    await t.rejects(tokens.current(classic), { code: 'wechat.no-token', retryable: true })
  })
})

t.test('when WeChat gives no token', async (t) => {
  const cases: [string, WechatResult, { code: string } & Record<string, unknown>][] = [
    [
      'because of the address, the error names it',
      no(40164, 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 66a1b2c3-0a1b2c3d-4e5f6071'),
      { code: 'wechat.ip-not-allowed', retryable: false, message: /203\.0\.113\.7:/, facts: { ip: '203.0.113.7' } }
    ],
    [
      'because the secret is wrong, it says so',
      no(40125, 'invalid appsecret'),
      { code: 'wechat.40125', retryable: false, message: /secret/, facts: { errcode: 40125 } }
    ],
    [
      'because it is out of reach, it may work later',
      { kind: 'notSent', reason: 'ECONNREFUSED', ms: 1 },
      { code: 'wechat.not-reached', retryable: true }
    ],
    ['because it answers none', no(0), { code: 'wechat.no-token', retryable: true }],
    [
      'but one that ends at once, it is not asked for ever',
      { ...no(0), body: { access_token: 'x', expires_in: 1 } },
      { code: 'wechat.no-token' }
    ]
  ]
  for (const [what, answer, error] of cases) {
    t.test(what, async (t) => {
      const { tokens, wechat, clock, rows } = setUp()
      wechat.instead.push(answer, answer)
      await t.rejects(tokens.current(classic), error)
      const calls = wechat.asked.length
      t.ok(calls <= 2)
      await t.rejects(tokens.current(classic), error, 'within a second the same error without a call')
      t.equal(wechat.asked.length, calls)
      t.equal(rows.row('a1').lease, null)
      wechat.instead.length = 0
      clock.advance(1_001)
      t.match(await tokens.current(classic), { token: 'token-1' })
    })
  }
})

t.test('that a token cannot be had until somebody repairs something is told once, and its end too', async (t) => {
  const { tokens, centre, wechat, clock, notices } = setUp()
  const shut = no(40164, 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist')
  wechat.instead.push(shut, { kind: 'notSent', reason: 'ECONNREFUSED', ms: 1 }, shut)
  for (let tries = 0; tries < 3; tries++) {
    await t.rejects(tokens.current(classic))
    clock.advance(60_000)
  }
  t.same(notices, [['a1', 'wechat.ip-not-allowed', '203.0.113.7']])
  wechat.instead.push(no(40125, 'invalid appsecret'))
  await t.rejects(tokens.current(classic))
  clock.advance(60_000)
  await tokens.current(classic)
  clock.advance(7_000_000)
  await tokens.current(classic)
  t.same(notices.slice(1), [
    ['a1', 'wechat.40125', undefined],
    ['a1', null, undefined]
  ])
  await centre().current(classic)
  t.same(notices.slice(3), [['a1', null, undefined]], 'a new process does not know what was told before it')
})

t.test('for other systems', async (t) => {
  t.test('a refresh replaces the token only while the failed one is the newest', async (t) => {
    const { tokens, wechat, clock } = setUp()
    const first = await tokens.current(classic)
    clock.advance(30_000)
    const second = await tokens.refresh(classic, first.token)
    t.match(second, { token: 'token-2', gen: 2 })
    t.match(await tokens.refresh(classic, first.token), { token: 'token-2', gen: 2 })
    t.equal(wechat.asked.length, 2)
  })

  t.test('a refresh replaces no token that is seconds old, whoever asks', async (t) => {
    const { tokens, centre, wechat, clock } = setUp()
    const { token } = await tokens.current(classic)
    clock.advance(29_000)
    const fresh = { code: 'tokens.too-fresh', status: 429, retryAfterSeconds: 1 }
    for (const each of [tokens, centre()]) await t.rejects(each.refresh(classic, token), fresh)
    t.match(await tokens.current(classic), { token, gen: 1 }, 'it serves on')
    clock.advance(1_000)
    t.match(await tokens.refresh(classic, token), { token: 'token-2', gen: 2 })
    await t.rejects(tokens.refresh(classic, 'token-2'), { ...fresh, retryAfterSeconds: 30 })
    t.equal(wechat.asked.length, 2)
  })

  t.test('a forgotten account starts again', async (t) => {
    const { tokens, centre } = setUp()
    const other = centre()
    await tokens.current(classic)
    await tokens.refused(classic, 1)
    await other.current(classic)
    await tokens.forget('a1')
    t.match(await tokens.current(classic), { token: 'token-3', gen: 1 })
    t.match(await other.refused(classic, 2), { token: 'token-3', gen: 1 }, 'a process that knew higher numbers follows')
  })
})
