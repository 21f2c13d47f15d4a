import Table from 'cli-table3'
import { countBy } from './ledgers.js'
import type { Ending, Outcome } from './scenes/scene.js'
import type { Traffic } from './lossy.js'
import type { PhonesFacts } from './phones-verdict.js'
import type { Finding, OurMessage, SandboxRow } from './verify.js'

/** What `--json` prints of a story of messages. */
export function factsOf({ captured, messages, verdict, latency }: Outcome) {
  const { lost, double, disagreements } = verdict
  return { captured, messages, lost, double, disagreements, latency }
}
export type Facts = ReturnType<typeof factsOf>

/** Do both ledgers agree? */
export const agreed = ({ lost, double, disagreements }: Pick<Facts, 'lost' | 'double' | 'disagreements'>): boolean =>
  lost === 0 && double === 0 && disagreements === 0

/** The end of a story of messages. */
export function endingOf(outcome: Outcome): Ending {
  const facts = factsOf(outcome)
  return { facts, table: (seconds) => tableOf({ ...facts, seconds }, outcome) }
}

const FINDINGS_SHOWN = 20
/** Tables without colours and without lines between rows: they are read in logs, too. */
export const PLAIN = { style: { head: [], border: [], compact: true } }

/** The end of a run for people: what came in, what became of it, and both ledgers side by side. */
export function tableOf(summary: Facts & { seconds: number }, { ledgers, faults, verdict }: Outcome): string {
  const { captured, messages, latency, seconds } = summary
  const parts = [
    rows('rights handed in', [
      ['stored', captured.stored],
      ['duplicate', captured.duplicate],
      ...named('refused: ', captured.refused),
      ...named('turned away on the phone: ', captured.atDoor)
    ]),
    rows('messages', [
      ['all', messages.total],
      ...named('', messages.byState),
      ...named('of these ', messages.byReason)
    ]),
    sideBySide(ledgers.messages, ledgers.sandboxRows),
    rows('faults WeChat was told to make', named('', faults))
  ]
  const { lost, double, disagreements } = summary
  const verdictLine = agreed(summary)
    ? '✓ both ledgers agree: nothing lost, nothing twice'
    : `✗ lost ${lost}, double ${double}, disagreements ${disagreements}`
  const ms = (value: number | null) => (value === null ? '–' : `${value} ms`)
  return [
    ...parts,
    `from event to call: p50 ${ms(latency.p50Ms)}, p95 ${ms(latency.p95Ms)}; ${seconds} s in all`,
    verdictLine,
    ...listOf(verdict.findings)
  ].join('\n')
}

/** The end of a story of phones: what befell them, and what they caught beside what the server keeps. */
export function phonesTableOf(facts: PhonesFacts, traffic: Traffic, findings: readonly Finding[], seconds: number) {
  const { phones, restarts, cutShort, caught, stored, dropped, queued, lost, double, disagreements } = facts
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  return [
    rows('phones', [
      ['phones', phones],
      ['restarts', restarts],
      ['taps cut short by a kill', cutShort],
      ['hours they lived, by their own clocks', facts.hoursLived]
    ]),
    rows('requests', [['all', traffic.requests], ...named('', traffic.mishaps)]),
    rows('rights', [
      ['caught on phones', caught],
      ['kept by the server', stored],
      ['dropped by a full outbox, and counted', dropped],
      ['still waiting on phones', queued]
    ]),
    `${percent(facts.failedShare)} of the requests failed; ${seconds} s in all`,
    agreed(facts)
      ? '✓ phones and server agree: nothing lost, nothing twice'
      : `✗ lost ${lost}, double ${double}, disagreements ${disagreements}`,
    ...listOf(findings)
  ].join('\n')
}

function listOf(findings: readonly Finding[]): string[] {
  const shown = findings.slice(0, FINDINGS_SHOWN).map(({ kind, text }) => `  ${kind}: ${text}`)
  const more = findings.length - shown.length
  return more > 0 ? [...shown, `  … and ${more} more`] : shown
}

/** Our states of each app beside what the sandbox took. */
function sideBySide(ours: readonly OurMessage[], theirs: readonly SandboxRow[]): string {
  const table = new Table({
    ...PLAIN,
    head: ['app', 'sent (ours)', 'taken (WeChat)', 'unknown', 'repeats WeChat dropped']
  })
  const apps = [...new Set([...ours.map(({ appid }) => appid), ...theirs.map(({ appid }) => appid)])].sort()
  for (const appid of apps) {
    const mine = ours.filter((message) => message.appid === appid)
    const took = theirs.filter((row) => row.appid === appid)
    const sent = mine.filter(({ state, by }) => state === 'accepted' || state === 'delivered' || by === 'receipt')
    const repeats = took.filter(({ duplicateOf }) => duplicateOf !== undefined).length
    const unknown = mine.filter(({ state }) => state === 'unknown').length
    table.push([appid, sent.length, took.length - repeats, unknown, repeats])
  }
  const channels = countBy(theirs, ({ channel }) => channel)
  return `both ledgers (WeChat by channel: ${
    Object.entries(channels)
      .map(([channel, n]) => `${channel} ${n}`)
      .join(', ') || 'nothing'
  })\n${table.toString()}`
}

function rows(title: string, lines: [string, number][]): string {
  const table = new Table({ ...PLAIN, head: [title, ''], colAligns: ['left', 'right'] })
  table.push(...lines)
  return table.toString()
}

const named = (prefix: string, counts: Record<string, number>): [string, number][] =>
  Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, n]) => [`${prefix}${name}`, n])
