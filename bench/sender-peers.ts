import { Agenda } from 'agenda'
import { MongoBackend } from '@agendajs/mongo-backend'
import { MongoClient } from 'mongodb'
import { Pool } from 'undici'
import { ownMbOf } from '../demo/process-figures.js'
import { answerParent } from './child.js'
import { contentOf, TEMPLATE } from './sender-load.js'

// What the sender is compared with, each doing as little as it can: only requests; three commands a message; a job a
// message. They share one process, which none of them leaves anything in.

/** How it went; `cpuMicros` of this process a message, `mostMb` of its own memory. */
export type Run = { seconds: number; cpuMicros: number; mostMb: number }
export type Wish = { wechat: string; count: number; inFlight: number }
export type StoreWish = Wish & { uri: string }

const PATH = `/cgi-bin/message/wxopen/template/send?access_token=${'x'.repeat(136)}`
const HEADERS = { 'content-type': 'application/json; charset=utf-8' }
const DATABASE = 'peers'
const JOB = 'send'
/** Agenda's own way to be quick: many locks, looked for often. */
const LOCKS = 1_000
const EVERY_MS = 100
const SAMPLE_MS = 50

function poster({ wechat, inFlight }: Wish) {
  const pool = new Pool(wechat, { connections: inFlight, pipelining: 1, allowH2: false })
  return {
    async post(i: number): Promise<void> {
      const body = JSON.stringify({
        touser: `oCrowd${String(i).padStart(22, '0')}`,
        template_id: TEMPLATE,
        page: 'pages/order?id=8231',
        form_id: `form ${i}`,
        data: contentOf(i)
      })
      const answer = await pool.request({ method: 'POST', path: PATH, headers: HEADERS, body })
      const { errcode } = (await answer.body.json()) as { errcode: number }
      if (errcode !== 0) throw new Error(`errcode ${errcode}`)
    },
    close: () => pool.close()
  }
}

async function timed(count: number, work: () => Promise<void>): Promise<Run> {
  let mostMb = await ownMbOf(process.pid)
  const sampling = setInterval(() => void ownMbOf(process.pid).then((mb) => (mostMb = Math.max(mostMb, mb))), SAMPLE_MS)
  const cpu = process.cpuUsage()
  const began = performance.now()
  await work()
  const { user, system } = process.cpuUsage(cpu)
  clearInterval(sampling)
  return { seconds: (performance.now() - began) / 1000, cpuMicros: (user + system) / count, mostMb }
}

/** `inFlight` loops that take the next number and post it. */
async function loop({ count, inFlight }: Wish, one: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await one(next++)
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker))
}

answerParent({
  /** Requests and nothing else. */
  async raw(wish: Wish): Promise<Run> {
    const { post, close } = poster(wish)
    const run = await timed(wish.count, () => loop(wish, post))
    await close()
    return run
  },

  /** A message is claimed, its right taken, the answer written down: each by a command of its own. */
  async single(wish: StoreWish): Promise<Run> {
    const client = await new MongoClient(wish.uri, { maxPoolSize: 20 }).connect()
    const db = client.db(DATABASE)
    const messages = db.collection<{ _id: number; state: string; due: Date }>('messages')
    const rights = db.collection<{ _id: number; state: string; person: number }>('rights')
    await db.dropDatabase()
    await messages.createIndex({ state: 1, due: 1 })
    await rights.createIndex({ person: 1 })
    const numbers = Array.from({ length: wish.count }, (_, _id) => _id)
    const due = new Date()
    await messages.insertMany(numbers.map((_id) => ({ _id, state: 'planned', due, data: contentOf(_id) })))
    await rights.insertMany(numbers.map((_id) => ({ _id, state: 'live', person: _id })))
    const { post, close } = poster(wish)
    const run = await timed(wish.count, () =>
      loop(wish, async () => {
        const set = { $set: { state: 'sending' } }
        const message = await messages.findOneAndUpdate({ state: 'planned', due: { $lte: due } }, set)
        const right = await rights.findOneAndUpdate(
          { person: message!._id, state: 'live' },
          { $set: { state: 'spent' } }
        )
        await post(right!._id)
        await messages.updateOne({ _id: message!._id }, { $set: { state: 'accepted' } })
      })
    )
    await close()
    await db.dropDatabase()
    await client.close()
    return run
  },

  /** A job of Agenda for each message: all are there when it starts, and are posted as it hands them out. */
  async agenda(wish: StoreWish): Promise<Run> {
    const client = await new MongoClient(wish.uri, { maxPoolSize: 20 }).connect()
    const db = client.db(DATABASE)
    await db.dropDatabase()
    const nextRunAt = new Date()
    await db
      .collection('jobs')
      .createIndex({ name: 1, nextRunAt: 1, priority: -1, lockedAt: 1, disabled: 1 }, { name: 'nextJob' })
    await db.collection('jobs').insertMany(
      Array.from({ length: wish.count }, (_, i) => ({
        name: JOB,
        type: 'normal',
        priority: 0,
        data: { i },
        nextRunAt,
        lockedAt: null
      }))
    )
    const { post, close } = poster(wish)
    const backend = new MongoBackend({ mongo: db as never, collection: 'jobs', ensureIndex: false })
    const agenda = new Agenda({
      backend,
      processEvery: EVERY_MS,
      maxConcurrency: wish.inFlight,
      defaultConcurrency: wish.inFlight,
      lockLimit: LOCKS,
      defaultLockLimit: LOCKS
    })
    const run = await timed(wish.count, async () => {
      let done = 0
      const all = new Promise<void>((resolve, reject) => {
        agenda.on('complete', () => ++done === wish.count && resolve())
        agenda.on('fail', reject)
      })
      agenda.define(JOB, (job) => post((job.attrs.data as { i: number }).i))
      await agenda.start()
      await all
    })
    await agenda.stop(false)
    await close()
    await db.dropDatabase()
    await client.close()
    return run
  }
})
