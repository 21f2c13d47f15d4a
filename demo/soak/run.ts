import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { buildInstallation, type Installation } from '../chaos/installation.js'
import { isFine, type Judgement } from '../chaos/judge.js'
import { EVERYTHING, prepareLoad } from '../chaos/load.js'
import { undergo } from '../chaos/run.js'
import { createStubborn } from '../chaos/stubborn.js'
import { pause, type Kills } from '../chaos/trouble.js'
import { ownMbOf } from '../process-figures.js'
import { createPhones } from './phones.js'
import { slopeOf, type Sample } from './slope.js'
import { watchDashboards } from './viewers.js'

export type Wish = { minutes: number; seed: number; perSecond: number }

/** What came of a soak. */
export type Soak = {
  minutes: number
  seed: number
  kills: Kills & { failedStarts: number }
  faults: Record<string, number>
  crashes: readonly string[]
  /** From the end of the faults until all was quiet; null: something stayed as it was for a minute. */
  quietAfterMs: number | null
  /** Rights handed in by phones, beside those of the backend. */
  captured: number
  events: number
  /** How many times a dashboard was told something. */
  told: number
  /** Of those that lived all through: memory at the middle and at the end, and its growth in between. */
  memory: { name: string; middleMb: number; endMb: number; slopeMbPerMinute: number }[]
  /** The 99th percentile of what the event loop let things wait, ms; by role, the worst of all lives. */
  loopP99Ms: Record<string, number>
} & Judgement

const APIS = 2
const WORKERS = 3
const PHONES = 50
const VIEWERS = 10
const KILL_EVERY_MS = 15_000
const SAMPLE_MS = 2_000
const LATENCY = { minMs: 200, maxMs: 500 }
const STARTS = { forms: 0.05, followers: 0.35, grants: 0.65 }
/** Preloaded into each process. */
const PROBE = new URL(`./probe${extname(import.meta.url)}`, import.meta.url).href
/** Grows no faster than this is flat, MB a minute. */
export const FLAT = 1

/** Runs from an empty directory to the comparison of both books, on what was `built`: whoever asked strikes it. */
export async function runSoak(
  { minutes, seed, perSecond }: Wish,
  { step, built }: { step: (line: string) => void; built: (installation: Installation) => void }
): Promise<Soak> {
  const probes = await mkdtemp(join(tmpdir(), 'hongyan-soak-'))
  try {
    const installation = await buildInstallation({
      seed,
      apis: APIS,
      workers: WORKERS,
      latency: LATENCY,
      spare: true,
      env: { NODE_OPTIONS: `--import=${PROBE}`, SOAK_PROBES: probes }
    })
    built(installation)
    const { api, apis, key, sandbox } = installation
    const backend = createStubborn(api)
    const messages = Math.round(minutes * 60 * perSecond)
    const load = await prepareLoad({ api, sandbox, backend, messages, shares: EVERYTHING, starts: STARTS })
    const { shop } = load.accounts
    const stubbornAs = (bearer: string) => createStubborn(api.as(bearer))
    const phones = await createPhones({ api, sandbox, shop, count: PHONES, stubbornAs })
    step(`people, rights and campaigns for ${messages} messages are there`)

    const samples = new Map<string, Sample[]>()
    let told = 0
    const beside = async (over: AbortSignal) => {
      const [, , heard] = await Promise.all([
        sampling(installation, samples, over),
        phones.run(load.promised.caught, over),
        watchDashboards({ url: apis[0]!.url, key, count: VIEWERS }, over)
      ])
      told = heard
    }
    const overMs = minutes * 60_000
    const plan = { seed, overMs, faults: 'chaos', killEveryMs: KILL_EVERY_MS, storeLives: 0, beside } as const
    const {
      takenInChaos: _,
      refusedForGood: _r,
      refusedMessages: _m,
      ...ordeal
    } = await undergo(installation, load, plan, step)
    return {
      minutes,
      seed,
      ...ordeal,
      crashes: installation.crashes(),
      captured: phones.handedIn(),
      events: load.people.events.length,
      told,
      memory: [...samples].map(([name, of]) => ({
        name,
        middleMb: rounded(of[of.length >> 1]!.mb),
        endMb: rounded(of.at(-1)!.mb),
        slopeMbPerMinute: rounded(slopeOf(of))
      })),
      loopP99Ms: await delaysIn(probes)
    }
  } finally {
    await rm(probes, { recursive: true, force: true })
  }
}

async function sampling(installation: Installation, into: Map<string, Sample[]>, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    for (const { name, pid } of installation.lasting) {
      const mb = await ownMbOf(pid).catch(() => null)
      if (mb === null) continue
      const samples = into.get(name) ?? []
      into.set(name, samples)
      samples.push({ at: performance.now(), mb })
    }
    await pause(SAMPLE_MS, over)
  }
}

/** What the probes left behind: the worst of each role. */
async function delaysIn(dir: string): Promise<Record<string, number>> {
  const worst: Record<string, number> = {}
  for (const file of await readdir(dir)) {
    const role = file.split('-')[0]!
    worst[role] = Math.max(worst[role] ?? 0, Number(await readFile(join(dir, file), 'utf8')))
  }
  return worst
}

const rounded = (n: number) => Math.round(n * 10) / 10

/** Everything that must be so. */
export const passed = (soak: Soak): boolean =>
  isFine(soak) && soak.crashes.length === 0 && soak.memory.every(({ slopeMbPerMinute }) => slopeMbPerMinute <= FLAT)
