import { join } from 'node:path'
import { createAccounts } from '../accounts/accounts.js'
import { createVerify } from '../accounts/verify.js'
import { readConfig, type Config } from '../config.js'
import { createClock } from '../platform/clock.js'
import { silentLog } from '../platform/log.js'
import { withoutPassword } from '../platform/mongo.js'
import { createTokenCentre } from '../wechat/access-token.js'
import { bySecret } from '../wechat/token-calls.js'
import { createWechatApi } from '../wechat/api.js'
import { createWechatClient } from '../wechat/client.js'
import { readArguments, type Command, type Io } from './command.js'
import { mustBePrivate } from './data-dir.js'
import { openGround, type Ground } from './ground.js'

/** The oldest node this runs on, as package.json says. */
const NODE = { major: 20, minor: 19 }

/** `hongyan doctor`: looks at everything a server needs and says what is wrong, one line each. */
export const doctorCommand: Command = {
  usage: 'hongyan doctor [--offline] [--data DIR]',
  async run(argv, io) {
    const { values } = readArguments(argv, { offline: { type: 'boolean' }, data: { type: 'string' } })
    let faults = 0
    const check = async <T>(name: string, work: () => Promise<[T, string]>): Promise<T | null> => {
      try {
        const [value, text] = await work()
        io.out(`✓ ${name}: ${text}`)
        return value
      } catch (error) {
        faults += 1
        io.out(`✗ ${name}: ${error instanceof Error ? error.message : String(error)}`)
        return null
      }
    }

    await check('node', async () => [null, nodeVersion(process.versions.node)])
    const config = await check('settings', async () => {
      const read = readConfig({ ...io.env, ...(values.data !== undefined && { HONGYAN_DATA: values.data }) })
      return [read, `port ${read.port}, data in ${read.dataDir}`]
    })
    if (config === null) return 1
    const ground = await check('store', () => openStore(config))
    if (ground !== null) {
      try {
        await check('keys', () => keysFit(config, ground))
        await lookAtAccounts(config, ground, values.offline === true, check, io)
      } finally {
        await ground.close()
      }
    }
    io.out(faults === 0 ? '\nall is well' : `\n${faults} thing(s) to mend`)
    return faults === 0 ? 0 : 1
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

async function openStore(config: Config): Promise<[Ground, string]> {
  const clock = createClock()
  const ground = await openGround(config, silentLog())
  const begin = clock.monotonic()
  await ground.db.getClient().db(ground.db.name).command({ ping: 1 })
  const ms = (clock.monotonic() - begin).toFixed(1)
  const { kind, owner, uri } = ground.store
  const offsetMs = Math.abs(ground.clock.now().getTime() - clock.now().getTime())
  const drift = offsetMs > 1_000 ? `; this machine's clock is ${Math.round(offsetMs / 1000)} s off the store's` : ''
  if (kind === 'mongodb') return [ground, `MongoDB at ${withoutPassword(uri)}, ${ms} ms${drift}`]
  const state = owner ? 'opened here' : 'run by another process'
  return [
    ground,
    `embedded, ${state}, ${ms} ms; for more than one machine or millions of rights set MONGODB_URI to a replica set${drift}`
  ]
}

async function keysFit(config: Config, { db, sealer }: Ground): Promise<[null, string]> {
  const account = await db.collection('accounts').findOne({}, { projection: { sealedSecret: 1 } })
  if (account !== null) {
    try {
      sealer.open(String(account.sealedSecret))
    } catch (error) {
      throw new Error('these keys do not open what the store holds; restore the ring it was written with', {
        cause: error
      })
    }
  }
  if (config.keys !== null) return [null, 'from HONGYAN_KEYS']
  const path = join(config.dataDir, 'keys.json')
  await mustBePrivate(path)
  return [null, `${path}; keep a copy of it apart from the data: without it nothing sealed can be read`]
}

async function lookAtAccounts(
  config: Config,
  ground: Ground,
  offline: boolean,
  check: <T>(name: string, work: () => Promise<[T, string]>) => Promise<T | null>,
  io: Io
): Promise<void> {
  const { db, clock, sealer } = ground
  const accounts = createAccounts({ ...ground, apiBase: config.apiBase, publicUrl: config.publicUrl })
  const all = await accounts.list()
  if (all.length === 0) {
    io.out('· accounts: none yet; `hongyan account add` or POST /v1/accounts connects one')
    return
  }
  const client = createWechatClient()
  const tokens = createTokenCentre({
    db,
    clock,
    fetcher: bySecret({ client, secretOf: accounts.secretOf }),
    seal: sealer,
    random: Math.random
  })
  const verify = createVerify({ accounts, wechat: createWechatApi({ client, tokens }) })
  for (const { id, appId, name, apiBase } of all) {
    if (offline) {
      io.out(`· account ${appId} "${name}": not asked (--offline)`)
      continue
    }
    await check(`account ${appId} "${name}"`, async () => {
      const { state, disabledReason } = await verify(id)
      if (state === 'disabled') throw new Error(disabledReason ?? 'disabled')
      return [null, `${apiBase} answers, ${state}${disabledReason === null ? '' : ` (${disabledReason})`}`]
    })
  }
  await client.close()
}
