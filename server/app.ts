import type { FastifyInstance } from 'fastify'
import type { Connection } from 'mongoose'
import { accountRoutes } from './accounts/routes.js'
import { alertJobs } from './alerts/jobs.js'
import { alertRoutes } from './alerts/routes.js'
import { testMarkdown } from './alerts/texts.js'
import { audienceRoutes } from './audiences/routes.js'
import { breakerJobs } from './breakers/jobs.js'
import { breakerRoutes } from './breakers/routes.js'
import { callbackRoutes } from './callbacks/routes.js'
import { rehearsalRoutes } from './campaigns/rehearsal-routes.js'
import { knockRoutes } from './callbacks/knock.js'
import { campaignRoutes } from './campaigns/routes.js'
import { captureRoutes } from './capture/routes.js'
import { consoleRoutes } from './console/console.js'
import { credentialRoutes } from './credentials/routes.js'
import { eventRoutes } from './events/routes.js'
import { followerRoutes } from './followers/routes.js'
import { gaugeChecks } from './metrics/gauges.js'
import { metricsRoutes } from './metrics/routes.js'
import { messageJobs } from './messages/jobs.js'
import { messageRoutes } from './messages/routes.js'
import { openRoutes } from './opens/routes.js'
import { operationRoutes } from './operations/routes.js'
import { operatorRoutes } from './operators/routes.js'
import { createPersonExport } from './people/export.js'
import { importRoutes } from './people/import/routes.js'
import { historyRoutes } from './people/history-routes.js'
import { peopleRoutes } from './people/routes.js'
import { createTimeline } from './people/timeline.js'
import { createWhyNot } from './people/why-not.js'
import { auditPlugin } from './platform/audit.js'
import { authPlugin } from './platform/auth.js'
import { installHealth } from './platform/health.js'
import { createHttp } from './platform/http.js'
import { idempotencyPlugin } from './platform/idempotency.js'
import { openapiPlugin } from './platform/openapi.js'
import { createRateLimits } from './platform/rate-limits.js'
import { migrate } from './platform/migrations.js'
import { platformJobs } from './platforms/jobs.js'
import { platformRoutes } from './platforms/routes.js'
import { receiptJobs } from './receipts/receipts.js'
import { reportJobs } from './reports/jobs.js'
import { reportRoutes } from './reports/routes.js'
import { createSystem } from './reports/system.js'
import { streamRoute } from './reports/stream-route.js'
import { resealingJobs } from './resealing/jobs.js'
import { createResealing } from './resealing/resealing.js'
import { SENDERS } from './senders/senders.js'
import { settingsRoutes } from './settings/routes.js'
import { templateRoutes } from './templates/routes.js'
import { testerRoutes } from './testers/routes.js'
import { triggerJobs } from './triggers/jobs.js'
import { waitRoutes } from './triggers/routes.js'
import { tryoutRoutes } from './tryout/routes.js'
import { VERSION } from './version.js'
import { wordListRoutes } from './words/routes.js'
import { webhookJobs } from './webhooks/jobs.js'
import { webhookRoutes } from './webhooks/routes.js'
import { quotaRoutes } from './wechat/quota-routes.js'
import { tokenRoutes } from './wechat/routes.js'
import { buildRooms, type AppParts, type Rooms } from './rooms.js'

export type App = Awaited<ReturnType<typeof buildApp>>

/**
 * The whole server as one value: rooms, routes and jobs, neither listening nor running yet.
 * `start` makes the indexes and begins the jobs; `stop` ends both, in that order reversed.
 */
export async function buildApp(parts: AppParts) {
  const { db, clock, log, sealer, config } = parts
  const app = await createHttp({ log, tokenKey: sealer.derive('tokens'), trustProxy: config.trustProxy })
  const rooms = await buildRooms(parts, app)
  const { operators, apiKeys, jobs } = rooms

  let started = false
  const checks = [
    { name: 'store', check: () => storeAnswers(db) },
    { name: 'start', check: async () => (started ? null : 'migrations and indexes are under way') },
    ...(parts.works ? [{ name: 'jobs', check: async () => jobs.fault() }] : []),
    ...(parts.checks ?? [])
  ]
  installHealth(app, checks)
  gaugeChecks(rooms.metrics, checks)
  if (parts.serves) await serveRooms(parts, app, rooms)

  return {
    app,
    rooms,
    async start(): Promise<void> {
      await migrate({ db, clock, log })
      // Side by side: each makes its own indexes, and a fresh store should be ready in a blink.
      const { operations, accounts, people, templates, credentials, messages } = rooms
      const { platforms, testers, events, audiences, imports, campaigns, triggers, receipts, followers } = rooms
      const upstream = [operators, apiKeys, operations, accounts, platforms, people, templates, credentials, messages]
      await Promise.all(
        [
          ...upstream,
          rooms.breakers,
          rooms.webhooks,
          rooms.alerts,
          testers,
          events,
          audiences,
          imports,
          campaigns,
          triggers,
          receipts,
          followers
        ].map((room) => room.ready())
      )
      if (parts.works) {
        await messageJobs({ jobs, messages, accounts })
        await breakerJobs({ jobs, breakers: rooms.breakers })
        await receiptJobs({ jobs, receipts })
        await triggerJobs({ jobs, triggers })
        await reportJobs({ jobs, reports: rooms.reports })
        await platformJobs({ jobs, platforms })
        const { webhooks, alerts, watch, campaignNews } = rooms
        await alertJobs({ jobs, watch })
        await webhookJobs({ jobs, webhooks, collect: [alerts.publish, campaignNews] })
        await resealingJobs({ jobs, resealing: createResealing(parts) })
        jobs.define('people.finish', async () => void (await people.finish()))
        await jobs.every(60_000, 'people.finish')
      }
      await app.ready()
      await jobs.start()
      if (parts.serves) await rooms.tryout.wake()
      started = true
    },
    async stop(): Promise<void> {
      await app.close()
      await jobs.stop()
      await rooms.tryout.stop()
      await rooms.events.stop()
      await rooms.client.close()
      await rooms.outside.close()
    }
  }
}

