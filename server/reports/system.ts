import type { Connection } from 'mongoose'
import type { z } from 'zod'
import { KEPT_DAYS } from '../../shared/limits.js'
import type { SystemView } from '../../shared/report.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Clock } from '../platform/clock.js'
import { storeTime } from '../platform/mongo.js'
import { VERSION } from '../version.js'

/** What grows, in the order a person would ask for it; kept until it is deleted where KEPT_DAYS says nothing. */
const GROWING = [
  'people',
  'recipients',
  'credentials',
  'events',
  'campaigns',
  'runs',
  'messages',
  'counters',
  'waits',
  'auditLogs'
]
const daysOf: Readonly<Record<string, number>> = KEPT_DAYS
const SLOW_MS = 200
const OFF_MS = 1_000

/** How the installation is, for whoever runs it: what `hongyan doctor` looks at that a running server can see. */
export function createSystem({
  db,
  clock,
  publicUrl,
  accounts
}: {
  db: Connection
  clock: Clock
  publicUrl: string
  accounts: Pick<Accounts, 'list'>
}) {
  const startedAt = clock.now()
  const local = /^https?:\/\/(localhost|127\.|\[::1\])/.test(publicUrl)

  async function store() {
    const began = clock.monotonic()
    const told = await storeTime(db)
    const pingMs = clock.monotonic() - began
    const { version } = (await db.db!.command({ buildInfo: 1 })) as { version: string }
    return { version, pingMs, offMs: told.getTime() - clock.now().getTime() }
  }

  return async function system(): Promise<z.output<typeof SystemView>> {
    const [{ version, pingMs, offMs }, all, ...counts] = await Promise.all([
      store(),
      accounts.list(),
      ...GROWING.map((name) => db.collection(name).estimatedDocumentCount())
    ])
    const findings: z.output<typeof SystemView>['findings'] = []
    const find = (code: (typeof findings)[number]['code'], ok: boolean, about: string | null = null) =>
      findings.push({ code, ok, about })
    find('store', pingMs < SLOW_MS, `${pingMs.toFixed(1)} ms`)
    find('clock', Math.abs(offMs) < OFF_MS, `${Math.round(offMs)} ms`)
    find('publicUrl', !local, publicUrl)
    for (const { name, state, disabledReason, callback } of all) {
      if (state !== 'ready') find('account', false, `${name}: ${disabledReason ?? state}`)
      if (callback.lastReceivedAt === null) find('callback', false, name)
    }
    if (all.length === 0) find('accounts', false)
    return {
      version: VERSION,
      node: process.versions.node,
      startedAt,
      store: { version, pingMs },
      collections: GROWING.map((name, i) => ({ name, keptDays: daysOf[name] ?? null, count: counts[i]! })),
      findings
    }
  }
}
