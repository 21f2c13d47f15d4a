import type {
  Collection,
  Document,
  Filter,
  MongoBulkWriteError,
  OptionalUnlessRequiredId,
  UpdateFilter,
  WithId
} from 'mongodb'
import mongoose, { type Connection, type ConnectOptions } from 'mongoose'
import { AppError } from './errors.js'
import { mendLostDrain } from './lost-drain.js'

/** The store cannot be reached or is of no use; its message is fit for the person who starts the process. */
export class StoreUnreachable extends AppError {
  readonly status = 503
  constructor(message: string, cause?: unknown) {
    super('store.unreachable', message, { cause })
  }
}

/**
 * A connection to MongoDB or the embedded store. Indexes are made by the rooms at start, never behind their backs;
 * every write waits for a majority; whether writes are retried, and how long a server is looked for, is the uri's word.
 * @throws StoreUnreachable when nothing answers within `timeoutMs`
 */
export async function connectMongo(
  uri: string,
  options: { dbName?: string; maxPoolSize?: number; timeoutMs?: number } = {}
): Promise<Connection> {
  const settings: ConnectOptions = {
    ...(options.dbName !== undefined && { dbName: options.dbName }),
    autoIndex: false,
    autoCreate: false,
    writeConcern: { w: 'majority' },
    maxPoolSize: options.maxPoolSize ?? 20,
    ...(!/[?&]serverSelectionTimeoutMS=/i.test(uri) && { serverSelectionTimeoutMS: options.timeoutMs ?? 5_000 }),
    ignoreUndefined: true
  }
  mendLostDrain()
  const connection = mongoose.createConnection()
  // Losing the store later is logged by who asks it; without a listener mongoose would bring the process down.
  connection.on('error', () => {})
  try {
    await connection.openUri(uri, settings)
  } catch (error) {
    await connection.close().catch(() => {})
    const reason = error instanceof Error ? error.message : String(error)
    throw new StoreUnreachable(`the store at ${withoutPassword(uri)} does not answer: ${reason}`, error)
  }
  return connection
}

/**
 * For reads of rows a command names or limits: all of them in one answer. Left to itself the store gives the first 101,
 * and every such read would be two commands.
 */
export const IN_ONE = 10_000

/** A uri as it may be shown. */
export function withoutPassword(uri: string): string {
  return uri.replace(/\/\/[^/@]*@/, '//***@')
}

/** Is this MongoDB's complaint about a unique index? */
export function isDuplicateKey(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 11000
}

/** For the `catch` of one write that need not happen when the row is there already. @throws any other error, as it came */
export function ignoreDuplicate(error: unknown): void {
  if (!isDuplicateKey(error)) throw error
}

/** What the store's own clock shows. */
export async function storeTime(db: Connection): Promise<Date> {
  return (await db.getClient().db('admin').command({ hello: 1 })).localTime as Date
}

/** One row as `update` leaves it, made where there is none: of two who make it at once the second finds the first's. */
export async function upserted<Row extends Document>(
  rows: Collection<Row>,
  filter: Filter<Row>,
  update: UpdateFilter<Row>
): Promise<WithId<Row>> {
  const write = () => rows.findOneAndUpdate(filter, update, { upsert: true, returnDocument: 'after' })
  const row = await write().catch((error: unknown) => (ignoreDuplicate(error), write()))
  return row!
}

/**
 * The places, in an unordered bulk write that failed, of what a unique index kept out. @throws the error itself when
 * anything else went wrong, or when the rest is not known to be stored by a majority
 */
export function duplicatesIn(error: unknown): number[] {
  const { writeErrors = [], result } = error as Partial<MongoBulkWriteError>
  const each = [writeErrors].flat()
  const unsure = result?.getWriteConcernError?.() !== undefined
  if (each.length === 0 || unsure || !each.every(isDuplicateKey)) throw error
  return each.map(({ index }) => index)
}

/** Inserts what is not there yet. @returns the places in the batch of those that were there before */
export async function insertNew<Row extends Document>(rows: Collection<Row>, batch: Row[]): Promise<Set<number>> {
  if (batch.length === 0) return new Set()
  try {
    await rows.insertMany(batch as OptionalUnlessRequiredId<Row>[], { ordered: false })
    return new Set()
  } catch (error) {
    return new Set(duplicatesIn(error))
  }
}
