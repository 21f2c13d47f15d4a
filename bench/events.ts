import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import type { Trigger } from '../shared/trigger.js'
import { DAY_MS } from '../shared/limits.js'
import { SERVICE, SHOP } from '../demo/accounts.js'
import type { Client } from '../demo/client.js'
import { until } from '../demo/stage.js'
import { storeDir } from '../server/commands/data-dir.js'
import { DATABASE } from '../server/commands/ground.js'
import { openEmbedded } from '../server/embedded/embedded.js'
import { eventId } from '../server/events/event-id.js'
import { eventLifeMs } from '../server/events/life.js'
import type { EventRow } from '../server/events/model.js'
import { personIdOf } from '../server/people/recipients.js'
import { loadKeys } from '../server/platform/keys.js'
import { createSealer } from '../server/platform/sealing.js'
import type { WaitRow } from '../server/triggers/model.js'
import { waitOf } from '../server/triggers/waits.js'
import { ownMbOf } from '../demo/process-figures.js'
import { connect, launch, serving, SHOP_MESSAGE, type Message } from './account.js'
import { loadCrowd } from './crowd.js'
import { judged, median, type Figure } from './figure.js'
import { withGround } from './ground.js'

const SECTION = 'campaigns'

const EVENTS = 20_000
const BATCH = 200
const POSTS_AT_ONCE = 4
const ACTIVE = 5_000
const CAMPAIGNS = 20
const ROUNDS = 3
/** Three campaigns answer one event in sixty each, the others listen to what nobody does here. */
const BUCKETS = 60

const LISTENERS: Trigger[] = [
  { kind: 'event', event: 'viewed', where: { bucket: 0 }, delayMs: 3_600_000, reentry: 'each' },
  {
    kind: 'notFollowed',
    event: 'viewed',
    where: { bucket: 1 },
    missing: 'bought',
    withinMs: 3_600_000,
    reentry: 'each'
  },
  { kind: 'event', event: 'viewed', where: { bucket: 2 }, reentry: 'each' },
  ...Array.from({ length: CAMPAIGNS - 3 }, (_, i): Trigger => {
    const event = `other${i}`
    return i % 2 === 0
      ? { kind: 'event', event, delayMs: 60_000, reentry: 'each' }
      : { kind: 'notFollowed', event, missing: `after${i}`, withinMs: 60_000, reentry: 'each' }
  })
]

/** Events over HTTP from known people, by externalId, with and without campaigns: from the first post to the last effect. */
export async function eventIntake(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async (ground) => {
    const { api, sandbox } = await serving(ground)
    const accountId = await connect(api, SHOP)
    const store = await ownHands(ground.dir)
    let n = 0
    const post = async () => {
      const at = new Date().toISOString()
      const items = Array.from({ length: BATCH }, () => {
        const i = n++
        const properties = {
          sku: `sku${i % 997}`,
          price: i % 1_000,
          bucket: (i * 7) % BUCKETS,
          title: '一件很不错的商品'
        }
        return { id: `e${i}`, name: 'viewed', at, properties, externalId: `u${(i * 7_919) % ACTIVE}` }
      })
      await api.post('/v1/events', { accountId, items })
    }
    /** Events applied a second. */
    const round = async (count: number) => {
      const began = performance.now()
      let left = count / BATCH
      const poster = async () => {
        while (left-- > 0) await post()
      }
      await Promise.all(Array.from({ length: POSTS_AT_ONCE }, poster))
      await until('all are applied', 60_000, async () => ((await store.anyTodo()) ? null : true), 10)
      return (count / (performance.now() - began)) * 1000
    }
    try {
      say(`${ACTIVE} people become known`)
      await round(ACTIVE)
      const [without, beside]: number[][] = [[], []]
      say(`${ROUNDS} × ${EVENTS} events without campaigns`)
      for (let i = 0; i < ROUNDS; i++) without!.push(await round(EVENTS))
      for (const [i, trigger] of LISTENERS.entries()) await launch(api, accountId, `c${i}`, SHOP_MESSAGE, { trigger })
      await round(ACTIVE)
      const before = await store.answered()
      say(`${ROUNDS} × ${EVENTS} events beside ${CAMPAIGNS} campaigns`)
      for (let i = 0; i < ROUNDS; i++) beside!.push(await round(EVENTS))
      const answered = (await store.answered()) - before
      const [alone, rate] = [median(without!), median(beside!)]
      const note =
        `events/s from the first post to the last effect, ${BATCH} a batch, ${POSTS_AT_ONCE} posts at once, ` +
        `median of ${ROUNDS} × ${EVENTS}; ${answered} waits and messages came of them`
      const besides = `of the intake without campaigns, ${Math.round(alone)} events/s`
      return [
        judged(SECTION, 'event-intake', rate, { atLeast: 5_000 }, note),
        judged(SECTION, 'event-intake-ratio', rate / alone, { atLeast: 0.3 }, besides)
      ]
    } finally {
      await store.close()
      await sandbox.close()
    }
  })
}

