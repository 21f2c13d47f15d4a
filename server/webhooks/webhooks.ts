import { randomBytes } from 'node:crypto'
import type { Connection } from 'mongoose'
import type { PageQuery } from '../../shared/page.js'
import type { AlertKind } from '../../shared/alert.js'
import {
  TEST_EVENT,
  WEBHOOKS,
  type DeliveryView,
  type WebhookCreate,
  type WebhookEvent,
  type WebhookPatch,
  type WebhookView
} from '../../shared/webhook.js'
import { DAY_MS } from '../../shared/limits.js'
import type { Clock } from '../platform/clock.js'
import { newId } from '../platform/ids.js'
import type { Log } from '../platform/log.js'
import { listPage, type Page } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import type { SettingsRoom, Target } from '../settings/settings.js'
import { createDeliveries, type Destination, type Filing } from './deliveries.js'
import { NoSuchWebhook, TooManyWebhooks, UrlRefused } from './errors.js'
import { webhookModels, type HealthRow, type WebhookRow } from './model.js'
import type { Outside } from './outside.js'

/** Something that happened. Filing it twice is filing it once: `id` names it, and the same id always means the same news. */
export type News = {
  id: string
  type: WebhookEvent
  at: Date
  accountId: string | null
  /** Whom it is about: gone with them when they are erased. */
  personId?: string | null
  data: object
  /** For alert targets: what it is about and how it is told. */
  alert?: { kind: AlertKind; markdown: string }
}

export type Webhooks = ReturnType<typeof createWebhooks>

const CACHE_MS = 5_000
/** How long an old secret signs beside the new one, ms. */
const OVERLAP_MS = DAY_MS

