import { setTimeout as sleep } from 'node:timers/promises'
import { CLINIC, connectAccounts, SERVICE, SHOP } from '../accounts.js'
import { backendHandsIn } from '../backend.js'
import { firedFaults, injectFaults, messageCounts, settled, verdictsOf, watch } from '../ending.js'
import { readLedgers, type DemoAccount } from '../ledgers.js'
import { createPhones, loadLibrary, type Owner } from '../phones.js'
import { endingOf } from '../report.js'
import { buildStage, finished, until, type Stage } from '../stage.js'
import { messageOf, percentile, verify, type Ledgers } from '../verify.js'
import type { Ending, Scene, SceneParts } from './scene.js'

/** Who there is: shop visitors who also follow, those who do not, clinic visitors, and followers alone. */
const PEOPLE = { both: 120, shopOnly: 80, clinic: 100, followers: 380 }
const BUYERS = 100
const EVENT_BATCH = 10
/** Followers who left silently, who left and WeChat told us, and who take no messages (told by receipt). */
const LEAVERS = { silent: 8, told: 8, blocking: 6 }
/** Followers reached before the worker dies. */
const KILL_AFTER = 120

/** The whole kit in one story: rights come in from phones, messages go out, WeChat fails, the worker dies, nothing is lost. */
export const tour: Scene = {
  summary: '300 phones, 500 followers, an order event and two campaigns, with faults and a kill -9',
  play
}

async function play(parts: SceneParts): Promise<Ending> {
  const { seed, step, progress } = parts
  const library = loadLibrary()
  const stage = await buildStage({ seed, step })
  parts.stageBuilt(stage)
  const { api, sandbox } = stage

  const { shop, clinic, service } = await connectAccounts(api, sandbox)
  const { id: audienceId } = await api.post('/v1/audiences', { name: 'everybody', rule: { all: [] } })
  step('two mini-programs and a service account are connected, their templates read')

  const people = await populate(stage)
  const phones = createPhones({
    server: api.url,
    sandbox,
    seed,
    library,
    sawDone: (done) => progress(`phones ${done}/${people.owners.length}`)
  })
  const sync = api.post(`/v1/accounts/${service.id}/followers/sync`).then((operation) => finished(api, operation))
  const fromBackend = backendHandsIn({ api, sandbox, account: shop, openids: people.shopOnly })
  const [report, caughtByBackend, synced] = await Promise.all([phones.live(people.owners), fromBackend, sync])
  const expectedPeople = PEOPLE.both + PEOPLE.shopOnly + PEOPLE.clinic + PEOPLE.followers
  await until(`${expectedPeople} people are known`, 60_000, async () => {
    const { page } = await api.get('/v1/people?limit=1&count=true')
    return page.total === expectedPeople ? true : null
  })
  const caught = [...report.caught, ...caughtByBackend]
  step(`${report.done} phones handed in what they had; ${synced.result?.followers ?? 0} followers were brought over`)

  const leavers = people.followersOnly
  await sandbox.post('/sandbox/followers', leaving(leavers.slice(0, LEAVERS.silent), false))
  await sandbox.post('/sandbox/followers', leaving(leavers.slice(LEAVERS.silent, LEAVERS.silent + LEAVERS.told), true))
  await sandbox.post('/sandbox/blocks', {
    appid: SERVICE.appid,
    openids: leavers.slice(-LEAVERS.blocking),
    how: 'drop'
  })
  await injectFaults(stage)

  const campaigns = await setUpCampaigns(stage, { shop, service, audienceId })
  const posted = await postOrders(stage, shop, people.shop.slice(0, BUYERS))
  step(`order_shipped happened to ${posted.size} people, and was told twice`)

  await api.post(`/v1/campaigns/${campaigns.toShop}/activate`)
  await api.post(`/v1/campaigns/${campaigns.toFollowers}/activate`)
  step('a campaign to all visitors of the shop and one to all followers are under way')
  await until(
    'followers are reached',
    60_000,
    async () => {
      const { byApp } = await sandbox.get('/sandbox/ledger/summary')
      return (byApp[SERVICE.appid] ?? 0) >= KILL_AFTER ? true : null
    },
    50
  )
  await stage.replaceWorker()
  step('the worker was killed (kill -9) in the middle; another one took its place')

  const expected = {
    [campaigns.onOrder]: posted.size,
    [campaigns.toShop]: expectedPeople,
    [campaigns.toFollowers]: expectedPeople
  }
  await watch(stage, expected, progress)
  await settled(stage, [shop, clinic, service])
  const ledgers = await readLedgers({ api, sandbox, accounts: [shop, clinic, service], caught, expected })
  const verdict = verify(ledgers)
  if (report.queued + report.dropped > 0) {
    const text = `${report.queued} catches still wait on phones, ${report.dropped} were dropped`
    verdict.lost += report.queued + report.dropped
    verdict.findings.push({ kind: 'lost', text })
  }
  return endingOf({
    captured: { ...(await verdictsOf(stage, [shop, clinic])), atDoor: report.refusedAtDoor },
    messages: messageCounts(ledgers),
    verdict,
    ledgers,
    latency: latencyOf(ledgers, posted, campaigns.onOrder),
    faults: await firedFaults(stage)
  })
}

