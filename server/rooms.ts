import type { FastifyInstance } from 'fastify'
import type { Connection } from 'mongoose'
import type { Dispatcher } from 'undici'
import { createAccounts, type Account } from './accounts/accounts.js'
import { targetOf } from './accounts/target.js'
import { createVerify } from './accounts/verify.js'
import { createAlerts } from './alerts/alerts.js'
import { createWatch } from './alerts/watch.js'
import { createAudiences } from './audiences/audiences.js'
import { createBreakers } from './breakers/breakers.js'
import { createCallbacks } from './callbacks/callbacks.js'
import { createRelay } from './callbacks/relay.js'
import { createCampaigns } from './campaigns/campaigns.js'
import { createCampaignNews } from './campaigns/news.js'
import { createRehearsals } from './campaigns/rehearsals.js'
import { createCapture } from './capture/capture.js'
import type { Config } from './config.js'
import { createCredentials } from './credentials/credentials.js'
import { createEvents } from './events/events.js'
import { createFollowers } from './followers/followers.js'
import { createDirect } from './messages/direct.js'
import { createMessages } from './messages/messages.js'
import { gaugeAccounts } from './metrics/gauges.js'
import { measureCallbacks, measureCredentials, measureHttp, measureJobs, measureSenders } from './metrics/measure.js'
import { createMetrics } from './metrics/metrics.js'
import { createOpens } from './opens/opens.js'
import { createOperations } from './operations/operations.js'
import { createApiKeys } from './operators/api-keys.js'
import { createOperators } from './operators/operators.js'
import type { PasswordCost } from './operators/passwords.js'
import { createImports } from './people/import/imports.js'
import { createPeople } from './people/people.js'
import type { Clock } from './platform/clock.js'
import { type Check } from './platform/health.js'
import { createJobs } from './platform/jobs.js'
import type { AppError } from './platform/errors.js'
import type { Log } from './platform/log.js'
import type { Sealer } from './platform/sealing.js'
import { createTokens } from './platform/tokens.js'
import { createPlatforms } from './platforms/platforms.js'
import { createPlatformPushes } from './platforms/pushes.js'
import { createReceipts } from './receipts/receipts.js'
import { createReports } from './reports/reports.js'
import { createSenders } from './senders/senders.js'
import { createRenderer } from './templates/content.js'
import { createSettings } from './settings/settings.js'
import { createTemplates } from './templates/templates.js'
import { createTesters } from './testers/testers.js'
import { createTriggers } from './triggers/triggers.js'
import { createTryout } from './tryout/tryout.js'
import { createOutside } from './webhooks/outside.js'
import { createWebhooks } from './webhooks/webhooks.js'
import { createWordLists } from './words/words.js'
import { createTokenCentre } from './wechat/access-token.js'
import { createWechatApi } from './wechat/api.js'
import { createWechatClient } from './wechat/client.js'
import { bySecret } from './wechat/token-calls.js'

export type AppParts = {
  config: Pick<Config, 'apiBase' | 'publicUrl' | 'trustProxy'> & Partial<Pick<Config, 'webhookAllow' | 'rateLimits'>>
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
  /** Where the built console lies; found by itself when not said. */
  consolePlace?: URL
  /** Where requests to WeChat go instead of a pool of our own; a double in tests. */
  dispatcher?: Dispatcher
  /** More that must be right before /readyz says so. */
  checks?: Check[]
}

export type Rooms = Awaited<ReturnType<typeof buildRooms>>

