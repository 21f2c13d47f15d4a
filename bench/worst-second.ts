/** Most of these instants (ms) within one second, wherever it begins. */
export function worstSecondOf(instants: readonly number[]): number {
  const sorted = [...instants].sort((a, b) => a - b)
  let worst = 0
  for (let last = 0, first = 0; last < sorted.length; last++) {
    while (sorted[last]! - sorted[first]! >= 1000) first += 1
    worst = Math.max(worst, last - first + 1)
  }
  return worst
}
