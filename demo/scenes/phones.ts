import { Agent } from 'undici'
import { connectShop, SHOP } from '../accounts.js'
import type { Client } from '../client.js'
import { overHttp } from '../fake-wx.js'
import { readKeptRights } from '../ledgers.js'
import { failedShare, noTraffic } from '../lossy.js'
import { livePhone, type Wares } from '../phone-life.js'
import { planOf, waresOf, type Plan } from '../phone-plan.js'
import { loadLibrary } from '../phones.js'
import { judgePhones, type PhoneRecord, type PhonesFacts } from '../phones-verdict.js'
import { phonesTableOf } from '../report.js'
import { buildStage } from '../stage.js'
import type { Ending, Scene, SceneParts } from './scene.js'

const PHONES = 10_000
/** Phones alive at a time: enough to keep both processors busy. */
const AT_ONCE = 64
/** Phones WeChat makes things ready for at a time; not all at once, since login codes end after five minutes. */
const GROUP = 500
const CODES_EACH = 2

/** Phones on a bad network, killed at random: what they caught is what the server keeps. */
export const phones: Scene = {
  summary: '10,000 phones on a network that loses one request in three, killed at random',
  play
}

async function play(parts: SceneParts): Promise<Ending> {
  const { seed, step, progress } = parts
  const count = parts.phones ?? PHONES
  const library = loadLibrary()
  const stage = await buildStage({ seed, step, whole: true })
  parts.stageBuilt(stage)
  const { api, sandbox } = stage
  const shop = await connectShop(api, sandbox)
  await sandbox.post('/sandbox/latency', { minMs: 0, maxMs: 0 })
  step('a mini-program is connected')

  const traffic = noTraffic()
  const pool = new Agent({ connections: AT_ONCE })
  const network = overHttp(pool)
  const records: PhoneRecord[] = []
  for (let from = 0; from < count; from += GROUP) {
    const plans = Array.from({ length: Math.min(GROUP, count - from) }, (_, i) => planOf(seed, from + i))
    const people = await peopleWith(sandbox, plans)
    let next = 0
    const lane = async () => {
      for (let i = next++; i < plans.length; i = next++) {
        const place = { index: from + i, appid: SHOP.appid, templateId: SHOP.subscribe, server: api.url }
        const story = { plan: plans[i]!, seed, library, network, traffic }
        records.push(await livePhone({ ...place, ...story, ...people[i]! }))
        progress(`phones ${records.length}/${count}; ${traffic.requests} requests`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }
  await pool.close()
  step(`${count} phones told their stories; now their catches are looked for in the server`)

  const kept = await readKeptRights(api, shop)
  const verdict = judgePhones(records, kept)
  const sum = (of: (record: PhoneRecord) => number) => records.reduce((all, record) => all + of(record), 0)
  const facts: PhonesFacts = {
    phones: records.length,
    caught: verdict.caught,
    stored: verdict.stored,
    lost: verdict.lost,
    double: verdict.double,
    disagreements: verdict.disagreements,
    dropped: verdict.dropped,
    queued: verdict.queued,
    restarts: sum(({ restarts }) => restarts),
    cutShort: sum(({ cutShort }) => cutShort),
    requests: traffic.requests,
    failedShare: Math.round(1000 * failedShare(traffic)) / 1000,
    mishaps: traffic.mishaps,
    hoursLived: Math.round(sum(({ livedMs }) => livedMs) / 3_600_000)
  }
  return { facts, table: (seconds) => phonesTableOf(facts, traffic, verdict.findings, seconds) }
}

/** A person for each story, with the form ids, paid orders and login codes that will be asked for. */
async function peopleWith(sandbox: Client, plans: Plan[]): Promise<{ openid: string; wares: Wares }[]> {
  const appid = SHOP.appid
  const made = { count: plans.length, appids: [appid] }
  const users = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', made)
  const people = plans.map((plan, i) => ({ openid: users[i]!.openids[appid]!, ...waresOf(plan) }))
  const forms = people.filter((person) => person.forms > 0)
  const formIds = await sandbox.post<{ formIds: string[] }[]>(
    '/sandbox/formids',
    forms.map(({ openid, forms }) => ({ appid, openid, count: forms }))
  )
  const buyers = people.flatMap(({ openid, orders }) => Array.from({ length: orders }, () => openid))
  const orders = await sandbox.post<Wares['orders']>(
    '/sandbox/orders',
    buyers.map((openid) => ({ appid, openid, paid: true }))
  )
  const logins = await sandbox.post<{ codes: string[] }[]>(
    '/sandbox/codes',
    people.map(({ openid }) => ({ appid, openid, count: CODES_EACH }))
  )
  return people.map((person, i) => {
    const { openid } = person
    const codes = logins[i]!.codes
    const code = async () => codes.pop() ?? (await sandbox.post('/sandbox/codes', { appid, openid })).code
    const ids = person.forms > 0 ? formIds[forms.indexOf(person)]!.formIds : []
    return { openid, wares: { formIds: ids, orders: orders.filter((_, at) => buyers[at] === openid), code } }
  })
}
