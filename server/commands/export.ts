import { randomUUID } from 'node:crypto'
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Db } from 'mongodb'
import { fromPlain } from '../embedded/bson/document.js'
import { createClock } from '../platform/clock.js'
import { Fault, readArguments, type Command } from './command.js'
import { toJson, writeDocument } from './extended-json.js'
import { KEYRING } from './ground.js'
import { FORMAT, openSide, TRANSFER_OPTIONS, UNDER_WAY } from './transfer.js'
import type { CollectionLine, Head, Tail } from './transfer.js'

/** What an index carries that is its server's business, not its own. */
const OF_THE_SERVER = ['v', 'ns']

/** `hongyan export`: everything a database holds (ours, unless --uri names another), as lines of JSON in a file. */
export const exportCommand: Command = {
  usage: 'hongyan export [--uri URI | --data DIR] FILE[.gz]',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, TRANSFER_OPTIONS, { min: 1, max: 1 })
    const file = resolve(positionals[0]!)
    if (existsSync(file)) throw new Fault(`${file} is there already; name a new file`)
    const side = await openSide(values, io, false)
    const counts = { collections: 0, documents: 0 }
    let others: string[] = []
    const part = `${file}.part`
    try {
      const lines = Readable.from(blocks(exportLines(side.db, counts)))
      // What is sealed stays sealed in it; the rest is people's data all the same.
      const target = createWriteStream(part, { mode: 0o600 })
      if (file.endsWith('.gz')) await pipeline(lines, createGzip(), target)
      else await pipeline(lines, target)
      await rename(part, file)
      others = await otherDatabases(side.db)
    } catch (error) {
      await rm(part, { force: true })
      throw fileFault(file, error)
    } finally {
      await side.close()
    }
    io.out(`${counts.collections} collections, ${counts.documents} documents of ${side.name} are in ${file}`)
    if (others.length > 0) {
      io.err(
        `only the database ${side.db.databaseName} is in it; name another one in --uri to move ${others.join(', ')}`
      )
    }
    io.err('the keys are not in it: keep keys.json (or HONGYAN_KEYS) apart, and bring it along')
    return 0
  }
}

async function* exportLines(db: Db, counts: Tail['end']): AsyncGenerator<string> {
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
    counts.collections++
    for await (const raw of collection.find({}, { raw: true, batchSize: 1_000 })) {
      yield writeDocument(raw as unknown as Buffer)
      counts.documents++
    }
  }
  const tail: Tail = { end: counts }
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
