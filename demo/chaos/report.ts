import Table from 'cli-table3'
import { PLAIN } from '../report.js'
import { isFine } from './judge.js'
import type { Outcome } from './run.js'

/** Nothing lost, doubled, stuck or in dispute, and nobody ended by himself. */
export const passed = (outcome: Outcome): boolean => isFine(outcome) && outcome.crashes.length === 0

/** The sums over all seeds, and the worst of what is a share. */
export function totalsOf(outcomes: readonly Outcome[]) {
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0)
  return {
    lost: sum(({ lost }) => lost),
    double: sum(({ double }) => double),
    stuck: sum(({ stuck }) => stuck),
    disagreements: sum(({ disagreements }) => disagreements),
    unexplained: sum(({ unexplained }) => unexplained),
    permanentRetries: sum(({ permanentRetries }) => permanentRetries),
    crashes: sum(({ crashes }) => crashes.length),
    messages: sum(({ messages }) => messages),
    unknown: sum(({ byState }) => byState['unknown'] ?? 0),
    kills: sum(({ kills }) => kills.api + kills.worker),
    storeKills: sum(({ kills }) => kills.store),
    faults: sum(({ faults }) => Object.values(faults).reduce((total, n) => total + n, 0)),
    success: Math.min(...outcomes.map(({ success }) => success)),
    seconds: Math.round(sum(({ seconds }) => seconds))
  }
}

/** One seed in a line. */
export function lineOf(outcome: Outcome): string {
  const { messages, kills, storeKills, unknown, success } = totalsOf([outcome])
  const { quietAfterMs, seconds } = outcome
  const after = quietAfterMs === null ? 'never quiet' : `quiet after ${(quietAfterMs / 1000).toFixed(1)} s`
  const killed = `${kills} kills and ${storeKills} of the store`
  return `${messages} messages, ${killed}, ${unknown} unknown, ${(100 * success).toFixed(2)} % success, ${after}, ${seconds} s`
}

/** The seeds for people, one a row, and below why what is unknown is. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const table = new Table({
    ...PLAIN,
    head: [
      'seed',
      'messages',
      'kills',
      'store',
      'faults',
      'lost',
      'double',
      'stuck',
      'unknown',
      'success',
      'quiet after'
    ]
  })
  for (const outcome of outcomes) {
    const { seed, quietAfterMs } = outcome
    const { messages, kills, storeKills, faults, lost, double, stuck, unknown, success } = totalsOf([outcome])
    table.push([
      seed,
      messages,
      kills,
      storeKills,
      faults,
      lost,
      double,
      stuck,
      unknown,
      `${(100 * success).toFixed(2)} %`,
      quietAfterMs === null ? 'never' : `${(quietAfterMs / 1000).toFixed(1)} s`
    ])
  }
  const why = new Map<string, number>()
  for (const { unknown } of outcomes)
    for (const [name, n] of Object.entries(unknown)) why.set(name, (why.get(name) ?? 0) + n)
  const reasons = [...why].sort(([a], [b]) => a.localeCompare(b)).map(([name, n]) => `  ${n} × ${name}`)
  const { lost, double, stuck, disagreements, unexplained, permanentRetries, crashes } = totalsOf(outcomes)
  return [
    table.toString(),
    ...(reasons.length > 0 ? ['unknown, and rightly so:', ...reasons] : []),
    outcomes.every(passed)
      ? '✓ lost 0, double 0, stuck 0'
      : `✗ lost ${lost}, double ${double}, stuck ${stuck}, disagreements ${disagreements}, unexplained ${unexplained}, retries of permanent codes ${permanentRetries}, crashes ${crashes}`
  ].join('\n')
}