const SAMPLES = 300
const BULK = 100_000
/** One in ten people of a crowd lives here; they are left out of the campaign, and do what is answered at once. */
const ELSEWHERE = '上海'

/** From the POST of an event to WeChat's receipt of the message that answers it, at rest and beside a campaign under way. */
export async function eventLatency(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async (ground) => {
    const { api, sandbox } = await serving(ground)
    const accountId = await connect(api, SERVICE, { serviceWindow: { bulk: false, transactional: false } })
    const openIds = await followers(sandbox, Math.ceil((BULK * 10) / 9 / 10) * 10)
    const crowd = await loadCrowd(
      ground.dir,
      { id: accountId, kind: 'service' },
      openIds.length,
      say,
      (i) => openIds[i]!
    )
    await crowd.close()
    const quick = openIds.filter((_, i) => i % 10 === 0)
    const content = { ...SERVICE_MESSAGE.content, character_string1: '{{ event.n }}' }
    const trigger: Trigger = { kind: 'event', event: 'paid', reentry: 'each' }
    await launch(api, accountId, 'paid', { ...SERVICE_MESSAGE, content }, { lane: 'transactional', trigger })
    await sleep(2_000)

    /** Milliseconds each event took, the quickest first. */
    const samples = async (series: string): Promise<number[]> => {
      const posted = new Map<string, number>()
      for (let i = 0; i < SAMPLES; i++) {
        const id = `${series}${i}`
        posted.set(id, Date.now())
        const at = new Date().toISOString()
        const item = { id, name: 'paid', at, openId: quick[i], properties: { n: id } }
        api.post('/v1/events', { accountId, items: [item] }).catch(() => posted.delete(id))
        await sleep(60 + ((i * 37) % 90))
      }
      const took = await until('all are answered', 30_000, async () => {
        const { rows } = await sandbox.get<{ rows: { at: number; data: any }[] }>('/sandbox/ledger')
        const found = rows.flatMap(({ at, data }) => {
          const began = posted.get(data?.character_string1?.value)
          return began === undefined ? [] : [at - began]
        })
        return found.length === SAMPLES ? found : null
      })
      return took.sort((a, b) => a - b)
    }
    say(`${SAMPLES} events at rest`)
    const idle = await samples('idle')
    const cities = ['北京', '广州', '深圳', '杭州', '成都', '武汉', '西安', '南京', '苏州']
    const rule = { all: [{ attribute: 'city', op: 'in', value: cities }] }
    const { id: audienceId } = await api.post('/v1/audiences', { name: `not in ${ELSEWHERE}`, rule })
    const once: Trigger = { kind: 'once', at: new Date(), zone: 'Asia/Shanghai' }
    await launch(api, accountId, 'bulk', SERVICE_MESSAGE, { audienceId, trigger: once })
    await until('the campaign sends', 30_000, async () => {
      const { accepted } = await sandbox.get('/sandbox/ledger/summary')
      return accepted > SAMPLES + 20 ? true : null
    })
    say(`${SAMPLES} events beside a campaign to ${BULK} people`)
    const began = await sandbox.get('/sandbox/ledger/summary')
    const since = performance.now()
    const busy = await samples('busy')
    const { accepted } = await sandbox.get('/sandbox/ledger/summary')
    const rate = ((accepted - began.accepted) / (performance.now() - since)) * 1000
    await sandbox.close()
    const note = (list: number[]) => `ms, p99 of ${SAMPLES} from the POST to the sandbox; median ${list[SAMPLES / 2]}`
    const bulk = `${note(busy)}; the account sent ${rate.toFixed(0)} messages/s meanwhile`
    return [
      judged(SECTION, 'event-latency-idle', p99(idle), { atMost: 200 }, note(idle)),
      judged(SECTION, 'event-latency-busy', p99(busy), { atMost: 1_000 }, bulk)
    ]
  })
}

const p99 = (sorted: number[]): number => sorted[Math.ceil(sorted.length * 0.99) - 1]!

const WAITING = 100_000
const DELAY_MS = 3_600_000
const FILL_MS = 120_000

