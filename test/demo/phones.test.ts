import t from 'tap'
import { failedShare, MISHAPS, mishapOf, noTraffic } from '../../demo/lossy.js'
import { livePhone, type Wares } from '../../demo/phone-life.js'
import { planOf, waresOf } from '../../demo/phone-plan.js'
import { createPhoneTime } from '../../demo/phone-time.js'
import { loadLibrary, type Library } from '../../demo/phones.js'
import { judgePhones, type KeptRight, type PhoneRecord, type PhoneRight } from '../../demo/phones-verdict.js'
import { masked } from '../../demo/verify.js'
import { createScriptedServer } from '../miniprogram/library.js'

const FORM = 'abc0123456789def'
const form: PhoneRight = { kind: 'form', value: FORM, places: ['0.1'] }
const twice: PhoneRight = { ...form, places: ['0.1', '0.1b'] }
const grant: PhoneRight = { kind: 'grant', value: null, places: ['0.2'] }
const phone = (rights: PhoneRight[], more: Partial<PhoneRecord> = {}): PhoneRecord => ({
  index: 0,
  openid: 'o1',
  rights,
  cutShort: 0,
  restarts: 0,
  queued: 0,
  dropped: {},
  livedMs: 0,
  ...more
})
const kept = (more: Partial<KeptRight> = {}): KeptRight => ({
  id: 'k1',
  openid: 'o1',
  source: 'form',
  place: '0.1',
  value: masked(FORM),
  sendsLeft: 1,
  ...more
})
const keptGrant = kept({ id: 'k2', source: 'grant', place: '0.2', value: '…' })

t.test('what a phone caught beside what the server keeps', async (t) => {
  const cases: [string, PhoneRecord, KeptRight[], number[]][] = [
    ['agrees when each is kept once', phone([form, grant]), [kept(), keptGrant], [0, 0, 0]],
    ['agrees on a form tapped twice and kept once', phone([twice]), [kept({ place: '0.1b' })], [0, 0, 0]],
    ['calls one that is nowhere lost', phone([form, grant]), [keptGrant], [1, 0, 0]],
    ['excuses one that was dropped and counted', phone([form], { dropped: { form: 1 } }), [], [0, 0, 0]],
    [
      'excuses no more than were counted',
      phone([form, { ...form, places: ['0.3'] }], { dropped: { form: 1 } }),
      [],
      [1, 0, 0]
    ],
    ['excuses none by a drop of another kind', phone([form], { dropped: { payment: 1 } }), [], [1, 0, 0]],
    ['does not call one lost that still waits, yet does not agree', phone([form], { queued: 1 }), [], [0, 0, 1]],
    ['calls one kept twice double', phone([form]), [kept(), kept({ id: 'k3' })], [0, 1, 0]],
    [
      'calls two taps of one form kept as two double',
      phone([twice]),
      [kept(), kept({ id: 'k3', place: '0.1b' })],
      [0, 1, 0]
    ],
    ['disagrees on somebody else', phone([form]), [kept({ openid: 'o2' })], [0, 0, 1]],
    ['disagrees on another value', phone([form]), [kept({ value: 'xyz…xyz' })], [0, 0, 1]],
    ['disagrees on another source', phone([form]), [kept({ source: 'payment' })], [0, 0, 1]],
    ['disagrees on more sends', phone([form]), [kept({ sendsLeft: 2 })], [0, 0, 1]],
    ['disagrees on a right nobody caught', phone([]), [kept()], [0, 0, 1]]
  ]
  for (const [name, record, rows, wanted] of cases) {
    const { lost, double, disagreements } = judgePhones([record], rows)
    t.same([lost, double, disagreements], wanted, name)
  }
  const sums = judgePhones([phone([form, grant], { dropped: { form: 1, event: 3 } })], [keptGrant])
  t.match(sums, { caught: 2, stored: 1, dropped: 1, queued: 0 }, 'and counts what became of them')
})

t.test('a story is the same for the same seed, and between them they have everything', async (t) => {
  t.same(planOf(3, 12), planOf(3, 12))
  t.notSame(planOf(3, 12), planOf(4, 12))
  const plans = Array.from({ length: 400 }, (_, index) => planOf(1, index))
  const visits = plans.flatMap((plan) => plan.visits)
  const acts = visits.flatMap((visit) => visit.acts)
  const seen = {
    twoCopies: plans.some(({ copies }) => copies === 2),
    smallOutbox: plans.some(({ outboxSize }) => outboxSize !== null),
    wrongClock: plans.some(({ clockMs }) => clockMs !== 0),
    clockSet: visits.some(({ clockMs }) => clockMs > 0) && visits.some(({ clockMs }) => clockMs < 0),
    killed: ['moment', 'beforeWrite', 'afterWrite'].every((at) => visits.some(({ doom }) => doom?.at === at)),
    killedAgain: plans.some(({ returns }) => returns.length > 0),
    offline: visits.some(({ offline }) => offline),
    cancelled: acts.some(({ kind, yes }) => kind === 'payment' && !yes),
    declined: acts.some(({ kind, yes }) => kind === 'grant' && !yes),
    doubleTap: acts.some(({ again }) => again)
  }
  for (const [what, isThere] of Object.entries(seen)) t.ok(isThere, what)
})

