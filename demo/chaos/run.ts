import { setTimeout as sleep } from 'node:timers/promises'
import { CLINIC, SERVICE, SHOP } from '../accounts.js'
import { seeded } from '../random.js'
import { createReader, type Books, type Reader } from './books.js'
import { doomOf, letFail, rulesOf, type FaultsProfile } from './faults.js'
import { buildInstallation, type Installation } from './installation.js'
import { judge, type Judgement } from './judge.js'
import { ASKABLE, EVERYTHING, prepareLoad } from './load.js'
import { createStubborn } from './stubborn.js'

export type Wish = {
  messages: number
  seconds: number
  seed: number
  workers: number
  faults: FaultsProfile
  /** Milliseconds between two kills of the API or a worker; 0: none, and the store lives, too. */
  killEveryMs: number
}

/** One seed: what was done to it, and what came of it. */
export type Outcome = {
  seed: number
  seconds: number
  kills: { api: number; worker: number; store: number; failedStarts: number }
  faults: Record<string, number>
  /** Requests WeChat refused for good, as it was told to, and the messages that failed by that. */
  refusedForGood: number
  refusedMessages: number
  /** Processes that ended by themselves: their last lines. */
  crashes: readonly string[]
  /** How often the backend had to ask again, by what it was told. */
  askedAgain: Record<string, number>
  /** How many messages WeChat took while all this went on. */
  takenInChaos: number
  /** From the end of the faults until all was quiet; null: something stayed as it was for a minute. */
  quietAfterMs: number | null
  /** The fullest sliding second of one interface, of 200 allowed. */
  worstSecond: number
} & Judgement

const FAULT_SHARE = { chaos: 0.01, transient: 0.008, none: 0 }
const STORE_LIVES = 5
const STORM_MS = 15_000
const WATCH_MS = 5_000
const QUIET_MS = 60_000
const LOOK_MS = 500
/** How many times the time it was meant for handing in may take. */
const PATIENCE = 4
const LATENCY = { minMs: 200, maxMs: 500 }
/** People whose messages WeChat refuses for good, of each kind. */
const DOOMED = 5

/** Runs one seed from an empty directory to the comparison of both books, on what was `built`: whoever asked strikes it. */
export async function runSeed(
  wish: Wish,
  { step, built }: { step: (line: string) => void; built: (installation: Installation) => void }
): Promise<Outcome> {
  const began = performance.now()
  const chance = seeded(wish.seed)
  const installation = await buildInstallation({ seed: wish.seed, workers: wish.workers, latency: LATENCY })
  built(installation)
  const { api, sandbox } = installation
  const backend = createStubborn(api)
  const shares = wish.faults === 'transient' ? ASKABLE : EVERYTHING
  const load = await prepareLoad({ api, sandbox, backend, messages: wish.messages, shares })
  const reader = await createReader(installation, Object.values(load.accounts))
  const doomed = {
    forms: load.people.forms.slice(0, DOOMED),
    directForms: load.people.directForms.slice(0, DOOMED),
    directFollowers: load.people.directFollowers.slice(0, DOOMED)
  }
  step(`seed ${wish.seed}: people, rights and campaigns for ${wish.messages} messages are there`)

  const calm = await letFail(sandbox, [
    ...doomOf(doomed.forms, 'legacy', 40003),
    ...doomOf(doomed.directForms, 'legacy', 41030),
    ...doomOf(doomed.directFollowers, 'service', 43004),
    ...rulesOf(wish.faults, FAULT_SHARE[wish.faults])
  ])
  const overMs = wish.seconds * 1000
  const over = new AbortController()
  const killing = wish.killEveryMs > 0 ? killAround(installation, chance, wish, over.signal) : null
  const storming = wish.faults === 'chaos' ? storm(installation, over.signal) : null
  const feeding = load.run(overMs)
  feeding.catch(() => {}) // awaited below
  const watching = watch(reader, step, over.signal)
  // Whatever holds this machine up: what was to be done to it is done, and all is handed in under it.
  await Promise.all([sleep(overMs), killing, Promise.race([feeding, sleep(PATIENCE * overMs)])])
  over.abort()
  const kills = (await killing) ?? { api: 0, worker: 0, store: 0 }
  await Promise.all([storming, watching])
  const fired = await calm()
  await installation.whole()
  const inChaos = (await sandbox.get<{ accepted: number }>('/sandbox/ledger/summary')).accepted
  step(`seed ${wish.seed}: ${JSON.stringify(kills)} killed; faults are off`)
  await feeding

  const quietAfterMs = await quiet(reader, step)
  const books = await booksAtRest(reader)
  const { worstSecond } = await sandbox.get<{ worstSecond: { count: number } | null }>('/sandbox/ledger/summary')
  const people = new Set(Object.values(doomed).flat())
  const judgement = judge(books, load.promised, people)
  return {
    seed: wish.seed,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    kills: { ...kills, failedStarts: installation.failedStarts() },
    ...sorted(fired, people),
    refusedMessages: books.messages.filter(({ state, openid }) => state === 'failed' && people.has(openid!)).length,
    crashes: installation.crashes(),
    askedAgain: backend.again,
    takenInChaos: inChaos,
    quietAfterMs,
    worstSecond: worstSecond?.count ?? 0,
    ...judgement
  }
}

