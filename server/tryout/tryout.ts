import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { CredentialsPost, ItemVerdict } from '../../shared/credential.js'
import type { CampaignCreate } from '../../shared/campaign.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import type { Events } from '../events/events.js'
import type { Followers } from '../followers/followers.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, NotFound } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import type { Sandbox } from '../sandbox/sandbox.js'
import type { Templates } from '../templates/templates.js'
import { campaignsOf, SERVICE, SHOP, SUBSCRIBE } from './scene.js'
import { stock, type Visitor } from './stock.js'

export type Tryout = ReturnType<typeof createTryout>

/** The sandbox is busy with something else than what we left there. */
class AccountTaken extends Conflict {
  constructor(appId: string) {
    super(`the account ${appId} of the sandbox is connected already, in another way`, {
      code: 'tryout.account-taken',
      facts: { appId }
    })
  }
}

/** What a restart needs to bring the same sandbox back. */
type TryoutRow = { _id: string; port: number; seed: number; createdAt: Date }

const ID = 'tryout'
/** So many requests a second that a run of some hundreds can be watched. */
const PER_SECOND = 8
const LATENCY = { minMs: 60, maxMs: 180 }
const BATCH = 500
const BULK = 100
const PROBE_MS = 1_000

/**
 * "Try with the sandbox": a local WeChat in this process with two accounts, invented people and campaigns, all made
 * through the same verbs an operator's and a backend's requests end in. It comes back after a restart.
 */
