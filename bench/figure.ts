import Table from 'cli-table3'

/**
 * One thing measured. `goal` is a bound as text (`≥ 0.25`); `met` says whether `figure` keeps it, and `why` what kept it from
 * that, as it was measured beside it: absent when the goal was met.
 */
export type Figure = {
  section: string
  id: string
  figure: number
  goal: string
  met: boolean
  note: string
  why?: string
}

/** A bound: `at least` 0.25 or `at most` 1.5, in the figure's own unit. */
export type Goal = { atLeast: number } | { atMost: number }

/**
 * Judges a figure, rounded to three significant digits beforehand, so that what is shown is what was judged. `why`: the
 * reason should it not be met, where the measuring knows one.
 */
export function judged(section: string, id: string, measured: number, goal: Goal, note: string, why?: string): Figure {
  const figure = Number(measured.toPrecision(3))
  const met = 'atLeast' in goal ? figure >= goal.atLeast : figure <= goal.atMost
  const text = 'atLeast' in goal ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`
  return { section, id, figure, goal: text, met, note, ...(!met && why !== undefined && { why }) }
}

/** The middle of an odd number of values, the mean of the middle two of an even one. @throws RangeError for none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('there is no median of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/**
 * The figures of all parts of a section. A part that breaks off is a figure that was not met, and says why: it does not
 * take the others with it.
 */
export async function figuresOf(
  section: string,
  say: (line: string) => void,
  parts: Readonly<Record<string, () => Promise<Figure[]>>>
): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [id, measure] of Object.entries(parts)) {
    try {
      figures.push(...(await measure()))
    } catch (error) {
      say(`${id} broke off: ${error instanceof Error ? error.stack : String(error)}`)
      const why = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error)
      figures.push({ section, id, figure: NaN, goal: 'a figure', met: false, note: `could not be measured: ${why}` })
    }
  }
  return figures
}

/** The figures for people. */
export function tableOf(figures: readonly Figure[]): string {
  const table = new Table({
    head: ['section', 'figure', 'value', 'goal', '', 'note'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'right', 'left', 'left']
  })
  for (const { section, id, figure, goal, met, note, why } of figures) {
    table.push([section, id, figure, goal, met ? '✓' : '✗', why === undefined ? note : `${note}\nNOT MET: ${why}`])
  }
  return table.toString()
}