/** Waits that all come due at one instant, as after a flash sale; the account sends and counts meanwhile. */
export async function dueWaits(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async (ground) => {
    const { api, sandbox, running } = await serving(ground)
    const accountId = await connect(api, SERVICE)
    const openIds = await followers(sandbox, WAITING)
    const store = await ownHands(ground.dir)
    const crowd = await loadCrowd(ground.dir, { id: accountId, kind: 'service' }, WAITING, say, (i) => openIds[i]!)
    await crowd.close()
    const trigger: Trigger = {
      kind: 'event',
      event: 'booked',
      delayMs: DELAY_MS,
      cancelOn: { event: 'off' },
      reentry: 'each'
    }
    const id = await launch(api, accountId, 'booked', SERVICE_MESSAGE, { lane: 'transactional', trigger })
    try {
      const due = new Date(Date.now() + FILL_MS)
      say(`${WAITING} people booked an hour before ${due.toISOString()}`)
      await store.book({ accountId, campaign: { _id: id, trigger }, openIds, due })
      const slack = due.getTime() - Date.now()
      if (slack < 5_000) throw new Error('this machine is too slow to prepare so many waits in two minutes')
      await sleep(slack - 1_000)
      const before = await ownMbOf(running.pid)
      let most = before
      await sleep(due.getTime() - Date.now())
      await until(
        'all have fired',
        300_000,
        async () => {
          most = Math.max(most, await ownMbOf(running.pid))
          return (await store.anyWaiting()) ? null : true
        },
        200
      )
      const seconds = (Date.now() - due.getTime()) / 1000
      const fired = await store.fired()
      if (fired !== WAITING) throw new Error(`${fired} of ${WAITING} waits fired`)
      const note = `seconds after the instant all ${WAITING} were due at, until the last had fired: ${Math.round(WAITING / seconds)}/s`
      const grown = 'MB of its own the process grew by meanwhile'
      return [
        judged(SECTION, 'waits', seconds, { atMost: 60 }, note),
        judged(SECTION, 'waits-rss', most - before, { atMost: 64 }, grown)
      ]
    } finally {
      await store.close()
      await sandbox.close()
    }
  })
}

const SERVICE_MESSAGE: Message = {
  templateId: SERVICE.service,
  content: { character_string1: '1001', thing2: '一件很不错的商品', time3: '2026-03-01 10:00' },
  open: { url: 'https://example.com' }
}

/** People of the sandbox who follow the service account: their openids. */
async function followers(sandbox: Client, count: number): Promise<string[]> {
  const { appid } = SERVICE
  const openIds: string[] = []
  while (openIds.length < count) {
    const wanted = { count: Math.min(10_000, count - openIds.length), appids: [appid], followers: [appid] }
    const made = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', wanted)
    for (const { openids } of made) openIds.push(openids[appid]!)
  }
  return openIds
}

/** Our own hands in the store of a running server: what the API has no words for. */
async function ownHands(dir: string) {
  const store = await openEmbedded({ dir: storeDir(dir) })
  const client = await new MongoClient(store.uri, { maxPoolSize: 2 }).connect()
  const db = client.db(DATABASE)
  const sealer = createSealer((await loadKeys(dir)).keyring)
  const [rows, waiting] = [db.collection<EventRow>('events'), db.collection<WaitRow>('waits')]

  return {
    anyTodo: async () => (await rows.findOne({ todo: true }, { hint: { due: 1 }, projection: { _id: 1 } })) !== null,
    anyWaiting: async () =>
      (await waiting.findOne({ state: 'waiting' }, { hint: 'due', projection: { _id: 1 } })) !== null,
    fired: () => waiting.countDocuments({ state: 'fired' }),
    answered: async () =>
      (await waiting.estimatedDocumentCount()) + (await db.collection('messages').estimatedDocumentCount()),

    /** As if each had posted one event a delay before `due`: the rows the server would have written. */
    async book(of: {
      accountId: string
      campaign: Parameters<typeof waitOf>[1]
      openIds: string[]
      due: Date
    }): Promise<void> {
      const { accountId, campaign, openIds, due } = of
      const at = new Date(due.getTime() - DELAY_MS)
      const origin = { kind: 'key', id: 'bench' } as const
      for (let from = 0; from < openIds.length; from += 1_000) {
        const booked = openIds.slice(from, from + 1_000).map((openId, k): EventRow => {
          const recipientId = sealer.hash('recipient', accountId, openId)
          return {
            _id: eventId(accountId, origin, `b${from + k}`),
            accountId,
            origin: `${origin.kind}:${origin.id}`,
            name: 'booked',
            personId: personIdOf(sealer, recipientId),
            recipientId,
            at,
            receivedAt: at,
            properties: { order: `o${from + k}`, price: (from + k) % 1_000 },
            todo: false,
            due: at,
            tries: 0,
            expireAt: new Date(at.getTime() + eventLifeMs('booked'))
          }
        })
        const owned = booked.map((event) => {
          const person = { id: event.personId!, was: [] }
          const id = sealer.hash('message', 'wait', campaign._id, event._id)
          return waitOf(id, campaign, { event, person }, DAY_MS, at)
        })
        await Promise.all([rows.insertMany(booked, { ordered: false }), waiting.insertMany(owned, { ordered: false })])
      }
    },

    async close(): Promise<void> {
      await client.close()
      await store.close()
    }
  }
}