/** Telling other systems what happened: webhooks, and the robots that are told of alerts. */
export function createWebhooks({
  db,
  clock,
  log,
  sealer,
  random,
  outside,
  settings
}: {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  random: () => number
  outside: Outside
  settings: Pick<SettingsRoom, 'get' | 'target'>
}) {
  const models = webhookModels(db)
  const { hooks } = models
  let cache: { hooks: WebhookRow[]; at: number } | null = null

  const deliveries = createDeliveries({
    models,
    clock,
    log,
    random,
    outside,
    async destinations() {
      const [own, { targets }] = await Promise.all([listening(), settings.get()])
      return [...own.map(destinationOf), ...targets.map(robotOf)]
    },
    async destination(id) {
      const own = await hooks.findOne({ _id: id })
      if (own !== null) return destinationOf(own)
      const target = await settings.target(id).catch(() => null)
      return target === null ? null : robotOf(target)
    },
    async switchOff(id, reason) {
      const { modifiedCount } = await hooks.updateOne(
        { _id: id, enabled: true },
        { $set: { enabled: false, disabledReason: reason, updatedAt: clock.now() } }
      )
      cache = null
      if (modifiedCount > 0) log.warn({ hookId: id, reason }, 'a webhook was switched off')
    }
  })

  /** Webhooks that are switched on, at most 5 s old; at once in the process that changed one. */
  async function listening(): Promise<WebhookRow[]> {
    const now = clock.monotonic()
    if (cache !== null && now - cache.at < CACHE_MS) return cache.hooks
    const found = await hooks.find({ enabled: true }).toArray()
    cache = { hooks: found, at: now }
    return found
  }

  const destinationOf = ({ _id, sealedUrl, secrets }: WebhookRow): Destination => ({
    id: _id,
    url: sealer.open(sealedUrl),
    format: 'standard',
    secrets: secrets
      .filter(({ until }) => until === null || until > clock.now())
      .map(({ sealed }) => sealer.open(sealed))
  })
  const robotOf = ({ id, url }: Target): Destination => ({ id, url, format: 'wecom', secrets: [] })

  async function row(id: string): Promise<WebhookRow> {
    const found = await hooks.findOne({ _id: id })
    if (found === null) throw new NoSuchWebhook()
    return found
  }

  async function view(of: WebhookRow): Promise<WebhookView> {
    return webhookView(of, sealer.open(of.sealedUrl), await deliveries.healthOf(of._id))
  }

  /** @throws UrlRefused */
  function checked(url: string): string {
    const fault = outside.fault(url)
    if (fault !== null) throw new UrlRefused(fault)
    return sealer.seal(url)
  }

  const freshSecret = () => `whsec_${randomBytes(24).toString('base64')}`

  return {
    ready: models.ready,

    /** This process looks anew at who listens. */
    changed: (): void => void (cache = null),

    /** Which kinds of news about this account anybody wants; empty: none, and nothing needs to be made. */
    async wanted(accountId: string): Promise<ReadonlySet<WebhookEvent>> {
      const found = await listening()
      if (found.length === 0) return NONE
      return new Set(found.filter((hook) => concerns(hook, accountId)).flatMap(({ events }) => events))
    },

    /** Files news with everyone who wants it. Repeatable. */
    async file(news: News[]): Promise<void> {
      if (news.length === 0) return
      const [own, { targets }] = await Promise.all([listening(), settings.get()])
      const filings: Filing[] = []
      for (const { id, type, at, accountId, personId = null, data, alert } of news) {
        const filing = { eventId: id, event: type, accountId, personId }
        const body = JSON.stringify({ type, timestamp: at.toISOString(), data })
        for (const hook of own) {
          // Who came later was not there to see it.
          if (hook.createdAt > at || !hook.events.includes(type) || !concerns(hook, accountId)) continue
          filings.push({ ...filing, hookId: hook._id, body })
        }
        if (alert === undefined) continue
        for (const target of targets) {
          if (target.kinds?.includes(alert.kind) === false || !concerns(target, accountId)) continue
          filings.push({ ...filing, hookId: target.id, body: robotBody(alert.markdown) })
        }
      }
      if (filings.length > 0) await deliveries.file(filings)
    },

    /** Sends what is due now. */
    run: deliveries.run,
    /** Sends whatever comes due until the signal; what the job does. */
    serve: deliveries.serve,
    /** What is done each minute. */
    giveUp: deliveries.giveUp,
    /** Told by the people room. */
    erase: deliveries.erase,

    /** Webhooks that we switched off. */
    async dead(): Promise<{ id: string; name: string | null; reason: string }[]> {
      const found = await hooks.find({ enabled: false, disabledReason: { $ne: null } }).toArray()
      return found.map(({ _id, name, disabledReason }) => ({ id: _id, name, reason: disabledReason! }))
    },

    get: async (id: string): Promise<WebhookView> => view(await row(id)),

    page: (query: PageQuery, only: string[] | null): Promise<Page<WebhookView>> =>
      listPage<WebhookRow, WebhookView>(
        hooks,
        {
          // A caller of some accounts sees what concerns no others.
          filter: only === null ? {} : { accountIds: { $type: 'array', $not: { $elemMatch: { $nin: only } } } },
          query,
          sortable: ['createdAt'],
          defaultSort: 'createdAt'
        },
        view
      ),

    /** @throws UrlRefused, TooManyWebhooks */
    async create({ name = undefined, url, events, accountIds }: WebhookCreate) {
      const sealedUrl = checked(url)
      if ((await hooks.countDocuments({}, { limit: WEBHOOKS })) >= WEBHOOKS) throw new TooManyWebhooks(WEBHOOKS)
      const now = clock.now()
      const secret = freshSecret()
      const made: WebhookRow = {
        _id: newId(),
        name: name ?? null,
        sealedUrl,
        secrets: [{ sealed: sealer.seal(secret), until: null }],
        events,
        accountIds: accountIds ?? null,
        enabled: true,
        disabledReason: null,
        createdAt: now,
        updatedAt: now
      }
      await hooks.insertOne(made)
      cache = null
      return { ...(await view(made)), secret }
    },

    /** Switching it on again forgets what went wrong. @throws NoSuchWebhook, UrlRefused */
    async patch(id: string, { url, ...body }: WebhookPatch): Promise<WebhookView> {
      const set = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
      const sealedUrl = url === undefined ? undefined : checked(url)
      if (body.enabled === true || url !== undefined) await deliveries.heal(id)
      const changed = await hooks.findOneAndUpdate(
        { _id: id },
        {
          $set: {
            ...set,
            ...(sealedUrl !== undefined && { sealedUrl }),
            ...(body.enabled !== undefined && { disabledReason: null }),
            updatedAt: clock.now()
          }
        },
        { returnDocument: 'after' }
      )
      cache = null
      if (changed === null) throw new NoSuchWebhook()
      return view(changed)
    },

    /** @throws NoSuchWebhook */
    async remove(id: string): Promise<void> {
      const { deletedCount } = await hooks.deleteOne({ _id: id })
      cache = null
      if (deletedCount === 0) throw new NoSuchWebhook()
      await deliveries.drop(id)
    },

    /** A new secret; the one before signs beside it for a day. @throws NoSuchWebhook */
    async rotate(id: string): Promise<{ secret: string; oldUntil: Date }> {
      const { secrets } = await row(id)
      const secret = freshSecret()
      const now = clock.now()
      const oldUntil = new Date(now.getTime() + OVERLAP_MS)
      const [newest] = secrets
      const kept = newest === undefined ? [] : [{ ...newest, until: oldUntil }]
      const { matchedCount } = await hooks.updateOne(
        { _id: id, 'secrets.0.sealed': newest?.sealed ?? '' },
        { $set: { secrets: [{ sealed: sealer.seal(secret), until: null }, ...kept], updatedAt: now } }
      )
      cache = null
      if (matchedCount === 0) return this.rotate(id) // somebody else has just made one: this one comes after it
      return { secret, oldUntil }
    },

    deliveries: deliveries.page,

    /** Sends a piece of news that means nothing. @throws NoSuchWebhook */
    async test(id: string): Promise<DeliveryView> {
      const at = clock.now()
      const data = { hello: 'this is a test' }
      const body = JSON.stringify({ type: TEST_EVENT, timestamp: at.toISOString(), data })
      return tried(await deliveries.now({ ...testOf(id), body }))
    },

    /** The same for an alert target. @throws NotFound */
    async testTarget(id: string, markdown: string): Promise<DeliveryView> {
      await settings.target(id)
      return tried(await deliveries.now({ ...testOf(id), body: robotBody(markdown) }))
    }
  }
}

