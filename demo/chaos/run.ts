import { setTimeout as sleep } from 'node:timers/promises'
import { seeded } from '../random.js'
import { createReader } from './books.js'
import { doomOf, letFail, rulesOf, type FaultsProfile } from './faults.js'
import { buildInstallation, type Installation } from './installation.js'
import { judge, type Judgement } from './judge.js'
import { ASKABLE, EVERYTHING, prepareLoad, type Load } from './load.js'
import { booksAtRest, quiet, watch } from './rest.js'
import { createStubborn } from './stubborn.js'
import { killAround, pause, storm, type Kills } from './trouble.js'

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
  kills: Kills & { failedStarts: number }
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
  const { seed, workers, messages, faults, killEveryMs } = wish
  const installation = await buildInstallation({ seed, workers, latency: LATENCY })
  built(installation)
  const { api, sandbox } = installation
  const backend = createStubborn(api)
  const shares = faults === 'transient' ? ASKABLE : EVERYTHING
  const load = await prepareLoad({ api, sandbox, backend, messages, shares })
  step(`seed ${seed}: people, rights and campaigns for ${messages} messages are there`)
  const plan = { seed, overMs: wish.seconds * 1000, faults, killEveryMs, storeLives: STORE_LIVES }
  const ordeal = await undergo(installation, load, plan, step)
  const { worstSecond } = await sandbox.get<{ worstSecond: { count: number } | null }>('/sandbox/ledger/summary')
  return {
    seed,
    seconds: Math.round((performance.now() - began) / 100) / 10,
    ...ordeal,
    crashes: installation.crashes(),
    askedAgain: backend.again,
    worstSecond: worstSecond?.count ?? 0
  }
}

/** What is done to an installation, and for how long. */
export type Plan = {
  seed: number
  overMs: number
  faults: FaultsProfile
  /** 0: nobody is killed. */
  killEveryMs: number
  /** How often the store is killed in all. */
  storeLives: number
  /** What else happens meanwhile, until told to stop. */
  beside?: (over: AbortSignal) => Promise<void>
}

/** Hands the load in under kills and faults, lets all come to rest without them, and lays both books side by side. */
export async function undergo(
  installation: Installation,
  load: Load,
  { seed, overMs, faults, killEveryMs, storeLives, beside }: Plan,
  step: (line: string) => void
): Promise<Omit<Outcome, 'seed' | 'seconds' | 'crashes' | 'askedAgain' | 'worstSecond'>> {
  const { sandbox } = installation
  const reader = await createReader(installation, Object.values(load.accounts))
  const doomed = {
    forms: load.people.forms.slice(0, DOOMED),
    directForms: load.people.directForms.slice(0, DOOMED),
    directFollowers: load.people.directFollowers.slice(0, DOOMED)
  }
  const calm = await letFail(sandbox, [
    ...doomOf(doomed.forms, 'legacy', 40003),
    ...doomOf(doomed.directForms, 'legacy', 41030),
    ...doomOf(doomed.directFollowers, 'service', 43004),
    ...rulesOf(faults, FAULT_SHARE[faults])
  ])
  const over = new AbortController()
  const kill = { everyMs: killEveryMs, forMs: overMs, storeLives }
  const killing = killEveryMs > 0 ? killAround(installation, seeded(seed), kill, over.signal) : null
  const storming = faults === 'chaos' ? storm(installation, overMs, over.signal) : null
  const feeding = load.run(overMs)
  feeding.catch(() => {}) // awaited below
  const watching = watch(reader, step, over.signal)
  const others = beside?.(over.signal)
  // Whatever holds this machine up: what was to be done to it is done, and all is handed in under it.
  await Promise.all([sleep(overMs), killing, Promise.race([feeding, pause(PATIENCE * overMs, over.signal)])])
  over.abort()
  const kills = (await killing) ?? { api: 0, worker: 0, store: 0 }
  await Promise.all([storming, watching])
  const fired = await calm()
  await installation.whole()
  const inChaos = (await sandbox.get<{ accepted: number }>('/sandbox/ledger/summary')).accepted
  step(`seed ${seed}: ${JSON.stringify(kills)} killed; faults are off`)
  await Promise.all([feeding, others])

  const quietAfterMs = await quiet(reader, step)
  const books = await booksAtRest(reader)
  const people = new Set(Object.values(doomed).flat())
  return {
    kills: { ...kills, failedStarts: installation.failedStarts() },
    ...sorted(fired, people),
    refusedMessages: books.messages.filter(({ state, openid }) => state === 'failed' && people.has(openid!)).length,
    takenInChaos: inChaos,
    quietAfterMs,
    ...judge(books, load.promised, people)
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
