import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { MongoClient, type Db } from 'mongodb'
import { readConfig, type Config } from '../config.js'
import { openEmbedded } from '../embedded/embedded.js'
import { loadKeys, parseKeyLine } from '../platform/keys.js'
import { withoutPassword } from '../platform/mongo.js'
import { createSealer, type Keyring } from '../platform/sealing.js'
import { Fault, UsageFault, type Io } from './command.js'
import { mustBeWritable, storeDir } from './data-dir.js'
import { DATABASE, KEYRING, namesDatabase } from './ground.js'
import type { Sum } from './checksum.js'

/** The form of the lines; import takes no other. */
export const FORMAT = 1

/** The first line of an export. */
export type Head = { hongyan: 'export'; format: number; id: string; at: string; keyring: string | null }
/** Before a collection's documents. */
export type CollectionLine = { collection: string; indexes: unknown[] }
/** The last line; a file without it was cut off. `sums` are by collection. */
export type Tail = { end: { collections: number; documents: number; sums: Record<string, Sum> } }

export const TRANSFER_OPTIONS = { uri: { type: 'string' }, data: { type: 'string' } } as const

/** One database, open. */
export type Side = { db: Db; name: string; close(): Promise<void> }

/** What the flags name: a MongoDB, or the embedded store in a data directory. @throws UsageFault */
export function sideOf(values: { uri?: string; data?: string }, io: Io): Config {
  if (values.uri !== undefined && values.data !== undefined) throw new UsageFault('--uri or --data, not both')
  return readConfig({
    ...io.env,
    ...(values.uri !== undefined && { MONGODB_URI: values.uri }),
    // A directory that is named is meant, whatever the environment says.
    ...(values.data !== undefined && { HONGYAN_DATA: values.data, MONGODB_URI: undefined })
  })
}

/** Opens it; an embedded store that is not there is made where `make` says so. @throws Fault */
export async function openSide(config: Config, make: boolean): Promise<Side> {
  const dir = storeDir(config.dataDir)
  if (config.mongodbUri === null && !make && !existsSync(join(dir, 'data.mdb'))) {
    throw new Fault(`there is no store in ${dir}; name its data directory with --data, or a MongoDB with --uri`)
  }
  if (config.mongodbUri === null) await mustBeWritable(config.dataDir)
  const embedded = config.mongodbUri === null ? await openEmbedded({ dir }) : null
  const uri = config.mongodbUri ?? embedded!.uri
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000, writeConcern: { w: 'majority' } })
  try {
    await client.connect()
  } catch (error) {
    await embedded?.close()
    throw new Fault(`the store at ${withoutPassword(uri)} does not answer: ${(error as Error).message}`)
  }
  return {
    db: client.db(namesDatabase(uri) ? undefined : DATABASE),
    name: embedded === null ? withoutPassword(uri) : dir,
    async close() {
      await client.close()
      await embedded?.close()
    }
  }
}

/** The key ring at hand; null when there is none (and none is made). @throws KeysFault */
export async function ringAtHand({ keys, dataDir }: Config): Promise<Keyring | null> {
  if (keys !== null) return parseKeyLine(keys)
  return existsSync(join(dataDir, 'keys.json')) ? (await loadKeys(dataDir)).keyring : null
}

/** By what a store remembers the ring it was written with. */
export const markOf = (ring: Keyring): string => createSealer(ring).hash(KEYRING)

/** How many documents there are in all. */
export const countOf = (sums: ReadonlyMap<string, Sum>): number =>
  [...sums.values()].reduce((total, { documents }) => total + documents, 0)

/** The sums of a list of collections, one a line. */
export function tableOf(sums: ReadonlyMap<string, Sum>): string {
  const width = Math.max(10, ...[...sums.keys()].map((name) => name.length))
  const line = (name: string, documents: string, checksum: string) =>
    `  ${name.padEnd(width)}  ${documents.padStart(10)}  ${checksum}`
  return [
    line('collection', 'documents', 'checksum'),
    ...[...sums].map(([name, { documents, checksum }]) => line(name, String(documents), checksum))
  ].join('\n')
}

/** The lines of an export, parsed. @throws Fault when the file cannot be read or holds something else */
export async function* linesOf(file: string): AsyncGenerator<Record<string, any>> {
  let number = 0
  for await (const line of textLines(file)) {
    number++
    let parsed: unknown
    try {
      parsed = JSON.parse(line)
    } catch {
      parsed = null
    }
    if (parsed === null || typeof parsed !== 'object') throw new Fault(`line ${number} of ${file} is no JSON object`)
    yield parsed as Record<string, any>
  }
}

async function* textLines(file: string): AsyncGenerator<string> {
  const source = createReadStream(file)
  const stream: Readable = file.endsWith('.gz') ? pipeline(source, createGunzip(), () => {}) : source
  stream.setEncoding('utf8')
  let begun: string[] = []
  try {
    for await (const chunk of stream) {
      const lines = (chunk as string).split('\n')
      const last = lines.pop()!
      for (const line of lines) {
        begun.push(line)
        yield begun.join('')
        begun = []
      }
      begun.push(last)
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Fault(code === 'ENOENT' ? `there is no file ${file}` : `${file} cannot be read: ${message}`)
  }
  const last = begun.join('')
  if (last !== '') yield last
}
