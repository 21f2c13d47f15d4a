import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { readConfig } from '../config.js'
import { backupStore, checkStore, openEmbedded } from '../embedded/embedded.js'
import { Fault, readArguments, readPort, UsageFault, type Command, type Io } from './command.js'
import { mustBePrivate, mustBeWritable, storeDir } from './data-dir.js'
import { tryPort, untilSignal } from './process.js'

const OPTIONS = {
  listen: { type: 'string' },
  'print-uri': { type: 'boolean' },
  'password-file': { type: 'string' },
  data: { type: 'string' }
} as const

/** `hongyan store`: the embedded store on its own, its check and its backup. */
export const storeCommand: Command = {
  usage:
    'hongyan store [--listen HOST:PORT [--password-file FILE]] [--print-uri] [--data DIR] | store check | store backup TO',
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
  values: { listen?: string; 'password-file'?: string; 'print-uri'?: boolean },
  io: Io
): Promise<number> {
  const listen = values.listen === undefined ? null : readAddress(values.listen)
  const file = values['password-file']
  if (file !== undefined && listen === null) throw new UsageFault('--password-file is for --listen')
  await mustBeWritable(dataDir)
  const password = file === undefined ? null : await readPassword(file)
  if (listen !== null) await tryPort(listen.host, listen.port)
  const stopped = untilSignal()
  const store = await openEmbedded({
    dir: storeDir(dataDir),
    worker: true,
    log: (event, facts) => io.err(`${event} ${JSON.stringify(facts)}`),
    ...(listen !== null && {
      listen: { ...listen, ...(password !== null && { password }) }
    })
  })
  if (!store.owner) {
    await store.close()
    throw new Fault(`the store in ${storeDir(dataDir)} is run by another process already; connect to that one`)
  }
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

/** The password in a file of this user's, made with a fresh one when it is not there. A command line is seen by all. */
async function readPassword(file: string): Promise<string> {
  const path = resolve(file)
  try {
    await writeFile(path, `${randomBytes(24).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 }).catch((error) => {
      if (error.code !== 'EEXIST') throw error
    })
    await mustBePrivate(path)
    const password = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    if (password === '') throw new Fault(`${path} holds no password`)
    return password
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault(`the password file ${path} cannot be used: ${(error as Error).message}`)
  }
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
