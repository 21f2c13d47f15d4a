import { errcodeRow } from '../../server/wechat/errcodes.js'
import { countBy } from '../ledgers.js'
import { messageOf, OPEN, TAKEN, verify, type Finding } from '../verify.js'
import type { BookedMessage, Books } from './books.js'
import type { Promised } from './load.js'

/** What came of a seed. The first six must be 0. */
export type Judgement = {
  /** Not kept although promised, or not ended. */
  lost: number
  /** A person got a message twice, or it was made twice. */
  double: number
  /** Rows still on their way, leased, held or with consequences to draw. */
  stuck: number
  /** One side says sent where the other says not, or a right has another number of sends left. */
  disagreements: number
  /** Unknown messages of which we cannot say why they are. */
  unexplained: number
  /** Times a code was answered that asking again cannot mend, and it was asked again. */
  permanentRetries: number
  messages: number
  byState: Record<string, number>
  /** Why those are unknown that are, and whether WeChat took them. */
  unknown: Record<string, number>
  /** WeChat took it and we know it, of all that nobody was set up to refuse. */
  success: number
  findings: Finding[]
}

/** Lays what was promised, our books and WeChat's side by side. `doomed`: openids that are refused always. Pure. */
export function judge(books: Books, promised: Promised, doomed: ReadonlySet<string> = new Set()): Judgement {
  const { messages, sandboxRows, credentials, sandboxCredentials } = books
  const { caught, direct, expected } = promised
  const verdict = verify({ messages, sandboxRows, credentials, sandboxCredentials, caught, expected })
  const findings = [...verdict.findings]
  const ours = new Set(messages.map(({ id }) => id))
  for (const id of direct) {
    if (!ours.has(id)) findings.push({ kind: 'lost', text: `message ${id} was accepted over the API and is not there` })
  }
  const made = messages.filter(({ campaignId }) => campaignId === null).length
  for (let n = new Set(direct).size; n < made; n++)
    findings.push({ kind: 'double', text: `there are ${made} direct messages of ${new Set(direct).size} asked for` })

  const took = new Set(
    sandboxRows.flatMap((row) => (row.duplicateOf === undefined ? [messageOf(row)?.id] : [])).filter(Boolean)
  )
  const unknown = messages.filter(({ state }) => state === 'unknown')
  const reasons = new Map(unknown.map((message) => [message.id, whyUnknown(message)]))
  const wanted = messages.filter(({ openid }) => openid === null || !doomed.has(openid))
  const arrived = wanted.filter(({ id, state }) => TAKEN.has(state) && took.has(id))
  const count = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind).length
  return {
    lost: count('lost'),
    double: count('double'),
    stuck: messages.filter(isStuck).length,
    disagreements: count('disagreement'),
    unexplained: [...reasons.values()].filter((why) => why === null).length,
    permanentRetries: messages.reduce((sum, { log }) => sum + permanentRetries(log), 0),
    messages: messages.length,
    byState: countBy(messages, ({ state, reason, code }) =>
      TAKEN.has(state) || OPEN.has(state) || state === 'unknown' ? state : `${state}: ${reason ?? `errcode ${code}`}`
    ),
    unknown: countBy(
      unknown,
      ({ id }) => `${reasons.get(id) ?? 'unexplained'}; WeChat ${took.has(id) ? 'took it' : 'never took it'}`
    ),
    success: wanted.length === 0 ? 1 : arrived.length / wanted.length,
    findings
  }
}

/** Is everything that must be 0? */
export const isFine = (one: Judgement): boolean =>
  one.lost + one.double + one.stuck + one.disagreements + one.unexplained + one.permanentRetries === 0

const isStuck = ({ state, lease, todo }: BookedMessage) => OPEN.has(state) || lease !== null || todo

/** Why nobody can know whether it arrived, as far as its attempts tell; null: they do not. */
export function whyUnknown({ source, channel, attempts, log }: BookedMessage): string | null {
  const what = source === null || source === 'none' ? channel : source
  if (attempts > log.length && log.length < 10) return `${what}: the process died with the request out`
  const silent = log.findLast(({ kind }) => kind === 'noAnswer')
  return silent === undefined ? null : `${what}: no answer (${silent.note?.split(':')[0] ?? 'silence'})`
}

/** How often something was asked again after a code that no asking mends. */
export function permanentRetries(log: BookedMessage['log']): number {
  return log.slice(0, -1).filter(({ kind, code }) => kind === 'answer' && isPermanent(code)).length
}

function isPermanent(code: number | null): boolean {
  if (code === null || code === 0) return false
  const row = errcodeRow(code)
  return row !== undefined && (row.retry === 'never' || row.retry === 'afterFix')
}