export function createTryout(parts: {
  db: Connection
  clock: Clock
  log: Log
  random: () => number
  accounts: Pick<Accounts, 'get' | 'create' | 'patch'>
  templates: Pick<Templates, 'sync'>
  people: Pick<People, 'recipients' | 'identifyAll'>
  followers: Pick<Followers, 'startSync'>
  events: Pick<Events, 'intake'>
  audiences: Pick<Audiences, 'create'>
  campaigns: Pick<Campaigns, 'create' | 'activate'>
  keepFor: (account: Account, body: CredentialsPost) => Promise<ItemVerdict[]>
}) {
  const { db, clock, log, accounts, people } = parts
  const rows = db.collection('settings') as unknown as Collection<TryoutRow>
  let sandbox: Sandbox | null = null
  let visitors: Visitor[] = []
  const allowed = new Set<string>()
  let beginning: Promise<{ url: string }> | null = null

  /** Starts the local WeChat and fills it. @throws the listen error */
  async function open(port: number, seed: number): Promise<Sandbox> {
    // Loaded only when asked for: no server of ours should carry the double of WeChat along.
    const { createSandbox } = await import('../sandbox/sandbox.js')
    const opened = await createSandbox({ port, seed, latency: LATENCY })
    visitors = stock(opened.controls, SHOP.appId, SERVICE.appId, SUBSCRIBE)
    sandbox = opened
    allowed.clear()
    return opened
  }

  /** An account of the sandbox, connected now or before. @throws AccountTaken */
  async function connect({ controls, url }: Sandbox, app: typeof SHOP | typeof SERVICE): Promise<Account> {
    const known = await accounts.get(app.appId).catch((error: unknown) => {
      if (error instanceof NotFound) return null
      throw error
    })
    if (known !== null && known.mode !== 'sandbox') throw new AccountTaken(app.appId)
    const token = `tryout${app.appId.slice(-6)}`
    const account =
      known === null
        ? await accounts.create({
            ...app,
            mode: 'sandbox',
            apiBase: url,
            limits: { perSecond: PER_SECOND },
            callback: { token, mode: 'plain' }
          })
        : await accounts.patch(known.id, { apiBase: url, callback: { token, mode: 'plain' } })
    const { appId: appid, secret, kind, name } = app
    controls.putApp({ appid, secret, kind, name, openPlatform: 'demo', callback: { url: account.callback.url, token } })
    return account
  }

  async function begin(): Promise<{ url: string }> {
    if (sandbox !== null) return { url: sandbox.url }
    const seed = Math.floor(parts.random() * 2 ** 31)
    const opened = await open(0, seed)
    try {
      const [shop, service] = [await connect(opened, SHOP), await connect(opened, SERVICE)]
      await Promise.all([parts.templates.sync(shop.id), parts.templates.sync(service.id)])
      await handIn(shop)
      await parts.followers.startSync(service.id, { full: false, tags: true })
      await sayWhatHappened(shop)
      for (const { activate, ...wanted } of await planned(shop, service)) {
        const { _id } = await parts.campaigns.create(wanted)
        if (activate) await parts.campaigns.activate(_id)
      }
    } catch (error) {
      await stop()
      throw error
    }
    await rows.updateOne({ _id: ID }, { $set: { port: opened.port, seed, createdAt: clock.now() } }, { upsert: true })
    log.info({ url: opened.url }, 'the sandbox to try with is ready')
    return { url: opened.url }
  }

  /** What a backend tells: who its people are and what they caught. */
  async function handIn(shop: Account): Promise<void> {
    const bodies = visitors.map(({ shop: openId, unionId, attributes }, index) => ({
      accountId: shop.id,
      openId,
      externalId: `guest-${String(index + 1).padStart(4, '0')}`,
      ...(unionId !== null && { unionId }),
      attributes,
      tags: membership(attributes.level)
    }))
    // Before their rights: whoever is met with a unionid is one person from the start, and nobody has to be merged.
    for (let from = 0; from < bodies.length; from += BULK) {
      await people.identifyAll(bodies.slice(from, from + BULK), null)
    }
    const items: CredentialsPost['items'] = visitors.flatMap(({ shop: openId, formId, order, granted }, index) => [
      ...(formId === null ? [] : [{ id: `form-${index}`, openId, source: 'form' as const, value: formId }]),
      ...(order === null
        ? []
        : [{ id: `pay-${index}`, openId, source: 'payment' as const, value: order.prepayId, orderId: order.orderId }]),
      ...(granted
        ? [{ id: `grant-${index}`, openId, source: 'grant' as const, templateId: SUBSCRIBE, result: 'accept' }]
        : [])
    ])
    for (let from = 0; from < items.length; from += BATCH) {
      await parts.keepFor(shop, { accountId: shop.id, items: items.slice(from, from + BATCH) })
    }
  }

  /** Orders of the past days, so that there are events to choose from. */
  async function sayWhatHappened(shop: Account): Promise<void> {
    const now = clock.now().getTime()
    const buyers = visitors.filter(({ order }) => order !== null)
    const openIds = buyers.map(({ shop: openId }) => openId)
    const met = await people.recipients(shop.id, openIds)
    const told = buyers.flatMap(({ order }, index) =>
      ['order_placed', 'order_paid'].map((name, step) => ({
        id: `${name}-${index}`,
        name,
        at: new Date(now - (index + 1) * 1_800_000 + step * 60_000),
        properties: { orderId: order!.orderId, amount: 20 + (index % 9) * 15, productName: '晨读手账本' },
        personId: met[index]!.personId,
        recipientId: met[index]!.id
      }))
    )
    await parts.events.intake({ kind: 'key', id: ID }, shop.id, told)
  }

  async function planned(shop: Account, service: Account): Promise<(CampaignCreate & { activate: boolean })[]> {
    const everybody = await parts.audiences.create({ name: '所有访客', rule: { all: [] } })
    const members = await parts.audiences.create({
      name: '上海会员',
      rule: {
        all: [
          { attribute: 'city', op: 'eq', value: '上海' },
          { tag: '会员', op: 'exists', value: true }
        ]
      }
    })
    return campaignsOf({
      now: clock.now(),
      shopId: shop.id,
      serviceId: service.id,
      everybody: everybody.id,
      members: members.id
    })
  }

  async function stop(): Promise<void> {
    const open = sandbox
    sandbox = null
    await open?.close()
  }

  return {
    /** Prepares everything, once; later calls only say where the sandbox is. @throws AccountTaken */
    begin(): Promise<{ url: string }> {
      return (beginning ??= begin().finally(() => (beginning = null)))
    },

    /** Where the sandbox runs; null: not in this process. */
    where: (): string | null => sandbox?.url ?? null,

    /** Who of its visitors has the phone to look at; null: it does not run here. */
    phone: (): { appId: string; openId: string } | null => {
      const [visitor] = visitors
      return sandbox === null || visitor === undefined ? null : { appId: SHOP.appId, openId: visitor.shop }
    },

    /** Lets its phones call a server at this origin. */
    async letIn(origin: string): Promise<void> {
      if (sandbox === null || allowed.has(origin)) return
      allowed.add(origin)
      const body = JSON.stringify({ domains: [...allowed] })
      const headers = { 'content-type': 'application/json' }
      await fetch(`${sandbox.url}/sandbox/request-domains`, { method: 'POST', headers, body })
    },

    /** Brings the sandbox of an earlier start back, unless another process of ours has it. */
    async wake(): Promise<void> {
      const row = await rows.findOne({ _id: ID })
      if (row === null || (await answers(row.port))) return
      try {
        const opened = await open(row.port, row.seed)
        for (const app of [SHOP, SERVICE]) await connect(opened, app)
      } catch (error) {
        await stop()
        log.warn({ err: error, port: row.port }, 'the sandbox to try with did not start again')
      }
    },

    stop
  }
}

const membership = (level: string): Record<string, string> => (level === '普通' ? {} : { 会员: level })

async function answers(port: number): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://127.0.0.1:${port}/sandbox/clock`, { signal: AbortSignal.timeout(PROBE_MS) })
    return ok
  } catch {
    return false
  }
}
