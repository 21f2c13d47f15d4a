/** One thing looked at: `fire` it is wrong, `hold` it is not right again yet. What is not mentioned is fine. */
export type Finding = {
  accountId: string | null
  name: string
  level: 'fire' | 'hold'
  facts: Record<string, unknown>
}

/**
 * Which side of its two figures a value is on: at `fire` and beyond it fires, at `clear` and before it is fine, between
 * them whatever was goes on. `fire` may be above (too much) or below (too little) `clear`.
 */
export function levelOf(value: number, { fire, clear }: { fire: number; clear: number }): Finding['level'] | null {
  const sign = fire >= clear ? 1 : -1
  if (sign * value >= sign * fire) return 'fire'
  return sign * value > sign * clear ? 'hold' : null
}

/** How messages ended, by what the counters of a window say. */
export type Endings = { failed: number; decided: number; worst: Record<string, number> }

/**
 * Sums counters of one account. Counters hold moves: a message accepted before the window and delivered in it takes one
 * from `accepted` and adds one to `delivered`, so that what a class lost in the window counts as none.
 */
export function endingsOf(counters: { n: Record<string, number> }[]): Endings {
  const sums = new Map<string, number>()
  for (const { n } of counters) for (const [name, k] of Object.entries(n)) sums.set(name, (sums.get(name) ?? 0) + k)
  const endings: Endings = { failed: 0, decided: 0, worst: {} }
  for (const [name, k] of sums) {
    const [state = ''] = name.split(':')
    if (k <= 0 || !DECIDED.has(state)) continue
    endings.decided += k
    if (!FAILED.has(state)) continue
    endings.failed += k
    endings.worst[name] = k
  }
  const worst = Object.entries(endings.worst).sort(([, a], [, b]) => b - a)
  return { ...endings, worst: Object.fromEntries(worst.slice(0, WORST)) }
}

/** Skipped and expired messages never went out: nobody failed to take them. */
const DECIDED = new Set(['accepted', 'delivered', 'failed', 'unknown'])
const FAILED = new Set(['failed', 'unknown'])
const WORST = 5
