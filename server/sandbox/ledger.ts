import type { Channel, World } from './world.js'

/** One send call that was answered (or would have been answered) with errcode 0. `at` is sandbox time in milliseconds. */
export interface LedgerRow {
  seq: number
  at: number
  appid: string
  channel: Channel
  openid: string
  templateId: string
  /** formId, prepay_id, or `grant` */
  credential?: string
  clientMsgId?: string
  msgid?: string
  data: unknown
  /** legacy: the keyword to enlarge */
  emphasis?: string
  page?: string
  url?: string
  miniprogram?: unknown
  /** seq of the message this call repeated within its 10 minutes: answered, not delivered again */
  duplicateOf?: number
}

const SECONDS_KEPT = 3_600

/**
 * What really happened, whatever the callers were told: every accepted message, every call counted. Keeps the newest `rowLimit`
 * rows; the counts stay exact beyond that.
 */
export function createLedger(world: World, rowLimit = 1_000_000) {
  let rows: LedgerRow[] = []
  let seq = 0
  let accepted = 0
  let duplicates = 0
  let again = 0
  const byApp = new Map<string, number>()
  const byChannel = new Map<string, number>()
  const errors = new Map<number, number>()
  const calls = new Map<string, number>()
  const uses = new Map<string, number>()
  const seconds = new Map<number, { calls: number; accepted: number }>()
  /** By openid and client_msg_id: the message the id last stood for. */
  const clientIds = new Map<string, { seq: number; msgid: string; at: number }>()
  const windows = new Map<string, { times: number[]; head: number; worst: number; worstAt: number }>()

  const add = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1)

  function second(at: number) {
    const key = Math.floor(at / 1000)
    let row = seconds.get(key)
    if (row === undefined) {
      seconds.set(key, (row = { calls: 0, accepted: 0 }))
      if (seconds.size > SECONDS_KEPT) seconds.delete(seconds.keys().next().value!)
    }
    return row
  }

  return {
    /** Writes an accepted message down and returns its row. */
    accept(message: Omit<LedgerRow, 'seq' | 'at'>): LedgerRow {
      const row: LedgerRow = { seq: ++seq, at: world.clock.now(), ...message }
      rows.push(row)
      if (rows.length >= rowLimit * 1.25) rows = rows.slice(-rowLimit)
      if (row.duplicateOf !== undefined) {
        duplicates++
        return row
      }
      accepted++
      add(byApp, row.appid)
      add(byChannel, row.channel)
      if (row.channel === 'legacy') add(uses, row.credential!)
      if (row.clientMsgId !== undefined) {
        const key = `${row.openid} ${row.clientMsgId}`
        if (clientIds.has(key)) again++
        clientIds.set(key, { seq: row.seq, msgid: row.msgid!, at: row.at })
      }
      second(row.at).accepted++
      return row
    },

    /** The message a client_msg_id stands for, if it is younger than `withinMs`. */
    earlier(openid: string, clientMsgId: string, withinMs: number) {
      const known = clientIds.get(`${openid} ${clientMsgId}`)
      return known !== undefined && world.clock.now() - known.at < withinMs ? known : undefined
    },

    /** Counts a WeChat call on arrival. */
    called(path: string) {
      add(calls, path)
      second(world.clock.now()).calls++
    },

    /** Counts a send call of an app in its sliding second, of real time: the sandbox's clock may jump. */
    sending(appid: string, path: string) {
      const key = `${appid} ${path}`
      const now = performance.now()
      let window = windows.get(key)
      if (window === undefined) windows.set(key, (window = { times: [], head: 0, worst: 0, worstAt: 0 }))
      window.times.push(now)
      while (window.times[window.head]! <= now - 1000) window.head++
      const inside = window.times.length - window.head
      if (inside > window.worst) {
        window.worst = inside
        window.worstAt = world.clock.now()
      }
      if (window.head > 4096) {
        window.times.splice(0, window.head)
        window.head = 0
      }
    },

    /** Counts the errcode a call ended with; 0 is not an error. */
    answered(code: number) {
      if (code !== 0) add(errors, code)
    },

    /** Rows after `after` that match, oldest first, at most `limit`. */
    rows(filter: {
      appid?: string
      channel?: string
      openid?: string
      templateId?: string
      after?: number
      limit?: number
    }): LedgerRow[] {
      const found: LedgerRow[] = []
      const limit = filter.limit ?? Infinity
      for (const row of rows) {
        if (found.length >= limit) break
        if (filter.after !== undefined && row.seq <= filter.after) continue
        if (filter.appid !== undefined && row.appid !== filter.appid) continue
        if (filter.channel !== undefined && row.channel !== filter.channel) continue
        if (filter.openid !== undefined && row.openid !== filter.openid) continue
        if (filter.templateId !== undefined && row.templateId !== filter.templateId) continue
        found.push(row)
      }
      return found
    },

    /** Sends accepted per formId and prepay_id, over all time since the start or reset. */
    uses: () => uses,

    /** Counts since the start or reset. `accepted` are messages delivered once each; `duplicates` repeats answered but not delivered. */
    summary() {
      const worst = [...windows].map(([key, window]) => {
        const [appid, path] = key.split(' ') as [string, string]
        return { appid, path, count: window.worst, at: window.worstAt }
      })
      worst.sort((a, b) => b.count - a.count)
      return {
        accepted,
        duplicates,
        /** a client_msg_id accepted a second time after its 10 minutes: the person got it twice */
        repeatedClientMsgIds: again,
        byApp: Object.fromEntries(byApp),
        byChannel: Object.fromEntries(byChannel),
        errors: Object.fromEntries(errors),
        calls: Object.fromEntries(calls),
        worstSecond: worst[0] ?? null,
        worstSeconds: worst
      }
    },

    /** Calls and accepted messages per clock second, oldest first, for the last hour's worth of busy seconds. */
    histogram: () => [...seconds].map(([at, row]) => ({ second: at, ...row })),

    clear() {
      rows = []
      seq = accepted = duplicates = again = 0
      for (const part of [byApp, byChannel, errors, calls, uses, seconds, clientIds, windows]) part.clear()
    }
  }
}

/** What `createLedger` makes. */
export type Ledger = ReturnType<typeof createLedger>
