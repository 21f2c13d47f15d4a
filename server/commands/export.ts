import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Db } from 'mongodb'
import { fromPlain } from '../embedded/bson/document.js'
import { createClock } from '../platform/clock.js'
import { createChecksum, type Sum } from './checksum.js'
import { Fault, readArguments, UsageFault, type Command } from './command.js'
import { toJson, writeDocument } from './extended-json.js'
import { KEYRING, UNDER_WAY } from './ground.js'
import { createKeysNeeded, type KeysNeeded } from './keys-needed.js'
import { countOf, FORMAT, openSide, sideOf, tableOf, TRANSFER_OPTIONS } from './transfer.js'
import type { CollectionLine, Head, Tail } from './transfer.js'

/** What an index carries that is its server's business, not its own. */
const OF_THE_SERVER = ['v', 'ns']

/** `hongyan export`: everything a database holds (ours, unless --uri names another), as lines of JSON in a file or a pipe. */
export const exportCommand: Command = {
  usage: 'hongyan export [--uri URI | --data DIR] [FILE[.gz] | -]',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, TRANSFER_OPTIONS, { min: 0, max: 1 })
    const [name = '-'] = positionals
    const output = io.output()
    if (name === '-' && output.isTTY) throw new UsageFault('name a file, or let a pipe take it')
    const file = name === '-' ? null : resolve(name)
    if (file !== null && existsSync(file)) throw new Fault(`${file} is there already; name a new file`)
    const side = await openSide(sideOf(values, io), false)
    const sums = new Map<string, Sum>()
    const needed = createKeysNeeded()
    let others: string[] = []
    try {
      const lines = blocks(exportLines(side.db, sums, needed))
      if (file === null) await intoPipe(lines, output)
      else await intoFile(lines, file)
      others = await otherDatabases(side.db)
    } finally {
      await side.close()
    }
    // In a pipe, standard output is the export itself.
    const tell = file === null ? io.err : io.out
    const documents = countOf(sums)
    tell(`${sums.size} collections, ${documents} documents of ${side.name} are in ${file ?? 'the pipe'}`)
    tell(tableOf(sums))
    if (others.length > 0) {
      io.err(
        `only the database ${side.db.databaseName} is in it; name another one in --uri to move ${others.join(', ')}`
      )
    }
    const names = needed.names()
    const opened = names.length === 0 ? '' : `; ${names.join(', ')} of it ${names.length === 1 ? 'is' : 'are'} needed`
    io.err(`the keys are not in it: keep keys.json (or HONGYAN_KEYS) apart, and bring it along${opened}`)
    return 0
  }
}

async function intoPipe(lines: AsyncGenerator<string>, output: Writable): Promise<void> {
  try {
    await pipeline(Readable.from(lines), output, { end: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
    throw new Fault('whoever reads the pipe has ended: look at what it says')
  }
}

async function intoFile(lines: AsyncGenerator<string>, file: string): Promise<void> {
  const part = `${file}.part`
  try {
    // What is sealed stays sealed in it; the rest is people's data all the same.
    const target = createWriteStream(part, { mode: 0o600 })
    if (file.endsWith('.gz')) await pipeline(Readable.from(lines), createGzip(), target)
    else await pipeline(Readable.from(lines), target)
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw fileFault(file, error)
  }
}

async function* exportLines(db: Db, sums: Map<string, Sum>, needed: KeysNeeded): AsyncGenerator<string> {
  const mark = await db.collection<{ _id: string; mark: string }>('settings').findOne({ _id: KEYRING })
  const collections = await db.listCollections().toArray()
  if (collections.some(({ name }) => name === UNDER_WAY)) {
    throw new Fault('an import into this store is under way, or broke off: finish it first')
  }
  const odd = collections.find(({ name, type }) => type !== 'collection' && !name.startsWith('system.'))
  if (odd) throw new Fault(`${odd.name} is a ${odd.type}, which this cannot move; nothing of ours is`)
  const head: Head = {
    hongyan: 'export',
    format: FORMAT,
    id: randomUUID(),
    at: createClock().now().toISOString(),
    keyring: mark?.mark ?? null
  }
  yield JSON.stringify(head)
  for (const name of collections.map((each) => each.name).sort()) {
    if (name.startsWith('system.')) continue
    const collection = db.collection(name)
    const indexes = await collection.listIndexes({ promoteValues: false, bsonRegExp: true }).toArray()
    const own = indexes.filter((index) => String(index.name) !== '_id_').map((index) => withoutServer(index))
    const line: CollectionLine = { collection: name, indexes: own.map((index) => toJson(fromPlain(index))) }
    yield JSON.stringify(line)
    const checksum = createChecksum()
    for await (const raw of collection.find({}, { raw: true, batchSize: 1_000 })) {
      checksum.add(raw as unknown as Buffer)
      needed.look(name, raw as unknown as Buffer)
      yield writeDocument(raw as unknown as Buffer)
    }
    sums.set(name, checksum.sum())
  }
  const tail: Tail = { end: { collections: sums.size, documents: countOf(sums), sums: Object.fromEntries(sums) } }
  yield JSON.stringify(tail)
}

/** What else somebody keeps on the same server; nothing of ours. */
async function otherDatabases(db: Db): Promise<string[]> {
  const own = [db.databaseName, 'admin', 'config', 'local']
  const { databases } = await db.admin().listDatabases({ nameOnly: true })
  return databases.map(({ name }) => name).filter((name) => !own.includes(name))
}

/** Lines gathered into larger pieces: a stream takes its time over each. */
async function* blocks(lines: AsyncGenerator<string>): AsyncGenerator<string> {
  let block = ''
  for await (const line of lines) {
    block += `${line}\n`
    if (block.length < 65_536) continue
    yield block
    block = ''
  }
  yield block
}

const withoutServer = (index: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(index).filter(([name]) => !OF_THE_SERVER.includes(name)))

function fileFault(file: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  const ofFiles = code !== undefined && syscall !== undefined && ['open', 'write', 'rename', 'close'].includes(syscall)
  return ofFiles ? new Fault(`${file} cannot be written: ${message}`) : error
}
