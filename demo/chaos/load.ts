import { setTimeout as sleep } from 'node:timers/promises'
import { CLINIC, connectAccounts, SERVICE, SHOP } from '../accounts.js'
import type { Client } from '../client.js'
import type { DemoAccount } from '../ledgers.js'
import { finished } from '../stage.js'
import type { CaughtRight } from '../verify.js'
import type { Stubborn } from './stubborn.js'

/** How many messages go which way. */
export type Shares = {
  /** A campaign to people who submitted a form. */
  forms: number
  /** A campaign to followers of the service account. */
  followers: number
  /** A campaign to people who granted a subscription. */
  grants: number
  /** Direct ones on forms; every second one is asked for before the form is there. */
  directForms: number
  /** Direct ones on payments, two on each; every second payment is confirmed later. */
  payments: number
  /** Direct ones to other followers. */
  directFollowers: number
  /** An event each, answered on a granted subscription. */
  events: number
}

export const EVERYTHING: Shares = {
  forms: 0.25,
  followers: 0.2,
  grants: 0.1,
  directForms: 0.15,
  payments: 0.1,
  directFollowers: 0.1,
  events: 0.1
}
/** Without payments: they go out by the interface of the forms, and cannot be asked about when it is silent. */
export const ASKABLE: Shares = { ...EVERYTHING, payments: 0, directForms: 0.2, directFollowers: 0.15 }

/** Everything that was promised: what the other side said yes to. */
export type Promised = {
  caught: CaughtRight[]
  /** Messages accepted over the API, by their ids. */
  direct: string[]
  /** How many messages each campaign must have made. */
  expected: Record<string, number>
}

export type Load = {
  accounts: { shop: DemoAccount; clinic: DemoAccount; service: DemoAccount }
  people: Record<keyof Shares, string[]>
  promised: Promised
  /** Starts the campaigns and hands in all the rest, spread over `overMs`; resolves when all of it was taken. */
  run(overMs: number): Promise<void>
}

const BATCH = 500
const PIECE = 25
/** When, as a share of the time, each campaign starts. */
type Starts = Record<'forms' | 'followers' | 'grants', number>
const STARTS: Starts = { forms: 0.02, followers: 0.15, grants: 0.4 }
/** The direct ones are handed in over this share of the time. */
const FEED = 0.85
const LIMITS = { perSecond: 200, inFlight: 200 }

/**
 * Sets up three accounts with the people, rights and campaigns for so many messages. Nothing is sent yet.
 * `backend` is used for everything that happens once `run` is called.
 */