const NONE: ReadonlySet<WebhookEvent> = new Set()

const testOf = (hookId: string) => ({
  hookId,
  eventId: `test-${newId()}`,
  event: TEST_EVENT,
  accountId: null,
  personId: null
})

function tried(delivery: DeliveryView | null): DeliveryView {
  if (delivery === null) throw new NoSuchWebhook()
  return delivery
}

/** Is news about this account for it? What is about no account is for who listens to all. */
const concerns = ({ accountIds }: { accountIds: string[] | null }, accountId: string | null): boolean =>
  accountIds === null || (accountId !== null && accountIds.includes(accountId))

/** What a group robot of WeCom takes (developer.work.weixin.qq.com, group robots); it refuses more than 4,096 bytes. */
function robotBody(markdown: string): string {
  let content = markdown
  while (Buffer.byteLength(content) > 4_096) content = content.slice(0, -64)
  return JSON.stringify({ msgtype: 'markdown', markdown: { content } })
}

function webhookView(row: WebhookRow, url: string, { failingSince, lastSuccessAt }: HealthRow): WebhookView {
  const { _id, sealedUrl: _url, secrets: _secrets, ...rest } = row
  return { ...rest, id: _id, url, failingSince: failingSince ?? null, lastSuccessAt: lastSuccessAt ?? null }
}
