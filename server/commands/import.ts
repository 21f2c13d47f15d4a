import { resolve } from 'node:path'
import { MongoServerError, type Db } from 'mongodb'
import { decode, type Doc } from '../embedded/bson/document.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { Fault, readArguments, type Command } from './command.js'
import { fromJson, readDocument, toDriver } from './extended-json.js'
import { FORMAT, keyringMark, linesOf, openSide, TRANSFER_OPTIONS, UNDER_WAY } from './transfer.js'
import type { CollectionLine, Head, Side, Tail } from './transfer.js'

const BATCH = { documents: 1_000, bytes: 8 * 2 ** 20 }

/**
 * `hongyan import`: fills an empty store with what `hongyan export` wrote. The whole file is looked through before the first
 * write; one that breaks off is finished by calling it again.
 */
export const importCommand: Command = {
  usage: 'hongyan import [--uri URI | --data DIR] FILE[.gz]',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, TRANSFER_OPTIONS, { min: 1, max: 1 })
    const file = resolve(positionals[0]!)
    const { head, counts, documents } = await lookThrough(file)
    const side = await openSide(values, io, true)
    try {
      const mark = await keyringMark(side.config)
      if (head.keyring !== null && mark !== null && mark !== head.keyring) {
        throw new Fault(
          `this export was written with another key ring: put its keys.json into ${side.config.dataDir} (or set HONGYAN_KEYS) first`
        )
      }
      const resumed = await begin(side, head)
      await load(side.db, file, resumed)
      await mustBeWhole(side.db, counts)
      await side.db.collection(UNDER_WAY).drop()
      io.out(`${counts.size} collections, ${documents} documents of ${file} are in ${side.name}`)
      if (head.keyring !== null && mark === null) {
        io.err(
          `now put the keys.json this was written with into ${side.config.dataDir}: a server that starts without makes new ones`
        )
      }
      return 0
    } finally {
      await side.close()
    }
  }
}

/** How many documents of each collection a whole and sound export holds. @throws Fault */
async function lookThrough(file: string): Promise<{ head: Head; counts: Map<string, number>; documents: number }> {
  let head: Head | null = null
  let tail: Tail | null = null
  let collection: string | null = null
  const counts = new Map<string, number>()
  for await (const line of linesOf(file)) {
    if (head === null) {
      if (line.hongyan !== 'export') throw new Fault(`${file} is no export of hongyan`)
      if (line.format !== FORMAT) throw new Fault(`${file} has form ${line.format}; this version reads ${FORMAT}`)
      head = line as Head
    } else if (tail !== null) throw new Fault(`${file} goes on after its end`)
    else if (typeof line.collection === 'string') counts.set((collection = line.collection), 0)
    else if (line.end !== undefined) tail = line as Tail
    else if (collection !== null && isDocument(collection, line)) counts.set(collection, counts.get(collection)! + 1)
    else throw new Fault(`${file} holds a line that is neither a collection nor a document`)
  }
  const documents = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (head === null || tail?.end.documents !== documents || tail.end.collections !== counts.size) {
    throw new Fault(`${file} was cut off: it does not come to its end`)
  }
  return { head, counts, documents }
}

/** @throws Fault for one that drivers cannot write */
function isDocument(collection: string, line: Record<string, unknown>): boolean {
  let doc: Doc | null
  try {
    const raw = readDocument(line)
    doc = raw === null ? null : decode(raw)
  } catch {
    return false
  }
  if (doc !== null) forDriver(collection, doc)
  return doc !== null
}

/** Marks the store as being filled; true when this very export was begun before. @throws Fault when there is something in it */
async function begin({ db, name }: Side, { id }: Head): Promise<boolean> {
  const marks = db.collection<{ _id: string; export: string }>(UNDER_WAY)
  const mark = await marks.findOne({ _id: 'import' })
  if (mark?.export === id) return true
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
  return false
}

async function load(db: Db, file: string, resumed: boolean): Promise<void> {
  let collection = ''
  let indexes: unknown[] = []
  let batch: unknown[] = []
  let bytes = 0
  const flush = async () => {
    if (batch.length > 0) await insert(db, collection, batch, resumed)
    batch = []
    bytes = 0
  }
  const finish = async () => {
    await flush()
    // After the documents, or each of them would have to find its places; what is unique was so where it comes from.
    if (indexes.length > 0) await refusable(collection, () => db.command({ createIndexes: collection, indexes }))
  }
  for await (const line of linesOf(file)) {
    if (typeof line.collection === 'string') {
      await finish()
      collection = line.collection
      indexes = (line as CollectionLine).indexes.map((index) => toDriver(fromJson(index)))
      await make(db, collection)
      continue
    }
    const raw = readDocument(line)
    if (raw === null) continue
    batch.push(forDriver(collection, decode(raw)))
    bytes += raw.length
    if (batch.length >= BATCH.documents || bytes >= BATCH.bytes) await flush()
  }
  await finish()
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

async function mustBeWhole(db: Db, counts: Map<string, number>): Promise<void> {
  for (const [collection, wanted] of counts) {
    const found = await db.collection(collection).countDocuments({})
    if (found !== wanted)
      throw new Fault(`${collection} has ${found} documents instead of ${wanted}: who else writes there?`)
  }
}
