/** How many messages of each run were through at a moment (ms). */
export type Sight = { at: number; through: Record<string, number> }

/** Messages through a second, from the first to the last sight of a run; 0 while nobody can say. */
export function paceOf(sights: readonly Sight[], runId: string): number {
  const seen = sights.filter(({ through }) => through[runId] !== undefined)
  const first = seen[0]
  const last = seen.at(-1)
  if (first === undefined || last === undefined || last.at <= first.at) return 0
  return Math.max(0, ((last.through[runId]! - first.through[runId]!) / (last.at - first.at)) * 1000)
}
