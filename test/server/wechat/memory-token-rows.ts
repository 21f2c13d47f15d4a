import type { TokenRow, TokenRows } from '../../../server/wechat/token-rows.js'

/** The protocol's writes on a map, each atomic as a database's are; the same filters as the Mongo rows. */
export function memoryTokenRows(): TokenRows & { row(accountId: string): TokenRow } {
  const map = new Map<string, TokenRow>()
  const copy = (row: TokenRow | undefined) => (row === undefined ? null : structuredClone(row))
  const LONG_AGO = new Date(0)
  return {
    row: (accountId) => map.get(accountId)!,
    async read(id) {
      return copy(map.get(id))
    },
    async make(_id) {
      const forced = { day: 0, n: 0, at: null }
      const moments = { expiresAt: LONG_AGO, renewAt: LONG_AGO, madeAt: LONG_AGO }
      const never = { lease: null, leaseUntil: null, blockedUntil: null }
      if (!map.has(_id)) map.set(_id, { _id, token: null, gen: 0, ...moments, forced, ...never })
    },
    async lease(id, gen, lease, now, until) {
      const row = map.get(id)
      if (!row || row.gen !== gen || (row.leaseUntil !== null && row.leaseUntil >= now)) return null
      Object.assign(row, { lease, leaseUntil: until })
      return copy(row)
    },
    async noteForced(id, lease, forced, until) {
      const row = map.get(id)
      if (row?.lease !== lease) return false
      Object.assign(row, { forced, leaseUntil: until })
      return true
    },
    async store(id, lease, gen, next) {
      const row = map.get(id)
      if (row?.lease !== lease || row.gen !== gen) return false
      Object.assign(row, { ...next, lease: null, leaseUntil: null })
      return true
    },
    async release(id, lease) {
      const row = map.get(id)
      if (row?.lease === lease) Object.assign(row, { lease: null, leaseUntil: null })
    },
    async block(id, until) {
      const row = map.get(id)
      if (row && (row.blockedUntil === null || row.blockedUntil < until)) row.blockedUntil = until
    },
    async remove(id) {
      map.delete(id)
    }
  }
}
