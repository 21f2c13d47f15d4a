import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MongoServerError, type Db } from 'mongodb'
import { decode, type Doc } from '../embedded/bson/document.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { createChecksum, type Sum } from './checksum.js'
import { Fault, readArguments, UsageFault, type Command, type Io } from './command.js'
import { fromJson, readDocument, toDriver } from './extended-json.js'
import { createKeysNeeded, mustOpenAll, type KeysNeeded } from './keys-needed.js'
import { countOf, FORMAT, linesOf, markOf, openSide, ringAtHand, sideOf, tableOf } from './transfer.js'
import { TRANSFER_OPTIONS } from './transfer.js'
import { UNDER_WAY } from './ground.js'
import type { CollectionLine, Head, Side, Tail } from './transfer.js'

const BATCH = { documents: 1_000, bytes: 8 * 2 ** 20 }

/**
 * `hongyan import`: fills an empty store with what `hongyan export` wrote. All of it is looked through before the first
 * write; an import that breaks off is finished by calling it again.
 */
export const importCommand: Command = {
  usage: 'hongyan import [--uri URI | --data DIR] [FILE[.gz] | -]',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, TRANSFER_OPTIONS, { min: 0, max: 1 })
    const [name = '-'] = positionals
    if (name !== '-') return importFile(resolve(name), values, io)
    const input = io.input()
    if ((input as { isTTY?: boolean }).isTTY) throw new UsageFault('name a file, or stand behind a pipe')
    const dir = await mkdtemp(join(tmpdir(), 'hongyan-import-'))
    const file = join(dir, 'export.jsonl')
    let begun = false
    try {
      // Read to its end before anything is written: what is cut off must leave no half of a store behind.
      await pipeline(input, createWriteStream(file, { mode: 0o600 }))
      const code = await importFile(file, values, io, { name: 'the pipe', begun: () => (begun = true) })
      begun = false
      return code
    } catch (error) {
      if (begun) io.err(`what came through the pipe is kept: \`hongyan import ${file}\` goes on with it`)
      throw begun || !(error instanceof Fault) ? error : new Fault(error.message.replaceAll(file, 'the pipe'))
    } finally {
      if (!begun) await rm(dir, { recursive: true, force: true })
    }
  }
}

async function importFile(
  file: string,
  values: { uri?: string; data?: string },
  io: Io,
  told: { name?: string; begun?: () => void } = {}
): Promise<number> {
  const config = sideOf(values, io)
  const { head, sums, needed } = await lookThrough(file)
  const ring = await ringAtHand(config)
  if (head.keyring !== null && ring !== null) {
    if (markOf(ring) !== head.keyring) {
      throw new Fault(
        `this export was written with another key ring: put its keys.json into ${config.dataDir} (or set HONGYAN_KEYS) first`
      )
    }
    mustOpenAll(needed, ring, config)
  }
  const side = await openSide(config, true)
  try {
    const state = await begin(side, head)
    told.begun?.()
    if (state !== 'whole') {
      await load(side.db, file, state === 'resumed')
      await mustEqual(side.db, sums)
      await side.db.collection<Mark>(UNDER_WAY).updateOne({ _id: 'import' }, { $set: { whole: true } })
    }
    await makeIndexes(side.db, file)
    await side.db.collection(UNDER_WAY).drop()
    io.out(`${sums.size} collections, ${countOf(sums)} documents of ${told.name ?? file} are in ${side.name}`)
    io.out(tableOf(sums))
    io.out('each collection was read again: counts and checksums are those of the export')
    if (head.keyring !== null && ring === null) {
      const names = needed.names()
      const named = names.length === 0 ? '' : ` (with ${names.join(', ')} in it)`
      io.err(
        `now put the keys.json this was written with${named} into ${config.dataDir}: a server that starts without makes new ones`
      )
    }
    return 0
  } finally {
    await side.close()
  }
}

/** What a whole and sound export holds, counted and added up anew, and which keys it needs. @throws Fault */
async function lookThrough(file: string): Promise<{ head: Head; sums: Map<string, Sum>; needed: KeysNeeded }> {
  let head: Head | null = null
  let tail: Tail | null = null
  let collection: string | null = null
  let checksum = createChecksum()
  const sums = new Map<string, Sum>()
  const needed = createKeysNeeded()
  const finish = () => void (collection !== null && sums.set(collection, checksum.sum()))
  for await (const line of linesOf(file)) {
    if (head === null) {
      if (line.hongyan !== 'export') throw new Fault(`${file} is no export of hongyan`)
      if (line.format !== FORMAT) throw new Fault(`${file} has form ${line.format}; this version reads ${FORMAT}`)
      head = line as Head
    } else if (tail !== null) throw new Fault(`${file} goes on after its end`)
    else if (typeof line.collection === 'string') {
      finish()
      collection = line.collection
      checksum = createChecksum()
    } else if (line.end !== undefined) tail = line as Tail
    else {
      const raw = collection === null ? null : documentOf(collection, line)
      if (raw === null) throw new Fault(`${file} holds a line that is neither a collection nor a document`)
      checksum.add(raw)
      needed.look(collection!, raw)
    }
  }
  finish()
  if (head === null || tail?.end.documents !== countOf(sums) || tail.end.collections !== sums.size) {
    throw new Fault(`${file} was cut off: it does not come to its end`)
  }
  const changed = differing(sums, new Map(Object.entries(tail.end.sums)))
  if (changed !== null) throw new Fault(`${file} was changed since it was written: ${changed}`)
  return { head, sums, needed }
}

