/** Memory of one process at a moment; `at` in ms of any clock. */
export type Sample = { at: number; mb: number }

const WINDOW_MS = 30_000

/**
 * How fast a process grows in the last half of its samples, MB a minute: the line through the least of every half minute.
 * The least, because what garbage collection is about to free is no growth. 0 with fewer than two whole ones. Pure.
 */
export function slopeOf(samples: readonly Sample[]): number {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined) return 0
  const middle = first.at + (last.at - first.at) / 2
  const least = new Map<number, number>()
  for (const { at, mb } of samples) {
    if (at < middle) continue
    const window = Math.floor((at - middle) / WINDOW_MS)
    if (middle + (window + 1) * WINDOW_MS > last.at) break
    least.set(window, Math.min(least.get(window) ?? Infinity, mb))
  }
  const points = [...least].map(([window, mb]) => ({ minute: (window * WINDOW_MS) / 60_000, mb }))
  if (points.length < 2) return 0
  const mean = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const minute = mean((point) => point.minute)
  const mb = mean((point) => point.mb)
  const over = points.reduce((sum, point) => sum + (point.minute - minute) * (point.mb - mb), 0)
  return over / points.reduce((sum, point) => sum + (point.minute - minute) ** 2, 0)
}
