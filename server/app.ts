import type { FastifyInstance } from 'fastify'
import type { Connection } from 'mongoose'
import type { Dispatcher } from 'undici'
import { createAccounts, type Account } from './accounts/accounts.js'
import { targetOf } from './accounts/target.js'
import { accountRoutes } from './accounts/routes.js'
import { createVerify } from './accounts/verify.js'
import { createAudiences } from './audiences/audiences.js'
import { audienceRoutes } from './audiences/routes.js'
import { createCallbacks } from './callbacks/callbacks.js'
import { callbackRoutes } from './callbacks/routes.js'
import { createCampaigns } from './campaigns/campaigns.js'
import { createRehearsals } from './campaigns/rehearsals.js'
import { rehearsalRoutes } from './campaigns/rehearsal-routes.js'
import { campaignRoutes } from './campaigns/routes.js'
import { createCapture } from './capture/capture.js'
import { captureRoutes } from './capture/routes.js'
import type { Config } from './config.js'
import { createCredentials } from './credentials/credentials.js'
import { credentialRoutes } from './credentials/routes.js'
import { createEvents } from './events/events.js'
import { eventRoutes } from './events/routes.js'
import { createFollowers } from './followers/followers.js'
import { followerRoutes } from './followers/routes.js'
import { createDirect } from './messages/direct.js'
import { messageJobs } from './messages/jobs.js'
import { createMessages } from './messages/messages.js'
import { messageRoutes } from './messages/routes.js'
import { createOpens } from './opens/opens.js'
import { openRoutes } from './opens/routes.js'
import { createOperations } from './operations/operations.js'
import { operationRoutes } from './operations/routes.js'
import { createApiKeys } from './operators/api-keys.js'
import { createOperators } from './operators/operators.js'
import type { PasswordCost } from './operators/passwords.js'
import { operatorRoutes } from './operators/routes.js'
import { createImports } from './people/import/imports.js'
import { importRoutes } from './people/import/routes.js'
import { historyRoutes } from './people/history-routes.js'
import { createPeople } from './people/people.js'
import { peopleRoutes } from './people/routes.js'
import { createTimeline } from './people/timeline.js'
import { createWhyNot } from './people/why-not.js'
import { auditPlugin } from './platform/audit.js'
import { authPlugin } from './platform/auth.js'
import type { Clock } from './platform/clock.js'
import { installHealth, type Check } from './platform/health.js'
import { createHttp } from './platform/http.js'
import { idempotencyPlugin } from './platform/idempotency.js'
import { createJobs } from './platform/jobs.js'
import type { AppError } from './platform/errors.js'
import type { Log } from './platform/log.js'
import { openapiPlugin } from './platform/openapi.js'
import type { Sealer } from './platform/sealing.js'
import { createTokens } from './platform/tokens.js'
import { platformJobs } from './platforms/jobs.js'
import { createPlatforms } from './platforms/platforms.js'
import { createPlatformPushes } from './platforms/pushes.js'
import { platformRoutes } from './platforms/routes.js'
import { createReceipts, receiptJobs } from './receipts/receipts.js'
import { createSenders, SENDERS } from './senders/senders.js'
import { createRenderer } from './templates/content.js'
import { templateRoutes } from './templates/routes.js'
import { createTemplates } from './templates/templates.js'
import { createTesters } from './testers/testers.js'
import { testerRoutes } from './testers/routes.js'
import { triggerJobs } from './triggers/jobs.js'
import { waitRoutes } from './triggers/routes.js'
import { createTriggers } from './triggers/triggers.js'
import { VERSION } from './version.js'
import { createTokenCentre } from './wechat/access-token.js'
import { createWechatApi } from './wechat/api.js'
import { createWechatClient } from './wechat/client.js'
import { bySecret } from './wechat/token-calls.js'
import { quotaRoutes } from './wechat/quota-routes.js'
import { tokenRoutes } from './wechat/routes.js'

export type AppParts = {
  config: Pick<Config, 'apiBase' | 'publicUrl' | 'trustProxy'>
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  /** Between 0 and 1; only spreads things out, no secret hangs on it. */
  random: () => number
  /** Does this process run jobs and send? */
  works: boolean
  /** How slow guessing passwords is; quick in tests. */
  passwordCost?: PasswordCost
  /** How long a killed process keeps its jobs; shorter in tests. */
  lockLifetimeMs?: number
  /** Does it answer the API? Otherwise only /healthz and /readyz. */
  serves: boolean
  /** The largest file of people taken, in bytes; 256 MiB when not said. */
  importMaxBytes?: number
  /** Where requests to WeChat go instead of a pool of our own; a double in tests. */
  dispatcher?: Dispatcher
  /** More that must be right before /readyz says so. */
  checks?: Check[]
}

export type Rooms = Awaited<ReturnType<typeof buildRooms>>
export type App = Awaited<ReturnType<typeof buildApp>>

