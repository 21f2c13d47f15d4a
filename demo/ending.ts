import { setTimeout as sleep } from 'node:timers/promises'
import { countBy, type DemoAccount } from './ledgers.js'
import type { Outcome } from './scenes/scene.js'
import { until, type Stage } from './stage.js'
import type { Ledgers } from './verify.js'

/** What every scene ends with: waiting until all is settled, and counting what came of it. */

const FAULT_SHARE = 0.01
/** A lease of a worker that died runs 30 s, a resend after doubt some more; all is final well before this. */
const PATIENCE_MS = 170_000
const SETTLE_MS = 15_000

const FAULTS = [
  { name: 'errcode -1', action: { errcode: -1 } },
  { name: 'HTTP 500', action: { http: 500 } },
  { name: 'reset before', action: { reset: 'before' } },
  { name: 'reset after', action: { reset: 'after' } },
  { name: 'errcode 40001', action: { errcode: 40001 } }
]

/** Tells the sandbox to fail one send in a hundred, in one of five ways. */
export async function injectFaults({ sandbox }: Stage): Promise<void> {
  await sandbox.post(
    '/sandbox/rules',
    FAULTS.map(({ action }) => ({ path: '/cgi-bin/message/*', probability: FAULT_SHARE / FAULTS.length, action }))
  )
}

/** Shows how far it is each second, until no message is open and all are there. */
export async function watch({ api }: Stage, expected: Record<string, number>, progress: (line: string) => void) {
  const all = Object.values(expected).reduce((sum, n) => sum + n, 0)
  const end = performance.now() + PATIENCE_MS
  const count = async (query: string): Promise<number> =>
    (await api.get(`/v1/messages?limit=1&count=true${query}`)).page.total
  for (;;) {
    const byState: Record<string, number> = {}
    for (const campaignId of Object.keys(expected)) {
      for (const { counts } of await api.all(`/v1/campaigns/${campaignId}/runs`)) {
        for (const [state, n] of Object.entries<number>(counts.byState)) byState[state] = (byState[state] ?? 0) + n
      }
    }
    progress(`messages ${inWords(byState)}`)
    const open = await count('&state=planned,held,sending')
    if ((open === 0 && (await count('')) >= all) || performance.now() > end) return
    await sleep(1000)
  }
}

/** Waits, not for ever, until the consequences are drawn too: receipts are in, and nothing is held but by unknown ones. */
export async function settled({ api }: Stage, accounts: DemoAccount[]): Promise<void> {
  const service = accounts.at(-1)!
  const total = async (query: string): Promise<number> =>
    (await api.get(`/v1/messages?limit=1&count=true${query}`)).page.total
  await until('consequences are drawn', SETTLE_MS, async () => {
    const unknown = await total('&state=unknown')
    if ((await total(`&state=accepted&accountId=${service.id}`)) > 0) return null
    let held = 0
    for (const { id } of accounts) {
      for (const group of (await api.get(`/v1/credentials/stats?accountId=${id}`)).groups) held += group.held
    }
    return held <= unknown ? true : null
  }).catch(() => {
    // what is not settled by now is for the comparison to find
  })
}

/** What was handed in, by verdict and reason. */
export async function verdictsOf({ api }: Stage, accounts: DemoAccount[]) {
  const captured = { stored: 0, duplicate: 0, refused: {} as Record<string, number> }
  for (const { id } of accounts) {
    const { verdicts } = await api.get<{ verdicts: Record<string, number> }>(`/v1/credentials/stats?accountId=${id}`)
    for (const [name, n] of Object.entries(verdicts)) {
      const verdict = name.split(':')[1]!
      if (verdict === 'stored' || verdict === 'duplicate') captured[verdict] += n
      else captured.refused[verdict] = (captured.refused[verdict] ?? 0) + n
    }
  }
  return captured
}

/** Messages by state, and by the reason of those that have one. */
export function messageCounts({ messages }: Ledgers): Outcome['messages'] {
  const byReason = countBy(messages, ({ state, reason, code }) => {
    const why = reason ?? (code == null ? null : `errcode ${code}`)
    return why === null ? null : `${state}: ${why}`
  })
  return { total: messages.length, byState: countBy(messages, ({ state }) => state), byReason }
}

/** How often each fault struck. */
export async function firedFaults({ sandbox }: Stage): Promise<Record<string, number>> {
  const rules = await sandbox.get<{ fired: number }[]>('/sandbox/rules')
  return Object.fromEntries(FAULTS.map(({ name }, i) => [name, rules[i]?.fired ?? 0]))
}

const inWords = (counts: Record<string, number>) =>
  Object.entries(counts)
    .map(([state, n]) => `${state} ${n}`)
    .join(' · ') || 'none yet'
