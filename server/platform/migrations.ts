import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, mongo } from 'mongoose'
import type { Clock } from './clock.js'
import { AppError } from './errors.js'
import { randomToken } from './ids.js'
import type { Log } from './log.js'
import { ignoreDuplicate } from './mongo.js'

/**
 * One change of what is stored, from the version before it. It may be begun again after it was cut off anywhere, and may
 * run while processes of the version before still write: so it must be repeatable, and leave rows both can read.
 */
export type Migration = { version: number; name: string; run(db: mongo.Db, signal: AbortSignal): Promise<void> }

/** The store was written by a newer version than this one. */
export class StoreTooNew extends AppError {
  readonly status = 503
  constructor(found: number, known: number) {
    super(
      'store.too-new',
      `the store has form ${found}, this version of Hongyan knows ${known}: run the version that wrote it, or a newer one`
    )
  }
}

/** Each form the store has had. The first is what 0.1 writes; rows that lack a field are read with its default. */
export const MIGRATIONS: readonly Migration[] = [{ version: 1, name: 'the form of 0.1', run: async () => {} }]

type FormRow = { _id: string; version: number; lease: { by: string; until: Date } | null }

const FORM = 'schema'
/** How long one that was killed keeps the others waiting. */
const LEASE_MS = 30_000
const LOOK_MS = 100

/**
 * Brings the store to the form this version knows. Of processes that start at once one does each step, the others wait
 * for it; when it is killed another goes on. @throws StoreTooNew
 */
export async function migrate({
  db,
  clock,
  log,
  migrations = MIGRATIONS,
  leaseMs = LEASE_MS
}: {
  db: Connection
  clock: Clock
  log: Log
  migrations?: readonly Migration[]
  leaseMs?: number
}): Promise<void> {
  const store = db.getClient().db(db.name)
  const rows = store.collection<FormRow>('settings')
  const known = Math.max(0, ...migrations.map(({ version }) => version))
  const me = randomToken(9)
  await rows
    .updateOne({ _id: FORM }, { $setOnInsert: { version: 0, lease: null } }, { upsert: true })
    .catch(ignoreDuplicate)
  for (;;) {
    const { version } = (await rows.findOne({ _id: FORM }))!
    if (version > known) throw new StoreTooNew(version, known)
    if (version === known) return
    const next = migrations.find((each) => each.version > version)!
    const won = await take(rows, version, me, clock, leaseMs)
    if (won) await step({ rows, store, next, version, me, clock, log, leaseMs })
    else await sleep(LOOK_MS)
  }
}

async function take(
  rows: mongo.Collection<FormRow>,
  version: number,
  by: string,
  clock: Clock,
  leaseMs: number
): Promise<boolean> {
  const now = clock.now()
  const { matchedCount } = await rows.updateOne(
    { _id: FORM, version, $or: [{ lease: null }, { 'lease.until': { $lt: now } }] },
    { $set: { lease: { by, until: new Date(now.getTime() + leaseMs) } } }
  )
  return matchedCount === 1
}

/** Runs one step under the lease, which is kept alive meanwhile; whoever lost it stops and does not say it is done. */
async function step(parts: {
  rows: mongo.Collection<FormRow>
  store: mongo.Db
  next: Migration
  version: number
  me: string
  clock: Clock
  log: Log
  leaseMs: number
}): Promise<void> {
  const { rows, store, next, version, me, clock, log, leaseMs } = parts
  const mine = { _id: FORM, version, 'lease.by': me }
  const lost = new AbortController()
  const beat = setInterval(() => {
    rows
      .updateOne(mine, { $set: { 'lease.until': new Date(clock.now().getTime() + leaseMs) } })
      .then(({ matchedCount }) => matchedCount === 0 && lost.abort())
      .catch((error: unknown) => log.warn({ err: error }, 'the lease of a migration could not be kept'))
  }, leaseMs / 3)
  try {
    await next.run(store, lost.signal)
    const { matchedCount } = await rows.updateOne(mine, { $set: { version: next.version, lease: null } })
    if (matchedCount === 1) log.info({ version: next.version, name: next.name }, 'the store was brought to a new form')
  } catch (error) {
    await rows.updateOne(mine, { $set: { lease: null } }).catch(() => {})
    throw error
  } finally {
    clearInterval(beat)
  }
}
