import { MongoClient, type Collection, type Db } from 'mongodb'
import { startChild, type Child } from './child.js'
import { judged, median, type Figure } from './figure.js'
import { withGround } from './ground.js'
import { GROUPING, INDEXES, keyOf, PLACES, rowOf, type Row } from './store-data.js'

const SECTION = 'store'
const MANY = 'many'
const FEW = 'few'
const CLIENTS = 32
const ROUNDS = 3

/** How large the store is and how much is asked of it; less than the default is for trying the bench itself. */
export type Sizes = { many: number; few: number; claims: number; finds: number; updates: number }
const SIZES: Sizes = { many: 1_000_000, few: 10_000, claims: 1_500, finds: 3_000, updates: 1_000 }

type Say = (line: string) => void

/** The embedded store by itself: the client here, the store in another process, as `serve` holds it. */
export async function store(say: Say, sizes: Sizes = SIZES): Promise<Figure[]> {
  return withGround(async ({ dir }) => {
    const parts: Ground = { dir, sizes, say }
    return [...(await whenWarm(parts)), ...(await whenOpenedAnew(parts))]
  })
}

type Ground = { dir: string; sizes: Sizes; say: Say }
/** `answerMs`: from the call that opens the store to its first answer. */
type Opened = { host: Child; client: MongoClient; db: Db; answerMs: number }

async function withStore<T>({ dir }: Ground, use: (opened: Opened) => Promise<T>): Promise<T> {
  const host = startChild('store-host')
  let client: MongoClient | null = null
  try {
    const { uri, ms } = await host.ask<{ uri: string; ms: number }>('open', dir)
    const began = performance.now()
    client = await new MongoClient(uri, { maxPoolSize: CLIENTS }).connect()
    const db = client.db()
    await db.collection<Row>(MANY).findOne({ key: keyOf(0) })
    return await use({ host, client, db, answerMs: ms + performance.now() - began })
  } finally {
    await client?.close()
    await host.stop()
  }
}

const took = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

// What a store that has been written to for a while does one thing at a time.
async function whenWarm(ground: Ground): Promise<Figure[]> {
  const { sizes, say } = ground
  return withStore(ground, async ({ db }) => {
    const many = db.collection<Row>(MANY)
    const few = db.collection<Row>(FEW)
    say(`loading ${sizes.many} and ${sizes.few} documents`)
    const loadMs = await took(() => load(many, sizes.many))
    await load(few, sizes.few)
    say(`loaded in ${seconds(loadMs)}; claims by ${CLIENTS} clients`)
    const figures = [await claims(many, few, ground)]
    say('finds by unique key')
    figures.push(await finds(many, few, ground))
    say(`${sizes.updates} updates at once and singly`)
    figures.push(await updates(many, ground))
    figures[0]!.note += `; ${sizes.many} documents loaded at ${perSecond(sizes.many, loadMs)}`
    return figures
  })
}

const BATCH = 1_000

async function load(rows: Collection<Row>, count: number): Promise<void> {
  await rows.createIndexes(INDEXES)
  let next = 0
  const loader = async () => {
    while (next < count) {
      const from = next
      next += BATCH
      const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => rowOf(from + i))
      await rows.insertMany(batch, { ordered: false })
    }
  }
  await Promise.all([loader(), loader()])
}

const perSecond = (count: number, ms: number) => `${Math.round((count / ms) * 1000)}/s`

async function claims(many: Collection<Row>, few: Collection<Row>, { sizes }: Ground): Promise<Figure> {
  const after = rowOf(0).caughtAt
  const claim = async (rows: Collection<Row>) => {
    const found = await rows.findOneAndUpdate(
      { status: 'free', expiresAt: { $gt: after } },
      { $set: { status: 'spent' }, $inc: { uses: 1 } },
      { sort: { expiresAt: 1 }, returnDocument: 'after' }
    )
    if (found === null) throw new Error('there was nothing left to claim')
  }
  const all = async (rows: Collection<Row>, count: number) => {
    let left = count
    const client = async () => {
      while (left-- > 0) await claim(rows)
    }
    return took(() => Promise.all(Array.from({ length: CLIENTS }, client)))
  }
  const times: [number[], number[]] = [[], []]
  for (const rows of [many, few]) await all(rows, sizes.claims >> 1)
  for (let round = 0; round < ROUNDS; round++) {
    times[0].push(await all(many, sizes.claims))
    times[1].push(await all(few, sizes.claims))
  }
  const [large, small] = times.map(median) as [number, number]
  const note = `${perSecond(sizes.claims, large)} by ${CLIENTS} clients among ${sizes.many}, ${perSecond(sizes.claims, small)} among ${sizes.few}`
  return judged(SECTION, 'claim-many-to-few', small / large, { atLeast: 0.7 }, note)
}

async function finds(many: Collection<Row>, few: Collection<Row>, { sizes }: Ground): Promise<Figure> {
  const sides = [
    { rows: many, count: sizes.many, times: [] as number[] },
    { rows: few, count: sizes.few, times: [] as number[] }
  ]
  for (let i = -500; i < sizes.finds; i++) {
    for (const { rows, count, times } of sides) {
      const key = keyOf((Math.abs(i) * 7919) % count)
      const ms = await took(async () => {
        if ((await rows.findOne({ key })) === null) throw new Error(`${key} is not there`)
      })
      if (i >= 0) times.push(ms)
    }
  }
  const [large, small] = sides.map(({ times }) => median(times)) as [number, number]
  const note = `p50 ${(large * 1000).toFixed(0)} µs among ${sizes.many}, ${(small * 1000).toFixed(0)} µs among ${sizes.few}, one client`
  return judged(SECTION, 'find-many-to-few', large / small, { atMost: 1.5 }, note)
}