/** The rooms in the order of the flow; each is handed the ones it needs, so that this is the map of who knows whom. */
async function buildRooms(parts: AppParts, http: FastifyInstance) {
  const { db, clock, log, sealer, random, works, config } = parts

  const jobs = createJobs({
    db,
    clock,
    log,
    enabled: works,
    ...(parts.lockLifetimeMs !== undefined && { lockLifetimeMs: parts.lockLifetimeMs })
  })
  const tokens = createTokens({ jwt: http.jwt, clock })
  const operators = createOperators({
    db,
    clock,
    sealer,
    ...(parts.passwordCost && { passwordCost: parts.passwordCost })
  })
  const apiKeys = createApiKeys({ db, clock, sealer })
  const operations = createOperations({ db, clock, log })

  const accounts = createAccounts({ db, clock, sealer, apiBase: config.apiBase, publicUrl: config.publicUrl })
  const client = createWechatClient({ log, ...(parts.dispatcher && { dispatcher: parts.dispatcher }) })
  const platforms = createPlatforms({
    db,
    clock,
    log,
    sealer,
    random,
    accounts,
    client,
    apiBase: config.apiBase,
    publicUrl: config.publicUrl
  })
  // Two things take an app secret, tokens and logins: for accounts that gave us none, the platform sees to both.
  const withSecret = bySecret({ client, secretOf: accounts.secretOf })
  const tokenCentre = createTokenCentre({
    db,
    clock,
    seal: sealer,
    fetcher: async (target) => {
      const { connectedBy, appId } = await accounts.get(target.accountId)
      return connectedBy === 'qr' ? () => platforms.authorizations.nextToken(appId) : withSecret(target)
    },
    random,
    log,
    notice: (accountId, failure) =>
      void noteLogin(accountId, failure).catch((error: unknown) =>
        log.warn({ err: error, accountId }, 'what WeChat says to the account could not be noted')
      )
  })
  const wechat = createWechatApi({ client, tokens: tokenCentre })
  const logIn = async (account: Account, code: string) =>
    account.connectedBy === 'qr'
      ? platforms.authorizations.session(account.appId, code)
      : wechat.login.jscode2session(targetOf(account), await accounts.secretOf(account.id), code)
  const verify = createVerify({ accounts, wechat, look: platforms.authorizations.look })

  /** WeChat refuses the account's secret or this server's address, or takes them again: whoever looks is told. */
  async function noteLogin(accountId: string, failure: AppError | null): Promise<void> {
    const { connectedBy, functions, state } = await accounts.get(accountId)
    if (connectedBy === 'qr') return // what its administrator granted says more
    if (failure === null) return void (state === 'disabled' && (await verify(accountId)))
    await accounts.settle(accountId, { state: 'disabled', disabledReason: failure.message, functions })
  }

  const people = createPeople({ db, clock, sealer })
  const templates = createTemplates({ db, clock, log, accounts, wechat, jobs, operations })
  const credentials = createCredentials({ db, clock, sealer, grantType: templates.grantTypeOf })
  const senders = createSenders({ client, tokens: tokenCentre })
  const messages = createMessages({
    db,
    clock,
    log,
    sealer,
    random,
    accounts,
    people,
    credentials,
    senders,
    tokens: tokenCentre,
    publicUrl: config.publicUrl
  })
  const opens = createOpens({ clock, accounts, messages })
  const testers = createTesters({ db, clock, sealer, people })
  const renderer = createRenderer()
  const direct = createDirect({ clock, sealer, accounts, people, templates, credentials, messages, renderer })
  const events = createEvents({ db, clock, log, jobs, people })
  const audiences = createAudiences({ db, clock, people, events, credentials, templates })
  const { lists } = audiences
  const maxBytes = parts.importMaxBytes
  const imports = createImports({ db, clock, log, sealer, jobs, operations, accounts, people, lists, maxBytes })
  const campaigns = createCampaigns({ db, clock, log, jobs, accounts, people, templates, audiences, messages })
  const rehearsals = createRehearsals({
    db,
    clock,
    jobs,
    accounts,
    people,
    templates,
    credentials,
    messages,
    audiences,
    campaigns,
    testers,
    operations
  })
  const triggers = createTriggers({ db, clock, accounts, people, audiences, events, campaigns, messages })
  // One after another, each by what stands then: an older piece of news must not stop what a newer one let go on.
  let told: Promise<void> = Promise.resolve()
  platforms.authorizations.onChange((account, changed) => {
    const tell = async () => {
      if (changed) await tokenCentre.forget(account.id)
      const { paused } = await accounts.get(account.id)
      await messages.halt(account.id, paused)
    }
    return (told = told.then(tell, tell))
  })
  const platformPushes = createPlatformPushes({ clock, sealer, platforms, events })
  const receipts = createReceipts({ db, clock, sealer, people, messages })
  const followers = createFollowers({
    db,
    clock,
    log,
    sealer,
    accounts,
    people,
    wechat,
    jobs,
    operations,
    mint: credentials.mint
  })
  const callbacks = createCallbacks({
    clock,
    log,
    sealer,
    accounts,
    people,
    events,
    receipts,
    credentials,
    platformKeys: platforms.keys,
    grantTypeOf: templates.grantTypeOf,
    learnLater: followers.learnLater,
    said: testers.said
  })
  const capture = createCapture({ clock, accounts, people, credentials, events, opens, testers, tokens, logIn })

  return {
    jobs,
    tokens,
    operators,
    apiKeys,
    operations,
    accounts,
    client,
    platforms,
    platformPushes,
    tokenCentre,
    wechat,
    verify,
    people,
    templates,
    credentials,
    messages,
    opens,
    testers,
    direct,
    events,
    audiences,
    imports,
    campaigns,
    rehearsals,
    triggers,
    receipts,
    followers,
    callbacks,
    capture
  }
}

