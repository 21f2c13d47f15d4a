import type { Log } from '../platform/log.js'

/** How often whoever watches is told: a blink for a person, little work for the store. */
const EVERY_MS = 2_000

export type Watching = ReturnType<typeof createWatching>
type Group = { tells: Set<(text: string) => void>; timer: NodeJS.Timeout; busy: boolean; last: string | null }

/**
 * Tells everybody who watches the same thing the same words: however many browsers are open, it is looked up once every
 * two seconds, and not at all while nobody watches.
 */
export function createWatching({ log, everyMs = EVERY_MS }: { log: Pick<Log, 'warn'>; everyMs?: number }) {
  const groups = new Map<string, Group>()

  async function look(group: Group, ask: () => Promise<unknown>): Promise<void> {
    if (group.busy) return // the store is slow: what is under way will do
    group.busy = true
    try {
      group.last = JSON.stringify(await ask())
      for (const tell of group.tells) tell(group.last)
    } catch (error) {
      log.warn({ err: error }, 'what is being watched could not be looked up')
    } finally {
      group.busy = false
    }
  }

  return {
    /** `tell` is called at once, and then again and again until the function returned is. Whoever names the same `key` asks the same. */
    watch(key: string, ask: () => Promise<unknown>, tell: (text: string) => void): () => void {
      let group = groups.get(key)
      if (group === undefined) {
        const made: Group = {
          tells: new Set(),
          timer: setInterval(() => void look(made, ask), everyMs),
          busy: false,
          last: null
        }
        groups.set(key, (group = made))
      }
      const joined = group
      joined.tells.add(tell)
      if (joined.last !== null) tell(joined.last)
      else void look(joined, ask)
      return () => {
        joined.tells.delete(tell)
        if (joined.tells.size > 0) return
        clearInterval(joined.timer)
        groups.delete(key)
      }
    }
  }
}