type People = { owners: Owner[]; shop: string[]; shopOnly: string[]; followersOnly: string[] }

/** Makes everybody in the sandbox, and gives those who visit mini-programs a phone. */
async function populate({ sandbox }: Stage): Promise<People> {
  const make = (count: number, appids: string[], followers: string[] = []) =>
    sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', { count, appids, followers })
  const both = await make(PEOPLE.both, [SHOP.appid, SERVICE.appid], [SERVICE.appid])
  const shopOnly = await make(PEOPLE.shopOnly, [SHOP.appid])
  const patients = await make(PEOPLE.clinic, [CLINIC.appid])
  const followers = await make(PEOPLE.followers, [SERVICE.appid], [SERVICE.appid])
  const ids = (list: { openids: Record<string, string> }[], appid: string) => list.map(({ openids }) => openids[appid]!)
  const shop = [...ids(both, SHOP.appid), ...ids(shopOnly, SHOP.appid)]
  const owner = (app: typeof SHOP | typeof CLINIC) => (openid: string, index: number) => ({
    index,
    appid: app.appid,
    openid,
    templateId: app.subscribe
  })
  return {
    owners: [...shop.map(owner(SHOP)), ...ids(patients, CLINIC.appid).map(owner(CLINIC))],
    shop,
    shopOnly: ids(shopOnly, SHOP.appid),
    followersOnly: ids(followers, SERVICE.appid)
  }
}

const leaving = (openids: string[], push: boolean) => ({ appid: SERVICE.appid, openids, follow: false, push })

/** One campaign on the order event (online), one to everybody by form and payment, one to everybody by service account. */
async function setUpCampaigns(
  { api }: Stage,
  { shop, service, audienceId }: { shop: DemoAccount; service: DemoAccount; audienceId: string }
) {
  const once = { kind: 'once', at: new Date().toISOString() }
  const late = { lateWithinMs: 600_000 }
  const onOrder = await api.post('/v1/campaigns', {
    name: '订单已发货',
    accountId: shop.id,
    templateId: SHOP.subscribe,
    lane: 'transactional',
    trigger: { kind: 'event', event: 'order_shipped' },
    content: { thing1: '{{ event.place }}', character_string2: '{{ event.code }}', time3: '{{ event.until }}' },
    open: { page: 'pages/order?id={{ event.code }}' }
  })
  const toShop = await api.post('/v1/campaigns', {
    name: '周末读书会',
    accountId: shop.id,
    audienceId,
    templateId: SHOP.legacy,
    trigger: once,
    missed: late,
    content: {
      keyword1: 'D20240501017',
      keyword2: '飞雁速运',
      keyword3: 'FY7310025518',
      keyword4: '2024年5月1日 16:40'
    },
    open: { page: 'pages/event' }
  })
  const toFollowers = await api.post('/v1/campaigns', {
    name: '新书到店',
    accountId: service.id,
    audienceId,
    templateId: SERVICE.service,
    trigger: once,
    missed: late,
    content: { character_string1: 'D20240501017', thing2: '晨读手账本', time3: '2024年5月1日 16:40' },
    open: { miniprogram: { appId: SHOP.appid, page: 'pages/new' } }
  })
  await api.post(`/v1/campaigns/${onOrder.id}/activate`)
  return { onOrder: onOrder.id as string, toShop: toShop.id as string, toFollowers: toFollowers.id as string }
}

/** Tells of an order to each of these people, in small batches, each batch twice. @returns when, by openid, in ms */
async function postOrders({ api }: Stage, shop: DemoAccount, openids: string[]): Promise<Map<string, number>> {
  const posted = new Map<string, number>()
  for (let from = 0; from < openids.length; from += EVENT_BATCH) {
    const items = openids.slice(from, from + EVENT_BATCH).map((openId, i) => ({
      id: `order-${from + i}`,
      openId,
      name: 'order_shipped',
      at: new Date().toISOString(),
      properties: { place: '东门柜机', code: `8-${from + i}`, until: '2024-05-01 21:20' }
    }))
    const now = Date.now()
    for (const { openId } of items) posted.set(openId, now)
    for (let twice = 0; twice < 2; twice++) await api.post('/v1/events', { accountId: shop.id, items })
    await sleep(200)
  }
  return posted
}

/** From posting the event to the first call WeChat took for it; the sandbox notes calls on arrival, before its latency. */
function latencyOf({ messages, sandboxRows }: Ledgers, posted: Map<string, number>, campaignId: string) {
  const mine = new Set(messages.flatMap((message) => (message.campaignId === campaignId ? [message.id] : [])))
  const first = new Map<string, number>()
  for (const row of sandboxRows) {
    const id = messageOf(row)?.id
    if (id !== undefined && mine.has(id) && !first.has(row.openid)) first.set(row.openid, row.at)
  }
  const waits = [...first].flatMap(([openid, at]) => (posted.has(openid) ? [at - posted.get(openid)!] : []))
  return { p50Ms: percentile(waits, 0.5), p95Ms: percentile(waits, 0.95) }
}
