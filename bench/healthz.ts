import { join } from 'node:path'
import { Agent, request } from 'undici'
import { MongoClient, type Db } from 'mongodb'
import { openEmbedded } from '../server/embedded/embedded.js'
import { judged, type Figure } from './figure.js'
import { withGround } from './ground.js'

const DOCUMENTS = 1_000_000
const BATCH = 5_000
const ROUNDS = 3
/** Between one answer and the next question; a health check comes far more seldom. */
const PAUSE_MS = 5
const GOAL_MS = 50

/**
 * Is `hongyan serve` there for others while its store works? The server runs in a process of its own, its store in a
 * thread of that; we are a second process on the same data, have a million documents grouped, and ask /healthz meanwhile.
 */
export async function healthz(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async ({ dir, serve }) => {
    const { running } = await serve()
    const address = `${running.facts.url}/healthz`
    const store = await openEmbedded({ dir: join(dir, 'store') })
    const client = await new MongoClient(store.uri).connect()
    try {
      await fill(client.db('bench'), say)
      const quiet = await waits(address, new Promise((done) => setTimeout(done, 2_000)))
      const busy: number[] = []
      let groupMs = 0
      for (let round = 0; round < ROUNDS; round++) {
        const begin = performance.now()
        const grouping = group(client.db('bench'))
        busy.push(...(await waits(address, grouping)))
        groupMs += performance.now() - begin
      }
      const at = (values: number[], share: number) => values.sort((a, b) => a - b)[Math.floor(values.length * share)]!
      const note =
        `p99 in ms of /healthz while a million rows are grouped; p50 ${at(busy, 0.5).toFixed(1)}, worst ${busy.at(-1)!.toFixed(1)} of ${busy.length} answers; ` +
        `quiet p99 ${at(quiet, 0.99).toFixed(1)}; a $group took ${Math.round(groupMs / ROUNDS)} ms`
      return [judged('store', 'healthz-during-group', at(busy, 0.99), { atMost: GOAL_MS }, note)]
    } finally {
      await client.close()
      await store.close()
    }
  })
}

async function fill(db: Db, say: (line: string) => void): Promise<void> {
  const rows = db.collection<{ _id: number; group: number; amount: number; text: string }>('rows')
  for (let first = 0; first < DOCUMENTS; first += BATCH) {
    await rows.insertMany(
      Array.from({ length: BATCH }, (_, i) => {
        const _id = first + i
        return { _id, group: _id % 50, amount: (_id * 7) % 1_000, text: `row ${_id} `.repeat(8) }
      })
    )
    if ((first + BATCH) % 250_000 === 0) say(`${first + BATCH} documents`)
  }
}

async function group(db: Db): Promise<void> {
  const stages = [{ $group: { _id: '$group', sum: { $sum: '$amount' }, rows: { $sum: 1 } } }]
  const groups = await db.collection('rows').aggregate(stages).toArray()
  const rows = groups.reduce((sum, each) => sum + (each.rows as number), 0)
  if (groups.length !== 50 || rows !== DOCUMENTS) throw new Error(`${groups.length} groups of ${rows} documents`)
}

/** How long each answer of `url` took, in ms, asked one after another until `work` is done. */
async function waits(url: string, work: Promise<unknown>): Promise<number[]> {
  const dispatcher = new Agent({ connections: 1 })
  let over = false
  const watched = work.finally(() => (over = true))
  const found: number[] = []
  while (!over) {
    const begin = performance.now()
    const { statusCode, body } = await request(url, { dispatcher })
    await body.dump()
    if (statusCode !== 200) throw new Error(`/healthz answered ${statusCode}`)
    found.push(performance.now() - begin)
    await new Promise((done) => setTimeout(done, PAUSE_MS))
  }
  await watched
  await dispatcher.close()
  return found
}