/** The first collection that is not as it should be, and how; null: all are. */
function differing(found: ReadonlyMap<string, Sum>, wanted: ReadonlyMap<string, Sum>): string | null {
  for (const [name, { documents, checksum }] of wanted) {
    const seen = found.get(name)
    if (seen?.documents !== documents) return `${name} has ${seen?.documents ?? 0} documents instead of ${documents}`
    if (seen.checksum !== checksum) return `${name} adds up to ${seen.checksum} instead of ${checksum}`
  }
  return null
}

/** The bytes of a line; null when it holds no document. @throws Fault for one that drivers cannot write */
function documentOf(collection: string, line: Record<string, unknown>): Buffer | null {
  let raw: Buffer | null
  let doc: Doc | null
  try {
    raw = readDocument(line)
    doc = raw === null ? null : decode(raw)
  } catch {
    return null
  }
  if (doc !== null) forDriver(collection, doc)
  return raw
}

/** What stands in a store while an import into it is under way; `whole`: all documents are there, indexes may lack. */
type Mark = { _id: string; export: string; whole?: true }

/** Marks the store as being filled, and says how far this very export came before. @throws Fault when there is something in it */
async function begin({ db, name }: Side, { id }: Head): Promise<'fresh' | 'resumed' | 'whole'> {
  const marks = db.collection<Mark>(UNDER_WAY)
  const mark = await marks.findOne({ _id: 'import' })
  if (mark?.export === id) return mark.whole === true ? 'whole' : 'resumed'
  if (mark !== null)
    throw new Fault(`the import of another file into ${name} broke off: finish that one, or empty the store`)
  for (const { name: collection } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (
      collection.startsWith('system.') ||
      (await db.collection(collection).findOne({}, { projection: { _id: 1 } })) === null
    )
      continue
    throw new Fault(`${name} is not empty (${collection} holds documents): import into a new one`)
  }
  await marks.insertOne({ _id: 'import', export: id })
  return 'fresh'
}

async function load(db: Db, file: string, resumed: boolean): Promise<void> {
  let collection = ''
  let batch: unknown[] = []
  let bytes = 0
  const flush = async () => {
    if (batch.length > 0) await insert(db, collection, batch, resumed)
    batch = []
    bytes = 0
  }
  for await (const line of linesOf(file)) {
    if (typeof line.collection === 'string') {
      await flush()
      collection = line.collection
      await make(db, collection)
      continue
    }
    const raw = readDocument(line)
    if (raw === null) continue
    batch.push(forDriver(collection, decode(raw)))
    bytes += raw.length
    if (batch.length >= BATCH.documents || bytes >= BATCH.bytes) await flush()
  }
  await flush()
}

/**
 * After all documents were compared: each of them would have to find its places, and one that is past its time would be
 * gone before it was counted. What is unique was so where it comes from.
 */
async function makeIndexes(db: Db, file: string): Promise<void> {
  for await (const line of linesOf(file)) {
    if (typeof line.collection !== 'string') continue
    const collection = line.collection
    const indexes = (line as CollectionLine).indexes.map((index) => toDriver(fromJson(index)))
    if (indexes.length > 0) await refusable(collection, () => db.command({ createIndexes: collection, indexes }))
  }
}

function forDriver(collection: string, doc: Doc): unknown {
  try {
    return toDriver(doc)
  } catch (error) {
    throw new Fault(`the document ${String(doc.get('_id'))} of ${collection} holds ${(error as Error).message}`)
  }
}

async function make(db: Db, collection: string): Promise<void> {
  const there = await db.listCollections({ name: collection }, { nameOnly: true }).toArray()
  if (there.length === 0) await refusable(collection, () => db.createCollection(collection))
}

async function insert(db: Db, collection: string, documents: unknown[], resumed: boolean): Promise<void> {
  const reply = await refusable(collection, () =>
    db.command({ insert: collection, documents, ordered: false, writeConcern: { w: 'majority' } })
  )
  const errors = (reply.writeErrors ?? []) as { code: number; errmsg: string; keyPattern?: object }[]
  // What an earlier try has brought is there under the same _id.
  const told = errors.find(
    (error) => !(resumed && isDuplicateKey(error) && error.keyPattern && '_id' in error.keyPattern)
  )
  if (told) throw new Fault(`${collection} was refused: ${told.errmsg}; call the same command again to go on`)
}

async function refusable<T>(collection: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MongoServerError)) throw error
    throw new Fault(`${collection} was refused: ${error.message}; call the same command again to go on`)
  }
}

/** Reads again what was written. @throws Fault when that is not what the export holds */
async function mustEqual(db: Db, wanted: ReadonlyMap<string, Sum>): Promise<void> {
  const found = new Map<string, Sum>()
  for (const name of wanted.keys()) {
    const checksum = createChecksum()
    for await (const raw of db.collection(name).find({}, { raw: true, batchSize: 1_000 })) {
      checksum.add(raw as unknown as Buffer)
    }
    found.set(name, checksum.sum())
  }
  const wrong = differing(found, wanted)
  if (wrong !== null) throw new Fault(`${wrong}: who else writes there?`)
}
