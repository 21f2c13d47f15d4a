import { SERVICE, SHOP, CLINIC } from '../accounts.js'
import type { DemoAccount } from '../ledgers.js'
import type { Stage } from '../stage.js'
import type { Actor, AppName, Deed, HandedIn, TemplateName } from './story.js'

/** How the story's people and their deeds get into WeChat and the server: as phones, backends and operators would do it. */

export const APPS = { shop: SHOP, clinic: CLINIC, service: SERVICE } as const
export const TEMPLATES: Record<TemplateName, string> = {
  shipped: SHOP.legacy,
  pickup: SHOP.subscribe,
  booking: CLINIC.subscribe,
  visit: CLINIC.longTerm,
  brand: SERVICE.service
}

/** An actor as WeChat and the server know them. */
export type Known = { actor: Actor; personId: string; openids: Partial<Record<AppName, string>> }
export type Accounts = Record<AppName, DemoAccount>

const LANES = 16

/** Everybody gets openids at WeChat, and is made known to the server under a name of the backend's own. */
export async function introduce({ api, sandbox }: Stage, accounts: Accounts, cast: Actor[]): Promise<Known[]> {
  const known: Known[] = []
  type Made = { openids: Record<string, string>; unionid: string }
  await inLanes(cast, async (actor) => {
    const appids = actor.apps.map((app) => APPS[app].appid)
    const [made] = await sandbox.post<Made[]>('/sandbox/users', { count: 1, appids })
    const openids: Known['openids'] = {}
    let personId = ''
    for (const app of actor.apps) {
      const openId = (openids[app] = made!.openids[APPS[app].appid]!)
      const { id } = await api.post('/v1/people/identify', {
        externalId: actor.name,
        unionId: made!.unionid,
        accountId: accounts[app].id,
        openId,
        attributes: actor.attributes,
        tags: { act: actor.act }
      })
      personId = id
    }
    known.push({ actor, personId, openids })
  })
  return known
}

/** What people do at one moment. @returns the kinds of deeds there were */
export async function perform(
  stage: Stage,
  accounts: Accounts,
  known: Known[],
  now: number
): Promise<Set<Deed['does']>> {
  const all = known.flatMap((who) =>
    who.actor.deeds.flatMap((deed, place) => (deed.at === now ? [{ who, deed, place }] : []))
  )
  const some = <D extends Deed['does']>(...kinds: D[]) =>
    all.filter((each): each is typeof each & { deed: Extract<Deed, { does: D }> } =>
      (kinds as string[]).includes(each.deed.does)
    )
  const { api, sandbox } = stage

  // First what changes who can be reached, in the order people did it; then what is sent about.
  for (const does of ['follow', 'leave', 'leave silently'] as const) {
    const openids = some(does).map(({ who }) => who.openids.service!)
    const how = { follow: does === 'follow', push: does !== 'leave silently' }
    if (openids.length > 0) await sandbox.post('/sandbox/followers', { appid: SERVICE.appid, openids, ...how })
  }
  if (some('follow').length > 0) await followed(stage, some('follow'))
  for (const how of ['refuse', 'drop', 'none'] as const) {
    for (const app of ['clinic', 'service'] as const) {
      const openids = some('block').flatMap(({ who, deed }) =>
        deed.how === how && deed.app === app ? [who.openids[app]!] : []
      )
      if (openids.length > 0) await sandbox.post('/sandbox/blocks', { appid: APPS[app].appid, openids, how })
    }
  }
  const rules = some('fail').map(({ who, deed }) => {
    const openid = who.openids[deed.app]!
    return { path: '/cgi-bin/message/subscribe/send', openid, action: { errcode: deed.code } }
  })
  if (rules.length > 0) await sandbox.post('/sandbox/rules', rules)
  const interactions = some('tap the menu', 'write').map(({ who, deed }) => {
    const how = deed.does === 'write' ? { kind: 'text', text: '你好' } : { kind: 'click', key: 'offers' }
    return { appid: SERVICE.appid, openid: who.openids.service!, ...how }
  })
  if (interactions.length > 0) await sandbox.post('/sandbox/interactions', interactions)
  await inLanes(some('opt out'), async ({ who, deed }) => {
    await api.post('/v1/opt-outs', { personId: who.personId, topic: deed.topic })
  })
  await inLanes(some('opt in'), async ({ who, deed }) => {
    const theirs = await api.all(`/v1/opt-outs?personId=${who.personId}`)
    for (const { id, topic } of theirs) if (topic === deed.topic) await api.remove(`/v1/opt-outs/${id}`)
  })
  await handIn(stage, accounts, some('hand in'))
  const events = some('event').map(({ who, deed, place }) => ({
    id: `${who.actor.name}-${place}`,
    externalId: who.actor.name,
    name: deed.name,
    at: new Date(deed.happened).toISOString(),
    properties: deed.properties
  }))
  for (let from = 0; from < events.length; from += BATCH) {
    await api.post('/v1/events', { items: events.slice(from, from + BATCH) })
  }
  await inLanes(some('direct'), async ({ who, deed }) => {
    const { app, template, lane, lifeMs, fallback } = deed
    const message = {
      accountId: accounts[app].id,
      to: { externalId: who.actor.name },
      ...sayingOf(template, 'direct', who.actor.name),
      lane,
      reference: referenceOf(who, deed.reference),
      notAfter: new Date(now + lifeMs).toISOString(),
      fallback: fallback.map(({ app: next, template: other }) => ({
        accountId: accounts[next].id,
        ...sayingOf(other, 'direct', who.actor.name)
      }))
    }
    await api.post('/v1/messages', message, { 'idempotency-key': `${who.actor.name}-${now}` })
  })
  return new Set(all.map(({ deed }) => deed.does))
}

