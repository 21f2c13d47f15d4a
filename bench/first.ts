import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SHOP } from '../demo/accounts.js'
import { createClient } from '../demo/client.js'
import { until } from '../demo/stage.js'
import { memoryOf } from '../demo/process-figures.js'
import { addAccount, connect, handInForms, launchToAll, serving } from './account.js'
import { judged, median, type Figure } from './figure.js'
import { withGround } from './ground.js'
import { handInBatches, phonesOf } from './phones.js'

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

async function capture(): Promise<Figure> {
  return withGround(async ({ processes, serve }) => {
    const { api } = await serve()
    const bare = await processes.start('bare', [], { script: BARE })
    const tokens = await phonesOf(api, await addAccount(api, SHOP))
    const ours = `${api.url}/v1/capture/credentials`
    const theirs = `${bare.facts.url}/bare`
    for (const url of [ours, theirs]) await handInBatches({ url, tokens }, ITEMS, 2)
    const rates: Record<string, number[]> = { [ours]: [], [theirs]: [] }
    for (let round = 0; round < 3; round++) {
      for (const url of [ours, theirs]) rates[url]!.push(await handInBatches({ url, tokens }, ITEMS, 3))
    }
    const [us, them] = [median(rates[ours]!), median(rates[theirs]!)]
    const note = `${Math.round(us)} batches/s of ${ITEMS} new forms, bare Fastify ${Math.round(them)}/s; medians of 3, interleaved`
    return judged(SECTION, 'capture-ratio', us / them, { atLeast: 0.25 }, note)
  })
}

const MESSAGES = 10_000
const IN_FLIGHT = 500
const LATENCY = { minMs: 200, maxMs: 500 }

async function sending(): Promise<Figure> {
  return withGround(async (ground) => {
    const { sandbox, api } = await serving(ground)
    const accountId = await connect(api, SHOP, { limits: { perSecond: 2000, inFlight: IN_FLIGHT } })
    await handInForms(api, sandbox, accountId, MESSAGES)
    await sandbox.post('/sandbox/latency', LATENCY)
    await launchToAll(api, accountId)
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
    const accountId = await addAccount(api, SHOP)
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