/**
 * Kills the API or a worker every so often, and the store a few times: as many as the time is meant for. With half of
 * them down it waits, and with any down the store is spared: a machine too slow for its restarts would do nothing else.
 * @returns how many of each
 */
async function killAround(
  installation: Installation,
  chance: () => number,
  { killEveryMs, workers, seconds }: Wish,
  signal: AbortSignal
): Promise<{ api: number; worker: number; store: number }> {
  const kills = { api: 0, worker: 0, store: 0 }
  const wanted = Math.floor((seconds * 1000) / killEveryMs)
  const storeEvery = Math.max(2, Math.round(wanted / STORE_LIVES))
  const servers = workers + 1
  for (let turn = 1; turn <= wanted && !signal.aborted; turn++) {
    await pause(killEveryMs * (0.75 + 0.5 * chance()), signal)
    while (installation.down() >= servers / 2 && !signal.aborted) await pause(LOOK_MS / 5, signal)
    if (signal.aborted) break
    const victim = chance() < 1 / servers ? 'api' : 'worker'
    if (await installation.kill(victim, chance())) kills[victim] += 1
    if (turn % storeEvery !== 0) continue
    while (installation.down() > 0 && !signal.aborted) await pause(LOOK_MS / 5, signal)
    await pause(killEveryMs * 0.5 * chance(), signal)
    if (!signal.aborted && (await installation.kill('store', 0))) kills.store += 1
  }
  return kills
}

/** So long, or until told to stop. */
const pause = (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {})

/** WeChat voids every account's token now and then, so that all that is in flight meets 40001. */
async function storm({ sandbox }: Installation, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(STORM_MS, signal)
    if (signal.aborted) return
    for (const { appid } of [SHOP, CLINIC, SERVICE]) await sandbox.post('/sandbox/tokens/void', { appid })
  }
}

async function watch(reader: Reader, step: (line: string) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(WATCH_MS, signal)
    if (signal.aborted) return
    const moving = await reader.moving().catch(() => null)
    step(moving === null ? 'the store is away' : `${moving.open} messages on their way`)
  }
}

/**
 * Waits until nothing is left to do; gives up when nothing has moved for a minute. @returns how long it took in ms; null:
 * something stayed
 */
async function quiet(reader: Reader, step: (line: string) => void): Promise<number | null> {
  const began = performance.now()
  let still = 0
  let least = Infinity
  let at = began
  for (let looks = 1; still < QUIET_MS; looks++) {
    const { open, todo, held } = await reader.moving()
    const left = open + todo + held
    if (left === 0) return Math.round(performance.now() - began)
    // A machine that slept meanwhile gave nobody time to move.
    still = left < least ? 0 : still + Math.min(performance.now() - at, 4 * LOOK_MS)
    least = Math.min(least, left)
    at = performance.now()
    if (looks % 10 === 0) step(`${open} on their way, ${todo} with consequences to draw, ${held} sends held`)
    await sleep(LOOK_MS)
  }
  return null
}

/** The books; a receipt that came since all was quiet has its consequences drawn first, unless a minute does not do. */
async function booksAtRest(reader: Reader): Promise<Books> {
  const began = performance.now()
  for (;;) {
    const books = await reader.books()
    if (!books.messages.some(({ todo }) => todo) || performance.now() - began > QUIET_MS) return books
    await sleep(LOOK_MS)
  }
}

/** The faults by name, and how often somebody was refused who always is. */
function sorted(fired: Record<string, number>, people: ReadonlySet<string>) {
  const faults: Record<string, number> = {}
  let refusedForGood = 0
  for (const [name, n] of Object.entries(fired)) {
    if (people.has(name)) refusedForGood += n
    else faults[name] = n
  }
  return { faults, refusedForGood }
}
