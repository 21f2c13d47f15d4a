import { setTimeout as sleep } from 'node:timers/promises'
import { CLINIC, SERVICE, SHOP } from '../accounts.js'
import type { Installation } from './installation.js'

/** How often each was killed. */
export type Kills = { api: number; worker: number; store: number }

const STORM_MS = 15_000
/** WeChat lets a token be replaced by force 20 times a day; who has used them up sends nothing more until midnight. */
const STORMS_MOST = 12
const LOOK_MS = 100

/**
 * Kills the API or a worker every so often, and the store a few times: as many as the time is meant for. With half of
 * them down it waits, and with any down the store is spared: a machine too slow for its restarts would do nothing else.
 * @returns how many of each
 */
export async function killAround(
  installation: Installation,
  chance: () => number,
  { everyMs, forMs, storeLives }: { everyMs: number; forMs: number; storeLives: number },
  signal: AbortSignal
): Promise<Kills> {
  const kills = { api: 0, worker: 0, store: 0 }
  const wanted = Math.floor(forMs / everyMs)
  const storeEvery = storeLives === 0 ? Infinity : Math.max(2, Math.round(wanted / storeLives))
  const servers = installation.mortals
  for (let turn = 1; turn <= wanted && !signal.aborted; turn++) {
    await pause(everyMs * (0.75 + 0.5 * chance()), signal)
    while (installation.down() >= servers / 2 && !signal.aborted) await pause(LOOK_MS, signal)
    if (signal.aborted) break
    const victim = chance() < installation.mortalApis / servers ? 'api' : 'worker'
    if (await installation.kill(victim, chance())) kills[victim] += 1
    if (turn % storeEvery !== 0) continue
    while (installation.down() > 0 && !signal.aborted) await pause(LOOK_MS, signal)
    await pause(everyMs * 0.5 * chance(), signal)
    if (!signal.aborted && (await installation.kill('store', 0))) kills.store += 1
  }
  return kills
}

/** So long, or until told to stop. */
export const pause = (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {})

/** WeChat voids every account's token now and then, for `forMs`, so that all that is in flight meets 40001. */
export async function storm({ sandbox }: Installation, forMs: number, signal: AbortSignal): Promise<void> {
  const everyMs = Math.max(STORM_MS, forMs / STORMS_MOST)
  while (!signal.aborted) {
    await pause(everyMs, signal)
    if (signal.aborted) return
    for (const { appid } of [SHOP, CLINIC, SERVICE]) await sandbox.post('/sandbox/tokens/void', { appid })
  }
}
