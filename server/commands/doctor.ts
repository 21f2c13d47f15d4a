import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig, type Config } from '../config.js'
import { createClock } from '../platform/clock.js'
import { loadKeys, parseKeyLine } from '../platform/keys.js'
import { silentLog } from '../platform/log.js'
import { withoutPassword } from '../platform/mongo.js'
import { readArguments, type Command, type Io } from './command.js'
import { mustBePrivate, storeDir } from './data-dir.js'
import { lookAtAccounts } from './doctor-accounts.js'
import { roomOn, writesTo } from './doctor-disk.js'
import { cureOf, Trouble, type Check } from './doctor-cures.js'
import { openGround, type Ground } from './ground.js'

/** The oldest node this runs on, as package.json says. */
const NODE = { major: 20, minor: 19 }

/** `hongyan doctor`: looks at everything a server needs, says what is wrong and what to do about it. */
export const doctorCommand: Command = {
  usage: 'hongyan doctor [--offline] [--data DIR]',
  async run(argv, io) {
    const { values } = readArguments(argv, { offline: { type: 'boolean' }, data: { type: 'string' } })
    let faults = 0
    const check: Check = async (name, work) => {
      try {
        const [value, text] = await work()
        io.out(`✓ ${name}: ${text}`)
        return value
      } catch (error) {
        faults += 1
        io.out(`✗ ${name}: ${error instanceof Error ? error.message : String(error)}`)
        const cure = cureOf(error)
        if (cure !== null) io.out(`  → ${cure}`)
        return null
      }
    }
    await lookAtAll(io, { data: values.data, offline: values.offline === true }, check)
    io.out(faults === 0 ? '\nall is well' : `\n${faults} thing(s) to mend`)
    return faults === 0 ? 0 : 1
  }
}

async function lookAtAll(io: Io, told: { data?: string; offline: boolean }, check: Check): Promise<void> {
  await check('node', async () => [null, nodeVersion(process.versions.node)])
  const config = await check('settings', async () => {
    const read = readConfig({ ...io.env, ...(told.data !== undefined && { HONGYAN_DATA: told.data }) })
    return [read, `port ${read.port}, data in ${read.dataDir}`]
  })
  if (config === null) return
  if (config.mongodbUri === null || config.keys === null) {
    // What keeps a directory from being used at all, the store says below.
    const isDirectory = statSync(config.dataDir, { throwIfNoEntry: false })?.isDirectory() === true
    if (isDirectory) await check('disk', async () => [null, await roomOn(config.dataDir)])
  }
  // Without keys nothing is opened: opening would make new ones, beside a store that was written with others.
  if ((await check('keys', () => keysThere(config))) === null) return
  const ground = await check('store', () => openStore(config))
  if (ground === null) return
  try {
    // Every account has something sealed: with keys that do not fit none can be read.
    if ((await check('keys fit', () => keysFit(ground))) === null) return
    await lookAtAccounts({ config, ground, offline: told.offline, check, io })
  } finally {
    await ground.close()
  }
}

/** @throws Error when this node is too old */
export function nodeVersion(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < NODE.major || (major === NODE.major && minor < NODE.minor)) {
    throw new Error(`${version} is too old: ${NODE.major}.${NODE.minor} or newer is needed`)
  }
  return version
}

/** Are there keys, whole and kept from others? @throws KeysFault, Fault, Trouble */
async function keysThere(config: Config): Promise<[true, string]> {
  if (config.keys !== null) {
    const { sealing } = parseKeyLine(config.keys)
    return [true, `from HONGYAN_KEYS, "${sealing[0]!.id}" is the current one`]
  }
  const path = join(config.dataDir, 'keys.json')
  if (!existsSync(path)) {
    if (config.mongodbUri === null && existsSync(join(storeDir(config.dataDir), 'data.mdb'))) {
      throw new Trouble(
        `${path} is gone, and the store beside it was written with it`,
        'bring keys.json back from your copy (mode 600), or set HONGYAN_KEYS; without it nothing sealed can be read'
      )
    }
    return [true, `none yet; ${path} is made at the first start`]
  }
  await loadKeys(config.dataDir)
  await mustBePrivate(path)
  return [true, `${path}; keep a copy of it apart from the data: without it nothing sealed can be read`]
}

async function openStore(config: Config): Promise<[Ground, string]> {
  const clock = createClock()
  const ground = await openGround(config, silentLog())
  try {
    const begin = clock.monotonic()
    await ground.db.getClient().db(ground.db.name).command({ ping: 1 })
    const ms = (clock.monotonic() - begin).toFixed(1)
    await writesTo(ground)
    const { kind, owner, uri } = ground.store
    const offsetMs = Math.abs(ground.clock.now().getTime() - clock.now().getTime())
    const drift = offsetMs > 1_000 ? `; this machine's clock is ${Math.round(offsetMs / 1000)} s off the store's` : ''
    if (kind === 'mongodb') return [ground, `MongoDB at ${withoutPassword(uri)}, ${ms} ms${drift}`]
    const state = owner ? 'opened here' : 'run by another process'
    const advice = 'for more than one machine or millions of rights set MONGODB_URI to a replica set'
    return [ground, `embedded, ${state}, ${ms} ms; ${advice}${drift}`]
  } catch (error) {
    await ground.close()
    throw error
  }
}

/** Do the keys open what is sealed? That they are of the store's ring was asked when it was opened. */
async function keysFit({ db, sealer }: Ground): Promise<[true, string]> {
  const account = await db
    .collection('accounts')
    .findOne({ sealedSecret: { $type: 'string', $ne: '' } }, { projection: { sealedSecret: 1 } })
  if (account === null) return [true, 'nothing is sealed yet']
  try {
    sealer.open(String(account.sealedSecret))
  } catch (error) {
    throw new Trouble(
      'these keys do not open what the store holds',
      'restore the ring it was written with: all of its keys, older ones too, belong into keys.json or HONGYAN_KEYS',
      error
    )
  }
  return [true, 'they open what the store holds']
}