export async function prepareLoad({
  api,
  sandbox,
  backend,
  messages,
  shares,
  starts = STARTS
}: {
  api: Client
  sandbox: Client
  backend: Stubborn
  messages: number
  shares: Shares
  starts?: Starts
}): Promise<Load> {
  const accounts = await connectAccounts(api, sandbox, LIMITS)
  const { shop, clinic, service } = accounts
  const many = (share: number, each = 1) => Math.round((messages * share) / each)
  const make = async (count: number, app: { appid: string }, follows = false): Promise<string[]> => {
    if (count === 0) return []
    const wish = { count, appids: [app.appid], followers: follows ? [app.appid] : [] }
    const made = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', wish)
    return made.map(({ openids }) => openids[app.appid]!)
  }
  const people = {
    forms: await make(many(shares.forms), SHOP),
    followers: await make(many(shares.followers), SERVICE, true),
    grants: await make(many(shares.grants), CLINIC),
    directForms: await make(many(shares.directForms), SHOP),
    payments: await make(many(shares.payments, 2), SHOP),
    directFollowers: await make(many(shares.directFollowers), SERVICE, true),
    events: await make(many(shares.events), SHOP)
  }
  const promised: Promised = { caught: [], direct: [], expected: {} }
  const rights = createRights({ sandbox, backend, promised })

  await rights.forms(shop, people.forms)
  await rights.grants(clinic, CLINIC.subscribe, people.grants)
  await finished(api, await api.post(`/v1/accounts/${service.id}/followers/sync`))
  const campaigns = await setUpCampaigns(api, accounts, people)
  for (const [group, id] of Object.entries(campaigns)) promised.expected[id] = people[group as keyof Shares].length

  async function activate(group: keyof Starts, overMs: number): Promise<void> {
    await sleep(starts[group] * overMs)
    const campaign = `/v1/campaigns/${campaigns[group]}`
    await backend.post(`${campaign}/activate`).catch(async (error) => {
      // the first answer was lost with its server: it is online, and says so
      const { state } = await backend.get(campaign)
      if (state === 'draft') throw error
    })
  }

  async function send(account: DemoAccount, items: ({ id: string } & Record<string, unknown>)[]): Promise<void> {
    const answer = await backend.post('/v1/messages/batch', { accountId: account.id, items })
    for (const { id, verdict, message, errors } of answer.items) {
      if (verdict !== 'planned') throw new Error(`message ${id} was refused: ${JSON.stringify(errors)}`)
      promised.direct.push(message.id)
    }
  }

  const onForms = async (openids: string[]) => {
    const items = openids.map((openId) => ({
      id: `form ${openId}`.slice(0, 64),
      to: { openId },
      templateId: SHOP.legacy,
      content: shipped(openId),
      open: { page: 'pages/order' },
      waitForCredential: true
    }))
    const half = openids.length >> 1
    await send(shop, items.slice(0, half))
    await rights.forms(shop, openids)
    await send(shop, items.slice(half))
  }
  const onPayments = async (openids: string[]) => {
    await rights.payments(shop, openids)
    for (const openId of openids) {
      for (const which of ['paid', 'shipped']) {
        const body = {
          accountId: shop.id,
          to: { openId },
          templateId: SHOP.legacy,
          content: shipped(which),
          open: { page: 'pages/order' },
          waitForCredential: true
        }
        const key = { 'idempotency-key': `${which}-${openId}` }
        promised.direct.push((await backend.post('/v1/messages', body, key)).id)
      }
    }
  }
  const toFollowers = (openids: string[]) =>
    send(
      service,
      openids.map((openId) => ({
        id: `service ${openId}`.slice(0, 64),
        to: { openId },
        templateId: SERVICE.service,
        content: { character_string1: 'D7', thing2: '晨读手账本', time3: '2024年5月1日 16:40' },
        open: { miniprogram: { appId: SHOP.appid, page: 'pages/order' } }
      }))
    )
  const onEvents = async (openids: string[]) => {
    await rights.grants(shop, SHOP.subscribe, openids)
    const at = new Date().toISOString()
    const items = openids.map((openId) => ({
      id: `order ${openId}`.slice(0, 64),
      openId,
      name: 'order_shipped',
      at,
      properties: { place: '东门柜机', code: '8-1', until: '2024-05-01 21:20' }
    }))
    const answer = await backend.post('/v1/events', { accountId: shop.id, items })
    for (const { id, verdict, reason } of answer.items) {
      if (verdict === 'refused') throw new Error(`event ${id} was refused: ${reason}`)
    }
  }

  return {
    accounts,
    people,
    promised,
    async run(overMs) {
      const feed = async (openids: string[], hand: (piece: string[]) => Promise<void>) => {
        const began = performance.now()
        for (let from = 0; from < openids.length; from += PIECE) {
          const turn = began + (FEED * overMs * from) / openids.length
          await sleep(Math.max(0, turn - performance.now()))
          await hand(openids.slice(from, from + PIECE))
        }
      }
      await Promise.all([
        ...(['forms', 'followers', 'grants'] as const).map((group) => activate(group, overMs)),
        feed(people.directForms, onForms),
        feed(people.payments, onPayments),
        feed(people.directFollowers, toFollowers),
        feed(people.events, onEvents)
      ])
    }
  }
}

const shipped = (code: string) => ({
  keyword1: code.slice(-8),
  keyword2: '飞雁速运',
  keyword3: 'FY7310025518',
  keyword4: '2024年5月1日 16:40'
})

