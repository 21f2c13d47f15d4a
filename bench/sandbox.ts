import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SHOP } from '../demo/accounts.js'
import { createClient, type Client } from '../demo/client.js'
import { cpuSecondsOf } from '../demo/process-figures.js'
import { startChild } from './child.js'
import { judged, median, type Figure } from './figure.js'
import { withGround } from './ground.js'
import type { Load, Loaded } from './sandbox-load.js'

const SECTION = 'sandbox'
const BARE = fileURLToPath(new URL(`./sandbox-bare${extname(import.meta.url)}`, import.meta.url))
const ARGS = ['sandbox', '--port', '0', '--latency', '0-0', '--seed', '1']
const SENDS = 20_000
const PEOPLE = 200
const CONNECTIONS = 32
const ROUNDS = 5
const PATH = '/cgi-bin/message/wxopen/template/send'

/** That the sandbox is never what a benchmark measures: sends a second on one core, beside a bare node:http, and its start. */
export async function sandbox(say: (line: string) => void): Promise<Figure[]> {
  say('start to its line')
  const figures = [await start()]
  say(`${ROUNDS} × ${SENDS} sends, interleaved with a bare node:http`)
  return [...figures, ...(await sends())]
}

async function start(): Promise<Figure> {
  const millis: number[] = []
  const cpu: number[] = []
  for (let round = 0; round < 7; round++) {
    await withGround(async ({ processes }) => {
      const began = performance.now()
      const { pid } = await processes.start('sandbox', ARGS, { by: 'line' })
      millis.push(performance.now() - began)
      cpu.push(cpuSecondsOf(pid) * 1000)
    })
  }
  const note = `ms from spawn to the line with its address, median of ${millis.length}, best ${Math.round(Math.min(...millis))}; ${Math.round(median(cpu))} ms of processor time`
  return judged(SECTION, 'start-ms', median(millis), { atMost: 300 }, note)
}

async function sends(): Promise<Figure[]> {
  return withGround(async ({ processes }) => {
    const wechat = await processes.start('sandbox', ARGS, { by: 'line' })
    const bare = await processes.start('bare', [], { by: 'line', script: BARE })
    const client = startChild('sandbox-load')
    try {
      const pinned = pin([wechat.pid, bare.pid], 0) && pin([client.pid], 1)
      const door = createClient(wechat.facts.url!)
      const people = await door.post<{ openids: Record<string, string> }[]>('/sandbox/users', {
        count: PEOPLE,
        appids: [SHOP.appid]
      })
      const openids = people.map(({ openids }) => openids[SHOP.appid]!)
      const { access_token } = await door.get<{ access_token: string }>(
        `/cgi-bin/token?grant_type=client_credential&appid=${SHOP.appid}&secret=${SHOP.secret}`
      )
      let spent = 0
      const rates: Record<'sandbox' | 'bare', number[]> = { sandbox: [], bare: [] }
      const path = `${PATH}?access_token=${access_token}`
      // the first round warms both up and is not counted
      for (let round = 0; round <= ROUNDS; round++) {
        const bodies = await cards(door, openids)
        for (const [name, url] of [
          ['sandbox', wechat.facts.url!],
          ['bare', bare.facts.url!]
        ] as const) {
          const load: Load = { port: Number(new URL(url).port), path, bodies, connections: CONNECTIONS }
          const before = cpuSecondsOf(wechat.pid)
          const { seconds, good, firstRefusal } = await client.ask<Loaded>('send', load)
          if (good !== bodies.length) throw new Error(`${name} refused ${bodies.length - good}: ${firstRefusal ?? ''}`)
          if (round === 0) continue
          rates[name].push(bodies.length / seconds)
          if (name === 'sandbox') spent += cpuSecondsOf(wechat.pid) - before
        }
      }
      const { accepted } = await door.get<{ accepted: number }>('/sandbox/ledger/summary')
      if (accepted !== SENDS * (ROUNDS + 1)) throw new Error(`the ledger has ${accepted} messages`)
      await door.close()
      const [us, them] = [median(rates.sandbox), median(rates.bare)]
      const how = `${pinned ? 'servers on one core, client on another' : 'not pinned to cores'}; medians of ${ROUNDS}, interleaved`
      return [
        judged(
          SECTION,
          'sends-per-second',
          us,
          { atLeast: 5_000 },
          `legacy sends at 0 ms, each with its own formId; ${how}; ${Math.round((SENDS * ROUNDS) / spent)} per second of its processor time`
        ),
        judged(
          SECTION,
          'bare-ratio',
          median(rates.sandbox.map((rate, i) => rate / rates.bare[i]!)),
          { atLeast: 0.4 },
          `bare node:http with the same bodies ${Math.round(them)}/s`
        )
      ]
    } finally {
      await client.stop()
    }
  })
}

/** The bodies of as many sends as a round has, each with a formId of its own. */
async function cards(door: Client, openids: readonly string[]): Promise<string[]> {
  const count = SENDS / openids.length
  const asked = openids.map((openid) => ({ appid: SHOP.appid, openid, count }))
  const made = await door.post<{ formIds: string[] }[]>('/sandbox/formids', asked)
  return made.flatMap(({ formIds }, person) =>
    formIds.map((form_id) =>
      JSON.stringify({
        touser: openids[person],
        template_id: SHOP.legacy,
        page: 'pages/order?id=8231',
        form_id,
        data: { keyword1: { value: 'D20190608017' }, keyword2: { value: '飞雁速运' } }
      })
    )
  )
}

/** Keeps processes on one core, where the system has taskset and a second core for the other side. */
function pin(pids: readonly number[], core: number): boolean {
  if (process.platform !== 'linux' || availableParallelism() < 2) return false
  try {
    for (const pid of pids) execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
