import type { MessageRow } from './model.js'

/** How long WeChat took for an account's latest answers, in ms. */
export type Latency = { p50: number; p95: number; at: Date }

/** So many answers are looked back on. */
const KEPT = 500

/** Keeps in mind how long WeChat took for the latest answers to what this process followed, account by account. */
export function createLatencies() {
  const kept = new Map<string, number[]>()

  return {
    /** Takes the last answers of these rows in. @returns how things stand then; null: they had none */
    take(accountId: string, rows: readonly Pick<MessageRow, 'log'>[], at: Date): Latency | null {
      const fresh = rows.flatMap(({ log }) => log.at(-1)?.latencyMs ?? [])
      if (fresh.length === 0) return null
      const all = [...(kept.get(accountId) ?? []), ...fresh].slice(-KEPT)
      kept.set(accountId, all)
      const sorted = [...all].sort((a, b) => a - b)
      const quantile = (share: number) => sorted[Math.ceil(sorted.length * share) - 1]!
      return { p50: quantile(0.5), p95: quantile(0.95), at }
    }
  }
}