/** Rights as they come in: WeChat gives them, a backend hands them in and is told that they are kept. */
function createRights({ sandbox, backend, promised }: { sandbox: Client; backend: Stubborn; promised: Promised }) {
  type Item = { id: string; openId: string } & Record<string, unknown>

  async function handIn(account: DemoAccount, items: Item[], rights: CaughtRight[]): Promise<void> {
    const { items: verdicts } = await backend.post('/v1/credentials', { accountId: account.id, items })
    verdicts.forEach(({ id, verdict, reason }: { id: string; verdict: string; reason?: string }, i: number) => {
      if (verdict === 'refused') throw new Error(`right ${id} was refused: ${reason}`)
      promised.caught.push(rights[i]!)
    })
  }
  async function inParts(openids: string[], hand: (part: string[]) => Promise<void>): Promise<void> {
    for (let from = 0; from < openids.length; from += BATCH) await hand(openids.slice(from, from + BATCH))
  }
  const now = () => new Date().toISOString()

  return {
    forms: (account: DemoAccount, openids: string[]) =>
      inParts(openids, async (part) => {
        const asked = part.map((openid) => ({ appid: account.appId, openid }))
        const made = await sandbox.post<{ formIds: [string] }[]>('/sandbox/formids', asked)
        const values = made.map(({ formIds }) => formIds[0])
        const items = part.map((openId, i) => ({
          id: openId,
          openId,
          source: 'form',
          value: values[i]!,
          caughtAt: now()
        }))
        const rights = part.map((openid, i) => ({
          kind: 'formId' as const,
          id: values[i]!,
          appid: account.appId,
          openid
        }))
        await handIn(account, items, rights)
      }),

    grants: (account: DemoAccount, templateId: string, openids: string[]) =>
      inParts(openids, async (part) => {
        const { appId } = account
        await sandbox.post(
          '/sandbox/grants',
          part.map((openid) => ({ appid: appId, openid, templateId, push: false }))
        )
        const items = part.map((openId) => ({
          id: openId,
          openId,
          source: 'grant',
          templateId,
          result: 'accept',
          caughtAt: now()
        }))
        const rights = part.map((openid) => ({ kind: 'grant' as const, id: templateId, appid: appId, openid }))
        await handIn(account, items, rights)
      }),

    /** Paid at once; every second one is handed in as pending and confirmed afterwards. */
    payments: (account: DemoAccount, openids: string[]) =>
      inParts(openids, async (part) => {
        const asked = part.map((openid) => ({ appid: account.appId, openid }))
        const orders = await sandbox.post<{ prepayId: string; orderId: string }[]>('/sandbox/orders', asked)
        await sandbox.post(
          '/sandbox/orders/pay',
          orders.map(({ prepayId }) => ({ prepayId }))
        )
        const items = part.map((openId, i) => {
          const { prepayId, orderId } = orders[i]!
          const what = { id: openId, openId, source: 'payment', value: prepayId, orderId, caughtAt: now() }
          return i % 2 === 0 ? what : { ...what, result: 'pending' }
        })
        const rights = part.map((openid, i) => ({
          kind: 'prepayId' as const,
          id: orders[i]!.prepayId,
          appid: account.appId,
          openid
        }))
        await handIn(account, items, rights)
        for (const { orderId } of orders.filter((_, i) => i % 2 === 1)) {
          await backend.post('/v1/credentials/confirm', { accountId: account.id, orderId, paidAt: now() })
        }
      })
  }
}

/** The ids of one campaign a group, each to a fixed list of its people; the one that answers events is online already. */
async function setUpCampaigns(
  api: Client,
  { shop, clinic, service }: Load['accounts'],
  people: Load['people']
): Promise<Record<keyof Starts | 'events', string>> {
  const known = new Map<string, string>()
  for (const { id, recipients } of await api.all('/v1/people'))
    for (const { openId } of recipients) if (openId !== undefined) known.set(openId, id)
  const listOf = async (name: keyof Shares): Promise<string> => {
    const personIds = people[name].map((openid) => known.get(openid)!)
    return (await api.post('/v1/audiences', { name, personIds })).id
  }
  const once = { trigger: { kind: 'once', at: new Date().toISOString() }, missed: { lateWithinMs: 600_000 } }
  const made = async (body: Record<string, unknown>): Promise<string> => (await api.post('/v1/campaigns', body)).id

  const forms = await made({
    ...once,
    name: '周末读书会',
    accountId: shop.id,
    audienceId: await listOf('forms'),
    templateId: SHOP.legacy,
    content: shipped('周末读书会'),
    open: { page: 'pages/event' }
  })
  const followers = await made({
    ...once,
    name: '新书到店',
    accountId: service.id,
    audienceId: await listOf('followers'),
    templateId: SERVICE.service,
    content: { character_string1: 'D8', thing2: '晨读手账本', time3: '2024年5月1日 16:40' },
    open: { miniprogram: { appId: SHOP.appid, page: 'pages/new' } }
  })
  const grants = await made({
    ...once,
    name: '复诊提醒',
    accountId: clinic.id,
    audienceId: await listOf('grants'),
    templateId: CLINIC.subscribe,
    content: { thing1: '复诊', time2: '2024年5月1日 16:40', name3: '李医生' },
    open: { page: 'pages/visit' }
  })
  const events = await made({
    name: '订单已发货',
    accountId: shop.id,
    templateId: SHOP.subscribe,
    lane: 'transactional',
    trigger: { kind: 'event', event: 'order_shipped' },
    waitForCredential: true,
    content: { thing1: '{{ event.place }}', character_string2: '{{ event.code }}', time3: '{{ event.until }}' },
    open: { page: 'pages/order' }
  })
  await api.post(`/v1/campaigns/${events}/activate`)
  return { forms, followers, grants, events }
}