async function serveRooms(parts: AppParts, app: FastifyInstance, rooms: Rooms): Promise<void> {
  const { db, clock, sealer, config, consolePlace } = parts
  const { operators, apiKeys, tokens, operations, accounts, platforms, people, templates } = rooms
  const { credentials, messages, direct, events, audiences, campaigns, followers, callbacks, capture } = rooms
  const limits = createRateLimits({ db, clock, ...(config.rateLimits && { limits: config.rateLimits }) })
  app.addHook('onReady', () => limits.ready())
  const callers = { operator: operators.callerOf, machine: apiKeys.callerOf }
  await app.register(authPlugin, { tokens, callers, limits })
  await app.register(auditPlugin, { db, clock })
  await app.register(idempotencyPlugin, { db, clock, sealer })
  await app.register(openapiPlugin, { version: VERSION, publicUrl: config.publicUrl })
  await app.register(metricsRoutes, { metrics: rooms.metrics })

  const secure = config.publicUrl.startsWith('https:')
  await app.register(operatorRoutes, {
    operators,
    apiKeys,
    tokens,
    db,
    secure,
    accountId: async (name) => (await accounts.get(name)).id
  })
  await app.register(operationRoutes, { operations })
  await app.register(accountRoutes, {
    accounts,
    verify: rooms.verify,
    forgetToken: rooms.tokenCentre.forget,
    letGo: platforms.authorizations.letGo,
    halt: rooms.messages.halt,
    loosen: rooms.messages.loosen
  })
  await app.register(platformRoutes, { platforms, accounts })
  await app.register(tokenRoutes, { accounts, tokens: rooms.tokenCentre })
  await app.register(quotaRoutes, {
    accounts,
    quota: rooms.wechat.quota,
    paths: { legacy: SENDERS.legacy.path, subscribe: SENDERS.subscribe.path, service: SENDERS.service.path },
    cleared: rooms.messages.budget.cleared
  })
  await app.register(peopleRoutes, { people, accounts })
  const timeline = createTimeline({ clock, ...rooms })
  const exporter = createPersonExport({ clock, sealer, ...rooms, timeline })
  const history = { timeline, exporter, whyNot: createWhyNot({ db, clock, ...rooms }) }
  await app.register(historyRoutes, { people, accounts, campaigns, ...history })
  await app.register(importRoutes, { imports: rooms.imports, accounts, operations })
  await app.register(templateRoutes, { templates, accounts, operations, people, words: rooms.words })
  await app.register(captureRoutes, { capture, accounts })
  await app.register(credentialRoutes, {
    credentials,
    accounts,
    sealer,
    keepFor: capture.keepFor
  })
  await app.register(messageRoutes, { messages, direct, accounts, people })
  await app.register(knockRoutes, { accounts, clock })
  await app.register(openRoutes, { opens: rooms.opens })
  await app.register(testerRoutes, { testers: rooms.testers, accounts })
  await app.register(eventRoutes, { events, people, accounts })
  await app.register(audienceRoutes, { audiences, accounts })
  await app.register(campaignRoutes, { campaigns, accounts })
  await app.register(breakerRoutes, { breakers: rooms.breakers, accounts })
  await app.register(wordListRoutes, { words: rooms.words })
  await app.register(rehearsalRoutes, { rehearsals: rooms.rehearsals, campaigns, operations })
  await app.register(waitRoutes, { triggers: rooms.triggers, campaigns })
  const system = createSystem({ db, clock, publicUrl: config.publicUrl, accounts })
  await app.register(reportRoutes, { reports: rooms.reports, campaigns, accounts, system })
  await app.register(streamRoute, { reports: rooms.reports, accounts })
  await app.register(followerRoutes, { followers, accounts, operations })
  await app.register(settingsRoutes, {
    settings: rooms.settings,
    accounts,
    changed: rooms.webhooks.changed,
    tryTarget: async (id) => rooms.webhooks.testTarget(id, testMarkdown((await rooms.settings.get()).language)),
    deliveries: (id, query) => rooms.webhooks.deliveries(id, {}, query)
  })
  await app.register(webhookRoutes, { webhooks: rooms.webhooks, accounts })
  await app.register(alertRoutes, { alerts: rooms.alerts, accounts })
  await app.register(callbackRoutes, { callbacks, platform: rooms.platformPushes })
  await app.register(tryoutRoutes, { tryout: rooms.tryout })
  await app.register(consoleRoutes, consolePlace === undefined ? {} : { places: [consolePlace] })
}

async function storeAnswers(db: Connection): Promise<string | null> {
  await db.getClient().db(db.name).command({ ping: 1 })
  return null
}
