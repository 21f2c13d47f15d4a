import type { Connection } from 'mongoose'
import type { Config } from '../config.js'
import { openEmbedded } from '../embedded/embedded.js'
import type { Clock } from '../platform/clock.js'
import { createSyncedClock, type SyncedClock } from '../platform/clock-sync.js'
import { loadKeys, parseKeyLine, watchKeys } from '../platform/keys.js'
import type { Log } from '../platform/log.js'
import { connectMongo } from '../platform/mongo.js'
import { createSealer, type Sealer } from '../platform/sealing.js'
import { Fault } from './command.js'
import { mustBeWritable, storeDir } from './data-dir.js'

/** What every command that touches data stands on: the store, its time, the keys. */
export type Ground = {
  db: Connection
  sealer: Sealer
  clock: Clock
  synced: SyncedClock
  /** `owner`: this process runs the embedded store; others on the same data connect to it. */
  store: { kind: 'mongodb' | 'embedded'; owner: boolean; uri: string }
  keysMade: boolean
  /** Has the store been exchanged for one of another key ring since? null: no. */
  keysFault(): Promise<string | null>
  close(): Promise<void>
}

/** The database of a uri that names none. */
export const DATABASE = 'hongyan'
/** The document in `settings` that holds the mark of the key ring the store was written with; hashed, it is that mark. */
export const KEYRING = 'keyring'
type Mark = { _id: string; mark: string }
/** The collection that stands in a store while an import into it is under way. */
export const UNDER_WAY = 'hongyan_import'

/** The key ring at hand is not the one the store was written with. */
export class AnotherKeyring extends Fault {}

/** @throws Fault, KeysFault, StoreUnreachable: each with a message for the person who starts the process */
export async function openGround(config: Config, log: Log): Promise<Ground> {
  if (config.mongodbUri === null || config.keys === null) await mustBeWritable(config.dataDir)
  const keys =
    config.keys === null ? await loadKeys(config.dataDir) : { keyring: parseKeyLine(config.keys), made: false }
  const embedded = config.mongodbUri === null ? await openStore(config.dataDir, log) : null
  const uri = config.mongodbUri ?? embedded!.uri
  let db: Connection | null = null
  try {
    db = await connectMongo(uri, namesDatabase(uri) ? {} : { dbName: DATABASE })
    const open = db
    const sealer = createSealer(config.keys === null ? watchKeys(config.dataDir, keys.keyring) : keys.keyring)
    await mustBeWhole(db)
    await mustBelong(db, sealer)
    const synced = createSyncedClock(log)
    await synced.start(open)
    return {
      db: open,
      sealer,
      clock: synced.clock,
      synced,
      store: { kind: embedded === null ? 'mongodb' : 'embedded', owner: embedded?.owner ?? false, uri },
      keysMade: keys.made,
      async keysFault() {
        const seen = await open.getClient().db(open.name).collection<Mark>('settings').findOne({ _id: KEYRING })
        return seen?.mark === sealer.hash(KEYRING) ? null : 'the store was written with another key ring'
      },
      async close() {
        synced.stop()
        await open.close()
        await embedded?.close()
      }
    }
  } catch (error) {
    await db?.close()
    await embedded?.close()
    throw error
  }
}

/** Half of an installation looks like a whole one, and what it would do with its messages could not be undone. */
async function mustBeWhole(db: Connection): Promise<void> {
  const begun = await db.getClient().db(db.name).collection(UNDER_WAY).findOne({})
  if (begun === null) return
  throw new Fault(
    'an import into this store broke off: call the same `hongyan import` again; nothing starts on half of it'
  )
}

/**
 * The store remembers which key ring it was written with: under another one everybody would look new and nothing
 * sealed could be read.
 */
async function mustBelong(db: Connection, sealer: Sealer): Promise<void> {
  const settings = db.getClient().db(db.name).collection<Mark>('settings')
  const mark = sealer.hash(KEYRING)
  const seen = await settings.findOneAndUpdate(
    { _id: KEYRING },
    { $setOnInsert: { mark } },
    { upsert: true, returnDocument: 'after' }
  )
  if (seen !== null && seen.mark !== mark) {
    throw new AnotherKeyring(
      'this store was written with another key ring: bring back its keys.json (or HONGYAN_KEYS) beside it'
    )
  }
}

async function openStore(dataDir: string, log: Log) {
  try {
    const tell = (event: string, facts: Record<string, unknown>) => log.warn(facts, event)
    return await openEmbedded({ dir: storeDir(dataDir), worker: true, log: tell })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Fault(`the store in ${storeDir(dataDir)} does not open: ${reason}`, { cause: error })
  }
}

/** Does the uri say which database? `mongodb://host/name?…` */
export function namesDatabase(uri: string): boolean {
  return /^mongodb(\+srv)?:\/\/[^/?]+\/[^?]/.test(uri)
}
