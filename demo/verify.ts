/** One of our message rows, with the app and the openid it was for (null: nobody of that account). */
export type OurMessage = {
  id: string
  appid: string
  openid: string | null
  campaignId: string | null
  state: string
  reason: string | null
  /** WeChat's errcode behind the state, if one is. */
  code?: number | null
  /** What decided the state; `receipt` says that WeChat took it first. */
  by: string | null
  /** Our credential it holds or spent, where that was asked for (unknown ones). */
  credentialId?: string | null
}

/** A row of the sandbox's ledger: one send call it took. */
export type SandboxRow = {
  seq: number
  at: number
  appid: string
  channel: string
  openid: string
  templateId: string
  clientMsgId?: string
  page?: string
  /** Answered, but not delivered a second time. */
  duplicateOf?: number
}

/** A right to send as the server keeps it; `value` is masked. */
export type OurCredential = {
  id: string
  appid: string
  openid: string | null
  source: string
  templateId: string | null
  value: string
  state: string
  sendsLeft: number
  held: number
  unlimited: boolean
}

/** A right as the sandbox knows it; `usesLeft` null is without limit. `id` of a grant is its template. */
export type SandboxCredential = {
  kind: 'formId' | 'prepayId' | 'grant'
  id: string
  appid: string
  openid: string
  usesLeft: number | null
}

/** A right a phone or backend handed in and was told to be stored (or to be there already). */
export type CaughtRight = { kind: SandboxCredential['kind']; id: string; appid: string; openid: string }

export type Ledgers = {
  messages: readonly OurMessage[]
  sandboxRows: readonly SandboxRow[]
  credentials: readonly OurCredential[]
  sandboxCredentials: readonly SandboxCredential[]
  caught: readonly CaughtRight[]
  /** How many messages each campaign must have made, by its id. */
  expected: Readonly<Record<string, number>>
}

export type Finding = { kind: 'lost' | 'double' | 'disagreement'; text: string }
export type Verdict = { lost: number; double: number; disagreements: number; findings: Finding[] }

/** States a message does not stay in. */
export const OPEN: ReadonlySet<string> = new Set(['planned', 'held', 'sending'])
/** States that say WeChat took it. */
export const TAKEN: ReadonlySet<string> = new Set(['accepted', 'delivered'])
const SOURCES: Record<SandboxCredential['kind'], readonly string[]> = {
  formId: ['form'],
  prepayId: ['payment'],
  grant: ['grant', 'longTermGrant']
}

/**
 * Lays our ledger beside the sandbox's. Lost: a message that is not final, one a campaign should have made and did not,
 * or a right handed in that is not kept. Double: a message WeChat delivered more than once, or made more than once.
 * Disagreement: one side says sent where the other says not, it reached somebody else, or a right has another number of
 * sends left. What we call unknown agrees with either. Pure.
 */
export function verify(ledgers: Ledgers): Verdict {
  const findings: Finding[] = [...verifyMessages(ledgers), ...verifyExpected(ledgers), ...verifyRights(ledgers)]
  const count = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind).length
  return { lost: count('lost'), double: count('double'), disagreements: count('disagreement'), findings }
}

/** Whose message a sandbox row is and in which round: from client_msg_id, or from the tag in the page's query. */
export function messageOf(row: Pick<SandboxRow, 'clientMsgId' | 'page'>): { id: string; delivery: string } | null {
  const name = row.clientMsgId ?? /[?&]hytag=([^&]+)/.exec(row.page ?? '')?.[1]
  if (name === undefined) return null
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? null : { id: name.slice(0, dot), delivery: name }
}

function* verifyMessages({ messages, sandboxRows }: Ledgers): Generator<Finding> {
  const ours = new Map(messages.map((message) => [message.id, message]))
  const delivered = new Map<string, SandboxRow[]>()
  const deliveries = new Map<string, number>()
  for (const row of sandboxRows) {
    if (row.duplicateOf !== undefined) continue
    const named = messageOf(row)
    const message = named === null ? undefined : ours.get(named.id)
    if (named === null || message === undefined) {
      yield disagreement(`WeChat took a ${row.channel} message (row ${row.seq}) that is not in our ledger`)
      continue
    }
    if (message.appid !== row.appid || message.openid !== row.openid) {
      yield disagreement(`message ${named.id} was delivered to somebody else (row ${row.seq})`)
    }
    delivered.set(named.id, [...(delivered.get(named.id) ?? []), row])
    const times = (deliveries.get(named.delivery) ?? 0) + 1
    deliveries.set(named.delivery, times)
    if (times > 1) yield { kind: 'double', text: `message ${named.id} was delivered ${times} times (row ${row.seq})` }
  }
  for (const message of messages) {
    const { id, state, by, reason } = message
    if (OPEN.has(state)) yield { kind: 'lost', text: `message ${id} is still ${state}` }
    if (state === 'unknown') {
      if (reason === null) yield { kind: 'lost', text: `message ${id} is unknown without a reason` }
      continue
    }
    const arrived = delivered.has(id)
    // A receipt's failure comes after WeChat took the message, so the sandbox must know it as well.
    const taken = TAKEN.has(state) || by === 'receipt'
    if (taken && !arrived) yield disagreement(`message ${id} is ${state} here, and WeChat never took it`)
    if (!taken && arrived && !OPEN.has(state)) {
      yield disagreement(`message ${id} is ${state}${reason === null ? '' : ` (${reason})`} here, and WeChat took it`)
    }
  }
}