/**
 * The whole server as one value: rooms, routes and jobs, neither listening nor running yet.
 * `start` makes the indexes and begins the jobs; `stop` ends both, in that order reversed.
 */
export async function buildApp(parts: AppParts) {
  const { db, log, sealer, config } = parts
  const app = await createHttp({ log, tokenKey: sealer.derive('tokens'), trustProxy: config.trustProxy })
  const rooms = await buildRooms(parts, app)
  const { operators, apiKeys, jobs } = rooms

  installHealth(app, [
    { name: 'store', check: () => storeAnswers(db) },
    ...(parts.works ? [{ name: 'jobs', check: async () => (jobs.running() ? null : 'jobs are not running') }] : []),
    ...(parts.checks ?? [])
  ])
  if (parts.serves) await serveRooms(parts, app, rooms)

  return {
    app,
    rooms,
    async start(): Promise<void> {
      // Side by side: each makes its own indexes, and a fresh store should be ready in a blink.
      const { operations, accounts, people, templates, credentials, messages } = rooms
      const { platforms, testers, events, audiences, imports, campaigns, triggers, receipts, followers } = rooms
      const upstream = [operators, apiKeys, operations, accounts, platforms, people, templates, credentials, messages]
      await Promise.all(
        [...upstream, testers, events, audiences, imports, campaigns, triggers, receipts, followers].map((room) =>
          room.ready()
        )
      )
      if (parts.works) {
        await messageJobs({ jobs, messages, accounts })
        await receiptJobs({ jobs, receipts })
        await triggerJobs({ jobs, triggers })
        await platformJobs({ jobs, platforms })
        jobs.define('people.finish', async () => void (await people.finish()))
        await jobs.every(60_000, 'people.finish')
      }
      await app.ready()
      await jobs.start()
    },
    async stop(): Promise<void> {
      await app.close()
      await jobs.stop()
      await rooms.events.stop()
      await rooms.client.close()
    }
  }
}

async function serveRooms({ db, clock, sealer, config }: AppParts, app: FastifyInstance, rooms: Rooms): Promise<void> {
  const { operators, apiKeys, tokens, operations, accounts, platforms, people, templates } = rooms
  const { credentials, messages, direct, events, audiences, campaigns, followers, callbacks, capture } = rooms
  await app.register(authPlugin, { tokens, callers: { operator: operators.callerOf, machine: apiKeys.callerOf } })
  await app.register(auditPlugin, { db, clock })
  await app.register(idempotencyPlugin, { db, clock, sealer })
  await app.register(openapiPlugin, { version: VERSION, publicUrl: config.publicUrl })

  const secure = config.publicUrl.startsWith('https:')
  await app.register(operatorRoutes, {
    operators,
    apiKeys,
    tokens,
    clock,
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
    halt: rooms.messages.halt
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
  const history = { timeline: createTimeline({ clock, ...rooms }), whyNot: createWhyNot({ db, clock, ...rooms }) }
  await app.register(historyRoutes, { people, accounts, campaigns, ...history })
  await app.register(importRoutes, { imports: rooms.imports, accounts, operations })
  await app.register(templateRoutes, { templates, accounts, operations, people })
  await app.register(captureRoutes, { capture, accounts })
  await app.register(credentialRoutes, {
    credentials,
    accounts,
    sealer,
    keepFor: capture.keepFor
  })
  await app.register(messageRoutes, { messages, direct, accounts })
  await app.register(openRoutes, { opens: rooms.opens })
  await app.register(testerRoutes, { testers: rooms.testers, accounts })
  await app.register(eventRoutes, { events, people, accounts })
  await app.register(audienceRoutes, { audiences, accounts })
  await app.register(campaignRoutes, { campaigns, accounts })
  await app.register(rehearsalRoutes, { rehearsals: rooms.rehearsals, campaigns, operations })
  await app.register(waitRoutes, { triggers: rooms.triggers, campaigns })
  await app.register(followerRoutes, { followers, accounts, operations })
  await app.register(callbackRoutes, { callbacks, platform: rooms.platformPushes })
}

async function storeAnswers(db: Connection): Promise<string | null> {
  await db.getClient().db(db.name).command({ ping: 1 })
  return null
}
