import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import { SHOP } from '../demo/accounts.js'
import { createClient, type Client } from '../demo/client.js'
import { finished, until } from '../demo/stage.js'
import { judged, median, type Figure } from './figure.js'
import { memoryOf, withGround } from './ground.js'

const SECTION = 'first'
const BARE = fileURLToPath(new URL(`./bare${extname(import.meta.url)}`, import.meta.url))
const ITEMS = 20

/** The first marks: how fast rights come in and messages go out, what it weighs, how soon it is there. */
export async function first(say: (line: string) => void): Promise<Figure[]> {
  say('start to /readyz')
  const figures = [await start()]
  say('capture beside bare Fastify')
  figures.push(await capture())
  say('10,000 messages, 500 in flight')
  figures.push(await sending())
  say('memory with 100,000 credentials')
  figures.push(await memory())
  return figures
}

async function start(): Promise<Figure> {
  const seconds: number[] = []
  for (let round = 0; round < 3; round++) {
    seconds.push(
      await withGround(async ({ dir, processes }) => {
        const began = performance.now()
        const { facts } = await processes.start('serve', ['serve', '--port', '0'], { env: { HONGYAN_DATA: dir } })
        const door = createClient(facts.url!)
        await until(
          '/readyz says so',
          20_000,
          () =>
            door.get('/readyz').then(
              () => true,
              () => null
            ),
          10
        )
        await door.close()
        return (performance.now() - began) / 1000
      })
    )
  }
  const note = 'seconds from spawn to 200, `serve` on an empty directory, median of 3'
  return judged(SECTION, 'start-to-ready', median(seconds), { atMost: 3 }, note)
}

const connect = (api: Client, limits: object = {}) =>
  api.post('/v1/accounts', { kind: SHOP.kind, appId: SHOP.appid, secret: SHOP.secret, name: 'bench', limits })

async function capture(): Promise<Figure> {
  return withGround(async ({ processes, serve }) => {
    const { api } = await serve()
    const bare = await processes.start('bare', [], { script: BARE })
    const { id } = await connect(api)
    const tokens = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const minted = await api.post('/v1/capture/sessions', { accountId: id, openId: `oBench${i}` })
        return minted.token as string
      })
    )
    let n = 0
    /** Requests a second; every batch is new, so that every right is kept. */
    const load = async (url: string, duration: number) => {
      const setupRequest = (request: autocannon.Request) => {
        const caughtAt = new Date().toISOString()
        const items = Array.from({ length: ITEMS }, () => {
          const value = randomBytes(16).toString('hex')
          return { id: `i${n++}`, source: 'form', value, caughtAt, place: 'home' }
        })
        const authorization = `Bearer ${tokens[n % tokens.length]}`
        const headers = { 'content-type': 'application/json', authorization }
        return { ...request, headers, body: JSON.stringify({ sentAt: caughtAt, items }) }
      }
      const result = await autocannon({ url, connections: 20, duration, requests: [{ method: 'POST', setupRequest }] })
      if (result.non2xx > 0 || result.errors > 0) {
        throw new Error(`${url}: ${result.non2xx} refused, ${result.errors} without an answer`)
      }
      return result.requests.average
    }
    const ours = `${api.url}/v1/capture/credentials`
    const theirs = `${bare.facts.url}/bare`
    for (const url of [ours, theirs]) await load(url, 2)
    const rates: Record<string, number[]> = { [ours]: [], [theirs]: [] }
    for (let round = 0; round < 3; round++) for (const url of [ours, theirs]) rates[url]!.push(await load(url, 3))
    const [us, them] = [median(rates[ours]!), median(rates[theirs]!)]
    const note = `${Math.round(us)} batches/s of ${ITEMS} new forms, bare Fastify ${Math.round(them)}/s; medians of 3, interleaved`
    return judged(SECTION, 'capture-ratio', us / them, { atLeast: 0.25 }, note)
  })
}

const MESSAGES = 10_000
const IN_FLIGHT = 500
const LATENCY = { minMs: 200, maxMs: 500 }