t.test('the network loses 30 % of the requests, and servers spoil a few more', async (t) => {
  const { before, after, hang, late } = MISHAPS
  t.equal(Math.round(100 * (before + after + hang + late)), 30)
  t.equal(mishapOf(0), 'before')
  t.equal(mishapOf(before), 'after')
  t.equal(mishapOf(0.999), null)
  const traffic = noTraffic()
  t.equal(failedShare(traffic), 0)
  traffic.requests = 10
  traffic.mishaps.after = 2
  traffic.mishaps.twice = 5
  t.equal(failedShare(traffic), 0.2, 'one sent twice did not fail')
})

t.test("a phone's time", async (t) => {
  const time = createPhoneTime({ start: 1000, random: () => 0.5 })
  const { env, kill } = time.app()
  const seen: number[] = []
  env.setTimeout(() => seen.push(env.now()), 300_000)
  env.setTimeout(() => seen.push(env.now()), 100)
  env.clearTimeout(env.setTimeout(() => seen.push(-1), 5))
  await time.advance(200)
  t.same([seen, env.now()], [[1100], 1200], 'goes from timer to timer')
  time.setClock(-500)
  t.equal(env.now(), 700, 'its clock may be set')
  let answer!: () => void
  void time.real(new Promise<void>((resolve) => (answer = resolve))).then(() => seen.push(env.now()))
  const passed = time.advance(1000)
  setImmediate(answer)
  await passed
  t.same(seen, [1100, 700], 'and stands still while something real is under way')
  kill()
  await time.advance(600_000)
  t.same(seen, [1100, 700], 'an app that was killed hears no timer')
  const enough = time.advance(1000, () => true)
  await enough
  t.equal(time.elapsed(), 601_200, 'it need not pass to the end')
})

/** Sixty phones, each with a server of its own in this process. */
async function story(library: Library) {
  const records: PhoneRecord[] = []
  const rows: KeptRight[] = []
  const traffic = noTraffic()
  for (let index = 0; index < 60; index++) {
    const plan = planOf(7, index)
    const { forms, orders } = waresOf(plan)
    const server = createScriptedServer(() => 0)
    const wares: Wares = {
      formIds: Array.from({ length: forms }, (_, n) => `form-${index}-${n}-of-a-phone`),
      orders: Array.from({ length: orders }, (_, n) => {
        const prepayId = `wx-${index}-${n}-of-a-phone`
        return { prepayId, package: `prepay_id=${prepayId}`, orderId: `order-${index}-${n}` }
      }),
      code: async () => 'code'
    }
    const person = { index, appid: 'wx1', openid: `o${index}`, templateId: 'T', wares }
    const world = { server: 'https://hongyan.example.com', network: server.network, library, traffic }
    records.push(await livePhone({ ...person, ...world, plan, seed: 7 }))
    const seen = new Set<string>()
    for (const { id, source, place, value, result } of server.kept.values()) {
      const what = source === 'grant' ? id : value
      if (source === undefined || result === 'reject' || seen.has(what)) continue
      seen.add(what)
      const sendsLeft = source === 'payment' ? 3 : 1
      rows.push({ id, openid: `o${index}`, source, place, value: masked(value), sendsLeft })
    }
  }
  return { ...judgePhones(records, rows), traffic, records }
}

t.test('sixty phones on that network', async (t) => {
  const library = loadLibrary()
  const told = await story(library)
  t.match(told, { lost: 0, double: 0, disagreements: 0, queued: 0 }, told.findings[0]?.text ?? 'lose nothing')
  t.ok(told.caught > 100 && told.dropped > 0)
  t.ok(failedShare(told.traffic) > 0.25)
  t.ok(told.records.some(({ cutShort }) => cutShort > 0))
  t.same((await story(library)).traffic, told.traffic, 'live the same in every run')

  const forgetful: Library = {
    createKit(options) {
      const api = options['api'] as any
      let empty = true
      const getStorageSync = (key: string) => (key === 'hongyan:outbox' && empty ? '' : api.getStorageSync(key))
      const setStorageSync = (key: string, value: unknown) => {
        if (key === 'hongyan:outbox') empty = false
        api.setStorageSync(key, value)
      }
      const own: Record<string, unknown> = { getStorageSync, setStorageSync }
      const get = (_: object, name: string) => own[name] ?? api[name]
      return library.createKit({ ...options, api: new Proxy({}, { get }) })
    }
  }
  t.ok((await story(forgetful)).lost > 5, 'and lose much when their outbox forgets on restart')
})
