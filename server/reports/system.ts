import type { Connection } from 'mongoose'
import type { z } from 'zod'
import type { SystemView } from '../../shared/report.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Clock } from '../platform/clock.js'
import { VERSION } from '../version.js'

/** What grows, in the order a person would ask for it, and how long it is kept; null: until it is deleted. */
const KEPT: readonly { name: string; keptDays: number | null }[] = [
  { name: 'people', keptDays: null },
  { name: 'recipients', keptDays: null },
  { name: 'credentials', keptDays: null },
  { name: 'events', keptDays: 400 },
  { name: 'campaigns', keptDays: null },
  { name: 'runs', keptDays: null },
  { name: 'messages', keptDays: 180 },
  { name: 'counters', keptDays: 400 },
  { name: 'waits', keptDays: null },
  { name: 'auditLogs', keptDays: 400 }
]
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
    const { localTime } = (await db.db!.command({ hello: 1 })) as { localTime?: Date }
    const pingMs = clock.monotonic() - began
    const { version } = (await db.db!.command({ buildInfo: 1 })) as { version: string }
    return { version, pingMs, offMs: localTime === undefined ? 0 : localTime.getTime() - clock.now().getTime() }
  }

  return async function system(): Promise<z.output<typeof SystemView>> {
    const [{ version, pingMs, offMs }, all, ...counts] = await Promise.all([
      store(),
      accounts.list(),
      ...KEPT.map(({ name }) => db.collection(name).estimatedDocumentCount())
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
      collections: KEPT.map((kept, i) => ({ ...kept, count: counts[i]! })),
      findings
    }
  }
}