/** The rooms in the order of the flow; each is handed the ones it needs, so that this is the map of who knows whom. */
export async function buildRooms(parts: AppParts, http: FastifyInstance) {
  const { db, clock, log, sealer, random, works, config } = parts

  const metrics = createMetrics()
  measureHttp(http, metrics)
  const jobs = measureJobs(
    createJobs({
      db,
      clock,
      log,
      enabled: works,
      ...(parts.lockLifetimeMs !== undefined && { lockLifetimeMs: parts.lockLifetimeMs })
    }),
    metrics
  )
  const tokens = createTokens({ jwt: http.jwt, clock })
  const operators = createOperators({
    db,
    clock,
    sealer,
    ...(parts.passwordCost && { passwordCost: parts.passwordCost })
  })
  const apiKeys = createApiKeys({ db, clock, sealer })
  const operations = createOperations({ db, clock, log })

  const outside = createOutside({ allow: config.webhookAllow ?? [] })
  const accounts = createAccounts({
    db,
    clock,
    sealer,
    apiBase: config.apiBase,
    publicUrl: config.publicUrl,
    urlFault: outside.fault
  })
  const settings = createSettings({ db, clock, sealer, urlFault: outside.fault })
  const webhooks = createWebhooks({ db, clock, log, sealer, random, outside, settings })
  const accountName = async (id: string) => (await accounts.get(id).catch(() => null))?.name ?? null
  const alerts = createAlerts({ db, clock, log, settings, webhooks, accountName })
  const words = createWordLists({ db, clock })
  const breakers = createBreakers({ db, clock, log, accounts })
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
      ),
    rests: (accountId, { until, forcesSpent }) =>
      void alerts
        .raise('account', { accountId, name: 'tokens refused' }, { until: until.toISOString(), forcesSpent })
        .catch((error: unknown) => log.warn({ err: error, accountId }, 'an alert could not be raised'))
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
  const templates = createTemplates({ db, clock, log, accounts, wechat, jobs, operations, words })
  const credentials = measureCredentials(
    createCredentials({ db, clock, sealer, grantType: templates.grantTypeOf }),
    metrics
  )
  const senders = measureSenders(createSenders({ client, tokens: tokenCentre }), metrics)
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
    breakers,
    words,
    alerts,
    webhooks,
    publicUrl: config.publicUrl
  })
  gaugeAccounts({ metrics, clock, log, accounts, messages })
  people.onErase(({ personIds }) => webhooks.erase(personIds))
  const opens = createOpens({ clock, accounts, messages })
  const testers = createTesters({ db, clock, sealer, people })
  const renderer = createRenderer()
  const direct = createDirect({
    clock,
    sealer,
    accounts,
    people,
    templates,
    credentials,
    messages,
    renderer,
    words
  })
  const events = createEvents({ db, clock, log, jobs, people })
  const audiences = createAudiences({ db, clock, random, people, events, credentials, templates })
  const { lists } = audiences
  const maxBytes = parts.importMaxBytes
  const imports = createImports({ db, clock, log, sealer, jobs, operations, accounts, people, lists, maxBytes })
  const campaigns = createCampaigns({
    db,
    clock,
    log,
    jobs,
    accounts,
    people,
    templates,
    audiences,
    credentials,
    messages,
    breakers,
    words
  })
  // After the campaigns, which follow breakers themselves: rows of a run that is paused would not be looked at.
  breakers.onChange(messages.letTry)
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
    operations,
    breakers,
    words
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
  const reports = createReports({ clock, log, accounts, campaigns, messages })
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
  const callbacks = measureCallbacks(
    createCallbacks({
      clock,
      log,
      sealer,
      accounts,
      people,
      events,
      receipts,
      credentials,
      platformKeys: platforms.keys,
      relay: createRelay({
        log,
        outside,
        trouble: (accountId, reason) => alerts.raise('account', { accountId, name: 'relay' }, { reason })
      }),
      grantTypeOf: templates.grantTypeOf,
      learnLater: followers.learnLater,
      said: testers.said
    }),
    metrics
  )
  const campaignNews = createCampaignNews({ rows: campaigns.rows, webhooks })
  const watch = createWatch({
    clock,
    log,
    settings,
    alerts,
    webhooks,
    accounts,
    messages,
    credentials,
    templates,
    platforms,
    breakers: breakers.list
  })
  const capture = createCapture({ clock, accounts, people, credentials, events, opens, testers, tokens, logIn })
  const { keepFor } = capture
  const tryout = createTryout({
    db,
    clock,
    log,
    random,
    accounts,
    templates,
    people,
    followers,
    events,
    audiences,
    campaigns,
    keepFor
  })

  return {
    metrics,
    jobs,
    tokens,
    operators,
    apiKeys,
    operations,
    accounts,
    words,
    breakers,
    outside,
    settings,
    webhooks,
    alerts,
    watch,
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
    campaignNews,
    rehearsals,
    triggers,
    receipts,
    reports,
    followers,
    callbacks,
    capture,
    tryout
  }
}
