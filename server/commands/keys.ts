import { readConfig, type Config } from '../config.js'
import { createClock } from '../platform/clock.js'
import {
  addKey,
  dropKey,
  loadKeys,
  newKeyLine,
  numberOf,
  parseKeyLine,
  rotatedAt,
  rotateKeys,
  toKeyLine,
  withCurrent,
  withKey,
  withoutKey
} from '../platform/keys.js'
import { silentLog } from '../platform/log.js'
import type { Keyring } from '../platform/sealing.js'
import { createResealing, type Resealing } from '../resealing/resealing.js'
import { Fault, readArguments, UsageFault, type Command, type Io } from './command.js'
import { mustBeWritable } from './data-dir.js'
import { openGround } from './ground.js'

/** A process notices within a second that keys.json has another current key; this long is given to the slowest. */
const SETTLE_MS = 60_000

const VERBS = ['new', 'list', 'status', 'add', 'rotate', 'reseal', 'retire'] as const

/**
 * `hongyan keys`: the ring everything sealed hangs on. A key is added (it opens), made current (it seals), everything is
 * sealed anew with it, and the old one is retired; each step may be broken off and done again.
 */
export const keysCommand: Command = {
  usage: 'hongyan keys new | list | status | add | rotate [NAME] | reseal | retire NAME',
  async run(argv, io) {
    const [verb, name, ...more] = readArguments(argv, {}, { min: 1, max: 2 }).positionals
    if (!(VERBS as readonly string[]).includes(verb!)) throw new UsageFault(`"${verb}" is none of ${VERBS.join(', ')}`)
    if (verb === 'retire' && name === undefined) throw new UsageFault('which key? `hongyan keys list` names them')
    if (name !== undefined && !['rotate', 'retire'].includes(verb!))
      throw new UsageFault(`"${name}" is one word too many`)
    if (more.length > 0) throw new UsageFault('too many words')
    if (verb === 'new') {
      io.out(newKeyLine())
      return 0
    }
    const config = readConfig(io.env)
    if (config.keys === null) await mustBeWritable(config.dataDir)
    const ring = await ringOf(config)
    if (verb === 'list') io.out(listed(ring).join('\n'))
    if (verb === 'status') await status(config, ring, io)
    if (verb === 'add') await add(config, ring, io)
    if (verb === 'rotate') await rotate(config, ring, name, io)
    if (verb === 'reseal') await reseal(config, ring, io)
    if (verb === 'retire') await retire(config, ring, name!, io)
    return 0
  }
}

const ringOf = async ({ keys, dataDir }: Config): Promise<Keyring> =>
  keys === null ? (await loadKeys(dataDir)).keyring : parseKeyLine(keys)

const listed = ({ sealing }: Keyring) => sealing.map(({ id }, index) => (index === 0 ? `${id}  current` : id))

async function add({ keys, dataDir }: Config, ring: Keyring, io: Io): Promise<void> {
  if (keys === null) {
    io.out(`${await addKey(dataDir)} was added: it opens, and seals nothing yet`)
    io.err('where processes have a copy of keys.json, give it to all of them now; then `hongyan keys rotate`')
    return
  }
  const { keyring, id } = withKey(ring)
  io.out(toKeyLine(keyring))
  io.err(
    `put this line into HONGYAN_KEYS of every process and restart them all: ${id} opens then, and seals nothing yet`
  )
  io.err('after that, `hongyan keys rotate`')
}

async function rotate({ keys, dataDir }: Config, ring: Keyring, name: string | undefined, io: Io): Promise<void> {
  const [current, ...others] = ring.sealing.map(({ id }) => id)
  // The one that was added last; one that sealed before has served.
  const newest = others.filter((id) => numberOf(id) > numberOf(current!)).sort((a, b) => numberOf(b) - numberOf(a))[0]
  if (name !== undefined && numberOf(name) < numberOf(current!)) {
    throw new Fault(
      `${name} is older than ${current}, and processes never go back: \`hongyan keys add\` makes a new one`
    )
  }
  if (keys === null) {
    const id = name ?? newest ?? (await addKey(dataDir))
    await rotateKeys(dataDir, id, createClock().now())
    io.out(`${id} is the current key now; running processes use it within a second`)
    io.err('they seal everything with it by and by; `hongyan keys reseal` does it here and now')
    return
  }
  const id = name ?? newest
  if (id === undefined) throw new Fault('there is no newer key in HONGYAN_KEYS: `hongyan keys add` makes one')
  io.out(toKeyLine(withCurrent(ring, id)))
  io.err(`put this line into HONGYAN_KEYS of every process and restart them: ${id} seals then`)
  io.err('they seal everything with it by and by; `hongyan keys reseal` does it at once, started with the same line')
}

async function status(config: Config, ring: Keyring, io: Io): Promise<void> {
  await withStore(config, async (resealing) => {
    for (const [index, { id }] of ring.sealing.entries()) {
      const places = await resealing.holding(id)
      const rows = places.map(({ collection, rows }) => `${collection} ${rows}`).join(', ')
      io.out(`${index === 0 ? `${id}  current` : id}  ${rows === '' ? 'seals nothing that is stored' : rows}`)
    }
    const at = await resealing.progress()
    if (at !== null && at.doneAt === null) io.out(`being sealed with ${at.key}: ${at.moved} so far`)
  })
}

async function reseal(config: Config, ring: Keyring, io: Io): Promise<void> {
  await withStore(config, async (resealing, current) => {
    await resealing.again()
    const moved = await resealing.run()
    const inUse = (await resealing.progress())?.key
    if (inUse !== undefined && inUse !== current) {
      throw new Fault(`${inUse} is the current key of this store; the ring here is older: bring the newer one`)
    }
    io.out(`${moved} values were sealed anew with ${current}`)
    for (const { id } of ring.sealing.slice(1)) {
      for (const { collection, rows } of await resealing.holding(id)) {
        io.err(`${rows} rows in ${collection} are still sealed with ${id}: their values do not open, or are newer`)
      }
    }
  })
}

async function retire(config: Config, ring: Keyring, name: string, io: Io): Promise<void> {
  const left = withoutKey(ring, name)
  await withStore(config, async (resealing, current) => {
    const now = createClock().now()
    const since = config.keys === null ? await rotatedAt(config.dataDir) : null
    if (since !== null && now.getTime() - since.getTime() < SETTLE_MS) {
      throw new Fault(`${current} is current for less than a minute; give running processes that long, then try again`)
    }
    const places = await resealing.holding(name)
    if (places.length > 0) {
      const rows = places.map(({ collection, rows }) => `${rows} in ${collection}`).join(', ')
      throw new Fault(`rows are still sealed with ${name} (${rows}): \`hongyan keys reseal\`, then try again`)
    }
    if (config.keys === null) {
      await dropKey(config.dataDir, name)
      io.out(`${name} is gone from keys.json; nothing stored needs it`)
    } else {
      io.out(toKeyLine(left))
      io.err(`nothing stored needs ${name}: put this line into HONGYAN_KEYS of every process`)
    }
    io.err(`backups made before need it: keep a copy of ${name} for as long as you keep them`)
  })
}

async function withStore(config: Config, use: (resealing: Resealing, current: string) => Promise<void>): Promise<void> {
  const ground = await openGround(config, silentLog())
  try {
    await use(createResealing({ ...ground, log: silentLog() }), ground.sealer.current())
  } finally {
    await ground.close()
  }
}
