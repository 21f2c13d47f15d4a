import { setTimeout as sleep } from 'node:timers/promises'
import { connectAccounts, SERVICE, SHOP } from '../accounts.js'
import { firedFaults, injectFaults, messageCounts, settled, verdictsOf, watch } from '../ending.js'
import { readLedgers } from '../ledgers.js'
import { seeded } from '../random.js'
import { endingOf } from '../report.js'
import { buildStage, finished, type Stage } from '../stage.js'
import { verify, type CaughtRight } from '../verify.js'
import type { Ending, Scene, SceneParts } from './scene.js'

const PEOPLE = 1000
const KILLS = 20
/** Between two kills a worker lives this long after it was ready, at random. */
const LIFE_MS = { least: 50, most: 1200 }
const BATCH = 500

/** 2,000 messages on single-use forms and to followers, while the worker is killed twenty times at random moments. */
export const kills: Scene = {
  summary: '2,000 messages, and kill -9 of the worker at 20 random moments, with faults',
  play
}

async function play(parts: SceneParts): Promise<Ending> {
  const { seed, step, progress } = parts
  const chance = seeded(seed)
  const stage = await buildStage({ seed, step })
  parts.stageBuilt(stage)
  const { api, sandbox } = stage
  const { shop, clinic, service } = await connectAccounts(api, sandbox)

  const make = (appid: string, followers: string[] = []): Promise<{ openids: Record<string, string> }[]> =>
    sandbox.post('/sandbox/users', { count: PEOPLE, appids: [appid], followers })
  const visitors = (await make(SHOP.appid)).map(({ openids }) => openids[SHOP.appid]!)
  await make(SERVICE.appid, [SERVICE.appid])
  const caught = await forms(stage, shop.id, visitors)
  await finished(api, await api.post(`/v1/accounts/${service.id}/followers/sync`))
  step(`${PEOPLE} people submitted a form, ${PEOPLE} others follow the service account`)

  await injectFaults(stage)
  const { id: audienceId } = await api.post('/v1/audiences', { name: 'everybody', rule: { all: [] } })
  const once = { trigger: { kind: 'once', at: new Date().toISOString() }, missed: { lateWithinMs: 600_000 } }
  const toShop = await api.post('/v1/campaigns', {
    ...once,
    name: 'forms',
    accountId: shop.id,
    audienceId,
    templateId: SHOP.legacy,
    content: { keyword1: 'D1', keyword2: '飞雁速运', keyword3: 'FY1', keyword4: '2024年5月1日 16:40' },
    open: { page: 'pages/event' }
  })
  const toFollowers = await api.post('/v1/campaigns', {
    ...once,
    name: 'followers',
    accountId: service.id,
    audienceId,
    templateId: SERVICE.service,
    content: { character_string1: 'D1', thing2: '晨读手账本', time3: '2024年5月1日 16:40' }
  })
  for (const { id } of [toShop, toFollowers]) await api.post(`/v1/campaigns/${id}/activate`)
  for (let kill = 1; kill <= KILLS; kill++) {
    await sleep(LIFE_MS.least + chance() * (LIFE_MS.most - LIFE_MS.least))
    await stage.replaceWorker()
    const { accepted } = await sandbox.get('/sandbox/ledger/summary')
    progress(`killed ${kill} of ${KILLS}; WeChat has taken ${accepted}`)
  }
  step(`the worker was killed ${KILLS} times`)

  const expected = { [toShop.id]: 2 * PEOPLE, [toFollowers.id]: 2 * PEOPLE }
  await watch(stage, expected, progress)
  await settled(stage, [shop, clinic, service])
  const ledgers = await readLedgers({ api, sandbox, accounts: [shop, clinic, service], caught, expected })
  return endingOf({
    captured: { ...(await verdictsOf(stage, [shop])), atDoor: {} },
    messages: messageCounts(ledgers),
    verdict: verify(ledgers),
    ledgers,
    latency: { p50Ms: null, p95Ms: null },
    faults: await firedFaults(stage)
  })
}

/** One form of each person, handed in by the backend. */
async function forms({ api, sandbox }: Stage, accountId: string, openids: string[]): Promise<CaughtRight[]> {
  const caught: CaughtRight[] = []
  for (let from = 0; from < openids.length; from += BATCH) {
    const part = openids.slice(from, from + BATCH)
    const made: { formIds: string[] }[] = await sandbox.post(
      '/sandbox/formids',
      part.map((openid) => ({ appid: SHOP.appid, openid }))
    )
    const caughtAt = new Date().toISOString()
    const items = part.map((openId, i) => ({
      id: openId,
      openId,
      source: 'form',
      value: made[i]!.formIds[0]!,
      caughtAt
    }))
    await api.post('/v1/credentials', { accountId, items })
    for (const { openId, value } of items) caught.push({ kind: 'formId', id: value, appid: SHOP.appid, openid: openId })
  }
  return caught
}
