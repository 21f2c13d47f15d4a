import { resolve } from 'node:path'
import { readConfig } from '../config.js'
import { backupStore, checkStore, openEmbedded } from '../embedded/embedded.js'
import { Fault, readArguments, readPort, UsageFault, type Command, type Io } from './command.js'
import { mustBeWritable, storeDir } from './data-dir.js'
import { tryPort, untilSignal } from './process.js'

const OPTIONS = {
  listen: { type: 'string' },
  'print-uri': { type: 'boolean' },
  password: { type: 'string' },
  data: { type: 'string' }
} as const

/** `hongyan store`: the embedded store on its own, its check and its backup. */
export const storeCommand: Command = {
  usage:
    'hongyan store [--listen HOST:PORT] [--password TEXT] [--print-uri] [--data DIR] | store check | store backup TO',
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, { min: 0, max: 2 })
    const { dataDir } = readConfig({ ...io.env, ...(values.data !== undefined && { HONGYAN_DATA: values.data }) })
    const [verb, to] = positionals
    if (verb === undefined) return run(dataDir, values, io)
    if (verb === 'check' && to === undefined) return check(dataDir, io)
    if (verb === 'backup') {
      if (to === undefined) throw new UsageFault('backup needs a directory to write to')
      return backup(dataDir, resolve(to), io)
    }
    throw new UsageFault(`"${verb}" is none of check, backup`)
  }
}

async function run(
  dataDir: string,
  values: { listen?: string; password?: string; 'print-uri'?: boolean },
  io: Io
): Promise<number> {
  const listen = values.listen === undefined ? null : readAddress(values.listen)
  await mustBeWritable(dataDir)
  if (listen !== null) await tryPort(listen.host, listen.port)
  const store = await openEmbedded({
    dir: storeDir(dataDir),
    worker: true,
    ...(listen !== null && {
      listen: { ...listen, ...(values.password !== undefined && { password: values.password }) }
    })
  })
  if (!store.owner) {
    throw new Fault(`the store in ${storeDir(dataDir)} is run by another process already; connect to that one`)
  }
  const stopped = untilSignal()
  // One line and nothing else, so that a script can take it as MONGODB_URI.
  io.out(values['print-uri'] ? store.uri : `the store in ${storeDir(dataDir)} answers at ${store.uri}`)
  process.send?.({ kind: 'ready', uri: store.uri })
  // The worker thread does not hold the process, so something has to until a signal comes.
  const hold = setInterval(() => {}, 2 ** 30)
  await stopped.signal
  clearInterval(hold)
  await store.close()
  return 0
}

async function check(dataDir: string, io: Io): Promise<number> {
  const { collections, documents, errors } = await checkStore(storeDir(dataDir))
  for (const error of errors) io.out(`✗ ${error}`)
  io.out(`${collections} collections, ${documents} documents, ${errors.length} fault(s)`)
  return errors.length === 0 ? 0 : 1
}

async function backup(dataDir: string, to: string, io: Io): Promise<number> {
  await backupStore(storeDir(dataDir), to)
  io.out(`the store was copied to ${to}; keep a copy of ${dataDir}/keys.json as well, apart from it`)
  return 0
}

function readAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  if (colon <= 0) throw new UsageFault(`"${text}" is not HOST:PORT`)
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: readPort(text.slice(colon + 1)) }
}
