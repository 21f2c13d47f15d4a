import type { Accounts } from '../accounts/accounts.js'
import type { Log } from '../platform/log.js'
import type { Pace } from './pace.js'
import type { AccountPump } from './pump.js'

const LOOK_EVERY_MS = 1000

/** The pumps of this process, one per account with something to do. */
export function createPumps({
  accounts,
  pace,
  log,
  make
}: {
  accounts: Accounts
  pace: Pace
  log: Log
  make: (accountId: string) => AccountPump
}) {
  const working = new Map<string, { pump: AccountPump; done: Promise<number> }>()
  const again = new Set<string>()
  let running = false
  let rouse: (() => void) | null = null
  let looking: Promise<void> | null = null
  let keep: () => Promise<void> = async () => {}

  function start(accountId: string): Promise<number> {
    const at = working.get(accountId)
    if (at !== undefined) {
      again.add(accountId)
      at.pump.wake()
      return at.done
    }
    const pump = make(accountId)
    const done = pump
      .drain()
      .catch((error: unknown) => {
        log.error({ err: error, accountId }, 'a pump stopped')
        return 0
      })
      .finally(() => {
        working.delete(accountId)
        if (again.delete(accountId) && running) void start(accountId)
      })
    working.set(accountId, { pump, done })
    return done
  }

  async function look(signal: AbortSignal): Promise<void> {
    let touched = pace.monotonic()
    signal.addEventListener('abort', () => rouse?.(), { once: true })
    while (!signal.aborted) {
      try {
        for (const account of await accounts.list()) if (!working.has(account.id)) void start(account.id)
        if (pace.monotonic() - touched > 5000) {
          await keep()
          touched = pace.monotonic()
        }
      } catch (error) {
        log.warn({ err: error }, 'the pumps could not look for work')
      }
      await Promise.race([pace.sleep(LOOK_EVERY_MS), new Promise<void>((resolve) => (rouse = resolve))])
    }
    await stop()
  }

  async function stop(): Promise<void> {
    running = false
    const all = [...working.values()]
    await Promise.all(all.map(({ pump }) => pump.stop()))
    await Promise.all(all.map(({ done }) => done))
  }

  return {
    /**
     * Sends for all accounts until `signal`; then drains: nothing stays half done. `touch` keeps the job's lock. Begun again
     * while it runs (a process that stalled lost its lock and was given the job once more), it goes on as one.
     */
    run(signal: AbortSignal, touch: () => Promise<void>): Promise<void> {
      keep = touch
      running = !signal.aborted
      return (looking ??= look(signal).finally(() => (looking = null)))
    },

    /** New work for this account: looked at now, not at the next beat. Does nothing where no pumps run. */
    wake(accountId: string): void {
      if (running) void start(accountId)
    },

    /** One account until it is dry; for tests and commands. */
    drain: (accountId: string) => start(accountId),

    inFlight: () => [...working.values()].reduce((n, { pump }) => n + pump.inFlight(), 0),

    stop
  }
}
export type Pumps = ReturnType<typeof createPumps>