function* verifyExpected({ messages, expected }: Ledgers): Generator<Finding> {
  const made = new Map<string, number>()
  for (const { campaignId } of messages) if (campaignId !== null) made.set(campaignId, (made.get(campaignId) ?? 0) + 1)
  for (const [campaignId, wanted] of Object.entries(expected)) {
    const got = made.get(campaignId) ?? 0
    const text = `campaign ${campaignId} has ${got} messages instead of ${wanted}`
    for (let n = got; n < wanted; n++) yield { kind: 'lost', text }
    for (let n = wanted; n < got; n++) yield { kind: 'double', text }
  }
}

function* verifyRights(ledgers: Ledgers): Generator<Finding> {
  const { messages, credentials, sandboxCredentials, caught } = ledgers
  // A use that WeChat may or may not have counted cannot be compared.
  const doubtful = new Set(
    messages.flatMap(({ state, credentialId }) => (state === 'unknown' && credentialId ? [credentialId] : []))
  )
  const kept = new Map<string, OurCredential[]>()
  for (const credential of credentials) {
    const kind = kindOf(credential.source)
    if (kind === null || credential.openid === null) continue
    const key = keyOf(kind, credential.appid, credential.openid, credential.templateId ?? credential.value)
    kept.set(key, [...(kept.get(key) ?? []), credential])
  }
  const issued = new Map<string, SandboxCredential>()
  for (const right of sandboxCredentials) issued.set(sandboxKey(right), right)

  const wanted = new Map<string, number>()
  for (const right of caught) wanted.set(sandboxKey(right), (wanted.get(sandboxKey(right)) ?? 0) + 1)
  for (const [key, times] of wanted) {
    const rows = kept.get(key) ?? []
    // A grant is one right for each tap, unless it holds until withdrawn; a form or payment is one however often handed in.
    const asked = key.startsWith('grant') && !rows.some((row) => row.unlimited) ? times : 1
    for (let n = rows.length; n < asked; n++) yield { kind: 'lost', text: `a right that was caught is missing: ${key}` }
  }
  for (const [key, rows] of kept) {
    const there = issued.get(key)
    if (there === undefined) {
      // A grant WeChat has forgotten is one it never gave, or one that was withdrawn: nothing may be left of it here.
      if (rows.some((row) => row.state !== 'dead'))
        yield disagreement(`WeChat knows nothing of a right kept here: ${key}`)
      continue
    }
    if (rows.some((row) => doubtful.has(row.id))) continue
    const held = rows.reduce((sum, row) => sum + row.held, 0)
    if (held > 0) yield disagreement(`${held} send(s) of a right are still held: ${key}`)
    const left = rows.some((row) => row.unlimited && row.state === 'live')
      ? null
      : rows.reduce((sum, row) => sum + (row.state === 'dead' ? 0 : row.sendsLeft), 0)
    if (left !== there.usesLeft && held === 0) {
      yield disagreement(`${show(left)} left here and ${show(there.usesLeft)} at WeChat: ${key}`)
    }
  }
}

const disagreement = (text: string): Finding => ({ kind: 'disagreement', text })
const show = (left: number | null) => (left === null ? 'any number' : String(left))

function kindOf(source: string): SandboxCredential['kind'] | null {
  for (const [kind, sources] of Object.entries(SOURCES)) {
    if (sources.includes(source)) return kind as SandboxCredential['kind']
  }
  return null
}

const sandboxKey = ({ kind, appid, openid, id }: CaughtRight) =>
  keyOf(kind, appid, openid, kind === 'grant' ? id : masked(id))
const keyOf = (kind: string, appid: string, openid: string, what: string) => `${kind} ${appid} ${openid} ${what}`

/** As much of a value as the server shows: enough to tell the few rights of one person apart. */
export const masked = (value: string) => (value.length <= 8 ? '…' : `${value.slice(0, 3)}…${value.slice(-3)}`)

/** The value below which `share` of the numbers lie (nearest rank); null of none. */
export function percentile(numbers: readonly number[], share: number): number | null {
  if (numbers.length === 0) return null
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}