async function updates(many: Collection<Row>, { sizes }: Ground): Promise<Figure> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    const changes = Array.from({ length: sizes.updates }, (_, i) => ({
      filter: { key: keyOf(((round * sizes.updates + i) * 104_729) % sizes.many) },
      update: { $set: { score: round }, $inc: { uses: 1 } }
    }))
    times[0].push(
      await took(async () => {
        for (const { filter, update } of changes) await many.updateOne(filter, update)
      })
    )
    times[1].push(await took(() => many.bulkWrite(changes.map((change) => ({ updateOne: change })))))
  }
  const [single, bulk] = times.map(median) as [number, number]
  const note = `${sizes.updates} updates by unique key: ${bulk.toFixed(0)} ms in one bulkWrite, ${single.toFixed(0)} ms one after another`
  return judged(SECTION, 'bulk-to-single', single / bulk, { atLeast: 10 }, note)
}

// What begins with opening: how soon it answers, how much memory work takes of a process that had none, what work on all
// documents does to the thread beside it.
async function whenOpenedAnew(ground: Ground): Promise<Figure[]> {
  const { dir, sizes, say } = ground
  say('opening the store')
  const opened: number[] = []
  for (let round = 1; round < ROUNDS; round++) await withStore(ground, async ({ answerMs }) => opened.push(answerMs))
  const bare = startChild('store-bare', ['--max-old-space-size=8192'])
  try {
    return await withStore(ground, async ({ host, db, answerMs }) => {
      opened.push(answerMs)
      const note = `ms in openEmbedded(), the worker's start in it, and in connecting and a findOne among ${sizes.many}; median of ${opened.length}`
      const figures = [judged(SECTION, 'cold-start', median(opened), { atMost: 200 }, note)]
      const many = db.collection<Row>(MANY)
      say(`$group of ${PLACES} groups, beside mingo`)
      figures.push(...(await grouping(many, host, bare, dir)))
      say('scans, beside the bare walk')
      figures.push(await scans(many, bare, dir))
      say('stalls of the app beside the store')
      figures.push(await stalls(db, host))
      return figures
    })
  } finally {
    await bare.stop()
  }
}

type Seen = { p99: number; max: number; leastMb: number; mostMb: number }

async function grouping(many: Collection<Row>, host: Child, bare: Child, dir: string): Promise<Figure[]> {
  const ours: number[] = []
  const theirs: number[] = []
  const alone: number[] = []
  let memory = { from: 0, to: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    await host.ask('watch')
    ours.push(
      await took(async () => {
        const { length } = await many.aggregate(GROUPING).toArray()
        if (length !== PLACES) throw new Error(`${length} groups`)
      })
    )
    const { leastMb: from, mostMb: to } = await host.ask<Seen>('seen')
    if (to - from >= memory.to - memory.from) memory = { from, to }
    const { ms, aloneMs } = await bare.ask<{ ms: number; aloneMs: number }>('group', dir)
    theirs.push(ms)
    alone.push(aloneMs)
  }
  const [us, them, mingo] = [ours, theirs, alone].map(median) as [number, number, number]
  const grown = `MB of anonymous memory more at the peak: from ${memory.from.toFixed(0)} to ${memory.to.toFixed(0)}, the store just opened`
  const faster = `${seconds(us)}; mingo over the same file ${seconds(them)}, ${seconds(mingo)} of it mingo alone on decoded documents`
  return [
    judged(SECTION, 'group-memory', memory.to - memory.from, { atMost: 100 }, grown),
    judged(SECTION, 'group-to-mingo', them / us, { atLeast: 3 }, faster)
  ]
}

async function scans(many: Collection<Row>, bare: Child, dir: string): Promise<Figure> {
  const ours: number[] = []
  const theirs: number[] = []
  const total = await many.estimatedDocumentCount()
  for (let round = 0; round <= ROUNDS; round++) {
    const { ms, documents } = await bare.ask<{ ms: number; documents: number }>('walk', dir)
    const scan = await took(async () => {
      if ((await many.findOne({ score: 1_000_000 })) !== null) throw new Error('found what is not there')
    })
    if (round === 0) continue
    theirs.push((ms / documents) * 1000)
    ours.push((scan / total) * 1000)
  }
  const [us, walk] = [median(ours), median(theirs)]
  const note = `µs per document more than the bare walk's ${walk.toFixed(2)} µs; ${us.toFixed(2)} µs in all, one field tested`
  return judged(SECTION, 'scan-over-walk', us - walk, { atMost: 3 }, note)
}

async function stalls(db: Db, host: Child): Promise<Figure> {
  const many = db.collection<Row>(MANY)
  const phases: [string, () => Promise<unknown>][] = [
    ['scan', () => many.findOne({ score: 1_000_000 })],
    ['index build', () => many.createIndex({ purgeAt: 1 }, { expireAfterSeconds: 0 })],
    ['TTL sweep', () => sweep(db)]
  ]
  let worst = 0
  const notes: string[] = []
  for (const [what, work] of phases) {
    await host.ask('watch')
    const ms = await took(work)
    const { p99, max } = await host.ask<Seen>('seen')
    worst = Math.max(worst, p99)
    notes.push(`${what} of ${seconds(ms)}: p99 ${p99.toFixed(1)}, longest ${max.toFixed(1)}`)
  }
  return judged(SECTION, 'app-stall', worst, { atMost: 30 }, `ms p99, the worst of ${notes.join('; ')}`)
}

async function sweep(db: Db): Promise<void> {
  const { expired } = await db.command({ hongyanSweep: 1 })
  if (!(expired > 0)) throw new Error('there was nothing to sweep')
}