async function sending(): Promise<Figure> {
  return withGround(async ({ processes, serve }) => {
    const wechat = await processes.start('sandbox', ['sandbox', '--port', '0', '--latency', '0-0'], { by: 'line' })
    const sandbox = createClient(wechat.facts.url!)
    const { api } = await serve(sandbox.url)
    const { id: accountId } = await connect(api, { perSecond: 2000, inFlight: IN_FLIGHT })
    await finished(api, await api.post('/v1/templates/sync', { accountId }))
    const { appid } = SHOP
    const users = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', {
      count: MESSAGES,
      appids: [appid]
    })
    const caughtAt = new Date().toISOString()
    for (const part of chunks(
      users.map(({ openids }) => openids[appid]!),
      500
    )) {
      const asked = part.map((openid) => ({ appid, openid }))
      const made = await sandbox.post<{ formIds: string[] }[]>('/sandbox/formids', asked)
      const items = part.map((openId, i) => ({
        id: openId,
        openId,
        source: 'form',
        value: made[i]!.formIds[0],
        caughtAt
      }))
      await api.post('/v1/credentials', { accountId, items })
    }
    await sandbox.post('/sandbox/latency', LATENCY)
    const { id: audienceId } = await api.post('/v1/audiences', { name: 'all', rule: { all: [] } })
    const campaign = await api.post('/v1/campaigns', {
      name: 'bench',
      accountId,
      audienceId,
      templateId: SHOP.legacy,
      trigger: { kind: 'once', at: new Date().toISOString() },
      content: { keyword1: '1', keyword2: '2', keyword3: '3', keyword4: '4' },
      open: { page: 'pages/bench' }
    })
    await api.post(`/v1/campaigns/${campaign.id}/activate`)
    await until('all are sent', 180_000, async () => {
      const { accepted } = await sandbox.get('/sandbox/ledger/summary')
      return accepted >= MESSAGES ? true : null
    })
    await until('all are settled', 30_000, async () => {
      const { page } = await api.get('/v1/messages?state=accepted&limit=1&count=true')
      return page.total >= MESSAGES ? true : null
    })
    const rows = await api.lines<{ settledAt: string }>('/v1/messages/export')
    const { rows: calls } = await sandbox.get<{ rows: { at: number }[] }>('/sandbox/ledger')
    const firstAt = calls.reduce((least, { at }) => Math.min(least, at), Infinity)
    const lastAt = rows.reduce((most, { settledAt }) => Math.max(most, Date.parse(settledAt)), 0)
    const wallMs = lastAt - firstAt
    const idealMs = (MESSAGES * (LATENCY.minMs + LATENCY.maxMs)) / 2 / IN_FLIGHT
    const note = `${(wallMs / 1000).toFixed(1)} s from the first call to the last answer stored, ideal ${idealMs / 1000} s; the run is expanded meanwhile`
    return judged(SECTION, 'sending-wall', wallMs / idealMs, { atMost: 1.5 }, note)
  })
}

const CREDENTIALS = 100_000
const PEOPLE = 20_000

async function memory(): Promise<Figure> {
  return withGround(async ({ serve }) => {
    const { running, api } = await serve()
    const { id: accountId } = await connect(api)
    const caughtAt = new Date().toISOString()
    const numbers = Array.from({ length: CREDENTIALS }, (_, i) => i)
    for (const part of chunks(numbers, 500)) {
      const items = part.map((i) => ({
        id: `i${i}`,
        openId: `oBench${i % PEOPLE}`,
        source: 'form',
        value: randomBytes(16).toString('hex'),
        caughtAt
      }))
      await api.post('/v1/credentials', { accountId, items })
    }
    await sleep(3000)
    const { rssMb, anonymousMb } = await memoryOf(running.pid)
    const own = anonymousMb === null ? '' : `, ${Math.round(anonymousMb)} MB of it not mapped files`
    const note = `MB resident after taking in ${CREDENTIALS} from ${PEOPLE} people${own}`
    return judged(SECTION, 'serve-rss', rssMb, { atMost: 250 }, note)
  })
}

function* chunks<T>(list: readonly T[], size: number): Generator<T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size)
}