const BATCH = 500
/** A direct message is found again by this. */
export const referenceOf = ({ actor }: Known, reference: string) => `${reference} ${actor.name}`

async function handIn(
  { api, sandbox }: Stage,
  accounts: Accounts,
  all: { who: Known; deed: HandedIn; place: number }[]
) {
  type Item = { id: string; openId: string; source: string } & Record<string, unknown>
  const items: Record<AppName, Item[]> = { shop: [], clinic: [], service: [] }
  for (const { who, deed, place } of all) {
    const { app, source, template, times = 1, caughtAt } = deed
    const appid = APPS[app].appid
    const openId = who.openids[app]!
    const values: (string | null)[] = []
    if (source === 'form') {
      const { formIds } = await sandbox.post('/sandbox/formids', { appid, openid: openId, count: times })
      values.push(...formIds)
    } else if (source === 'payment') {
      const { prepayId } = await sandbox.post('/sandbox/orders', { appid, openid: openId, paid: true })
      values.push(prepayId)
    } else {
      const templateId = TEMPLATES[template!]
      await sandbox.post('/sandbox/grants', { appid, openid: openId, templateId, count: times, push: false })
      for (let n = 0; n < times; n++) values.push(null)
    }
    for (const [n, value] of values.entries()) {
      items[app].push({
        id: `${who.actor.name}-${place}-${n}`,
        openId,
        source,
        ...(value === null ? { templateId: TEMPLATES[template!], result: 'accept' } : { value }),
        ...(source === 'payment' && { result: 'ok' }),
        ...(caughtAt !== undefined && { caughtAt: new Date(caughtAt).toISOString() })
      })
    }
  }
  for (const [app, list] of Object.entries(items) as [AppName, Item[]][]) {
    for (let from = 0; from < list.length; from += BATCH) {
      await api.post('/v1/credentials', { accountId: accounts[app].id, items: list.slice(from, from + BATCH) })
    }
  }
}

/** Until the server has heard of all of them: what they do next is about followers. */
async function followed({ api }: Stage, all: { who: Known }[]): Promise<void> {
  for (const { who } of all) {
    for (const end = performance.now() + 10_000; performance.now() < end;) {
      const { recipients } = await api.get(`/v1/people/${who.personId}`)
      if (recipients.some(({ follower }: { follower: boolean }) => follower)) break
    }
  }
}

/** What a message of this template says: enough to tell one from another. */
export function sayingOf(template: TemplateName, what: string, who: string) {
  const page = { open: { page: 'pages/story' } }
  const templateId = TEMPLATES[template]
  const time = '2030-03-04 16:40'
  switch (template) {
    case 'shipped':
      return { templateId, content: { keyword1: who, keyword2: '飞雁速运', keyword3: what, keyword4: time }, ...page }
    case 'pickup':
      return { templateId, content: { thing1: what, character_string2: '8-1', time3: time }, ...page }
    case 'booking':
      return { templateId, content: { thing1: what, time2: time, name3: '林医生' }, ...page }
    case 'visit':
      return { templateId, content: { name1: '林医生', time2: time, thing3: what }, ...page }
    case 'brand':
      return { templateId, content: { character_string1: 'D1', thing2: what, time3: time } }
  }
}

/** `run` for each of `list`, a few at a time. */
export async function inLanes<T>(list: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let i = next++; i < list.length; i = next++) await run(list[i]!)
  }
  await Promise.all(Array.from({ length: Math.min(LANES, list.length) }, lane))
}
