import type { Connection } from 'mongoose'
import { CHANNELS } from '../../shared/channels.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { Operation, Operations } from '../operations/operations.js'
import type { PageQuery } from '../../shared/page.js'
import type { TemplateCreate, TemplateKind, TemplateView } from '../../shared/template.js'
import type { Clock } from '../platform/clock.js'
import { AppError, NotFound } from '../platform/errors.js'
import { mustMatch } from '../platform/etag.js'
import type { Jobs } from '../platform/jobs.js'
import type { Language } from '../platform/language.js'
import type { Log } from '../platform/log.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import type { WechatApi } from '../wechat/api.js'
import { expectOk } from '../wechat/expect-ok.js'
import { createAdding } from './adding.js'
import { createIndustries } from './industries.js'
import { createLibrary } from './library.js'
import type { LintProblem } from './lint.js'
import type { WordLists } from '../words/words.js'
import { createMirror, nothingFound, rowId, type SyncResult } from './mirror.js'
import { templateModels, type Drift, type TemplateRow } from './model.js'
import { lintMirrored } from './warnings.js'

/**
 * A template as the rooms use it. `choices`: the values an enum field may take, by key. `drift`: the alarm that stands.
 * `rev` grows with every change.
 */
export type Template = TemplateView & {
  choices: Record<string, string[]>
  drift: Drift | null
  drifts: Drift[]
  rev: number
}

/** How fresh the mirror is. `ageMs` null: never read yet. */
export type Freshness = { syncedAt: Date | null; ageMs: number | null; problem: string | null }

export type TemplateParts = {
  db: Connection
  clock: Clock
  log: Log
  accounts: Accounts
  wechat: WechatApi
  jobs: Jobs
  operations: Operations
  /** Without it new templates are held against the built-in words. */
  words?: Pick<WordLists, 'finders'>
}

/** WeChat's management calls have small daily quotas of their own: one reading a minute per account, whoever asks. */
const READ_EVERY_MS = 60_000
const REFRESH_MS = 3_600_000
const CACHE_MS = 5_000
const CACHE_SIZE = 2_000

/** The account has no such interface (any more: legacy messages closed in 2020): no failure of this reading. */
const CLOSED = new Set<unknown>([45103, 45109, 46101, 48001])

class NoSuchTemplate extends NotFound {
  constructor() {
    super('the account has no such template', { code: 'templates.not-found' })
  }
}

/** Message templates: they live on WeChat, and are mirrored here with their fields. */
export function createTemplates(parts: TemplateParts) {
  const { db, clock, log, accounts, wechat, jobs, operations } = parts
  const { rows, syncs, ensureIndexes } = templateModels(db)
  const cache = new Map<string, { template: Template | null; readAt: number }>()
  const reading = new Map<string, Promise<SyncResult>>()
  const mirror = createMirror({ rows, clock, wechat })
  const library = createLibrary({ wechat, accounts })
  const add = createAdding({ wechat, library, log, accounts })
  const industries = createIndustries({ wechat, accounts, clock, syncs })

  const syncJob: Parameters<Jobs['define']>[1] = async ({ data }) => {
    const operation = operations.resume(data.operationId)
    try {
      await operation.done(await sync(data.accountId))
    } catch (error) {
      await operation.failed(error)
      if (!(error instanceof AppError)) throw error
    }
  }
  // several accounts side by side: they wait for WeChat, not for us
  jobs.define('templates.sync', syncJob, { concurrency: 4 })
  jobs.define('templates.refresh', async ({ signal }) => {
    for (const account of await accounts.list()) {
      if (signal.aborted) return
      if (account.state === 'disabled') continue
      await sync(account.id).catch((error: unknown) =>
        log.warn({ err: error, accountId: account.id }, 'templates could not be read')
      )
    }
  })

  async function readAll(account: Account): Promise<SyncResult> {
    const triedAt = clock.now()
    const result = nothingFound()
    const problems: AppError[] = []
    const closed: AppError[] = []
    for (const kind of CHANNELS[account.kind]) {
      try {
        await mirror.read(account, kind, result)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        result.kinds[kind] = { problem: error.message }
        if (CLOSED.has(error.facts.errcode)) closed.push(error)
        else problems.push(error)
      }
    }
    cache.clear()
    const first = problems[0]
    await syncs.updateOne(
      { _id: account.id },
      { $set: { triedAt, problem: first?.message ?? null, ...(first === undefined && { syncedAt: triedAt }) } },
      { upsert: true }
    )
    const { added, changed, removed, drifted } = result
    if (added.length + changed.length + removed.length > 0) {
      log.info({ accountId: account.id, added, changed, removed }, 'templates changed on WeChat')
    }
    tellDrift(account.id, drifted)
    if (problems.length + closed.length === CHANNELS[account.kind].length) throw first ?? closed[0]!
    return result
  }

  function tellDrift(accountId: string, drifted: string[]): void {
    if (drifted.length > 0) log.warn({ accountId, drifted }, 'templates drifted: campaigns may rely on them')
  }

  /** Readings of one account by this process are shared. */
  async function sync(accountId: string): Promise<SyncResult> {
    const account = await accounts.get(accountId)
    const running = reading.get(account.id)
    if (running !== undefined) return running
    const fresh = readAll(account).finally(() => reading.delete(account.id))
    reading.set(account.id, fresh)
    return fresh
  }

  /** Reads again unless somebody, in any process, tried within the last minute. */
  async function freshen(accountId: string): Promise<void> {
    const running = reading.get(accountId)
    if (running !== undefined) return void (await running.catch(() => {}))
    const now = clock.now()
    const due = { _id: accountId, triedAt: { $lte: new Date(now.getTime() - READ_EVERY_MS) } }
    const turn = await syncs.updateOne(due, { $set: { triedAt: now } })
    if (turn.matchedCount === 0) {
      try {
        await syncs.insertOne({ _id: accountId, triedAt: now, syncedAt: null, problem: null })
      } catch (error) {
        if (isDuplicateKey(error)) return
        throw error
      }
    }
    await sync(accountId).catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error
      log.warn({ err: error, accountId }, 'templates could not be read; their mirror is served')
    })
  }

  async function freshness(accountId: string): Promise<Freshness> {
    const row = await syncs.findOne({ _id: accountId })
    const syncedAt = row?.syncedAt ?? null
    const ageMs = syncedAt === null ? null : Math.max(0, clock.now().getTime() - syncedAt.getTime())
    return { syncedAt, ageMs, problem: row?.problem ?? null }
  }

  async function stored(accountId: string, templateId: string): Promise<Template | null> {
    const row = await rows.findOne({ _id: rowId(accountId, templateId) })
    return row === null ? null : toTemplate(row)
  }

  /** The mirror's word, up to five seconds old; an unknown template is asked for on WeChat, at most once a minute. */
  async function find(accountId: string, templateId: string): Promise<Template | null> {
    const key = rowId(accountId, templateId)
    const now = clock.now().getTime()
    const cached = cache.get(key)
    if (cached !== undefined && Math.abs(now - cached.readAt) < CACHE_MS) return cached.template
    let template = await stored(accountId, templateId)
    if (template === null) {
      await freshen(accountId)
      template = await stored(accountId, templateId)
    }
    if (cache.size >= CACHE_SIZE) cache.clear()
    cache.set(key, { template, readAt: now })
    return template
  }

  return {
    /** Builds the indexes and sees to it that mirrors are read once an hour. */
    async ready(): Promise<void> {
      await ensureIndexes()
      await jobs.every(REFRESH_MS, 'templates.refresh')
    },

    /**
     * One template, also one deleted on WeChat (`state`), up to five seconds old. One we never saw is looked for on
     * WeChat first. @throws NotFound templates.not-found; NoSuchAccount
     */
    async get(idOrAppId: string, templateId: string): Promise<Template> {
      const account = await accounts.get(idOrAppId)
      const template = await find(account.id, templateId)
      if (template === null) throw new NoSuchTemplate()
      return template
    },

    /** An account's live templates. With `live` they are read from WeChat unless that was done within a minute. */
    async list(idOrAppId: string, { live = false } = {}): Promise<{ templates: Template[] } & Freshness> {
      const account = await accounts.get(idOrAppId)
      if (live) await freshen(account.id)
      const found = await rows.find({ accountId: account.id, state: 'live' }).sort({ title: 1, _id: 1 }).toArray()
      return { templates: found.map(toTemplate), ...(await freshness(account.id)) }
    },

    /** One page of the mirror. */
    page(
      filter: {
        accountIds: string[] | null
        kind?: TemplateKind | undefined
        /** Without it both. */
        state?: 'live' | 'deleted' | undefined
        /** true: only those with an alarm that stands. */
        drift?: boolean | undefined
      },
      query: PageQuery
    ): Promise<Page<Template>> {
      const where = {
        ...(filter.accountIds !== null && { accountId: { $in: filter.accountIds } }),
        ...(filter.kind !== undefined && { kind: filter.kind }),
        ...(filter.state !== undefined && { state: filter.state }),
        ...(filter.drift !== undefined && { drift: filter.drift ? { $ne: null } : null })
      }
      const options = { filter: where, query, sortable: ['title', 'syncedAt'], defaultSort: 'title' }
      return listPage<TemplateRow, Template>(rows, options, toTemplate)
    },

    freshen,
    freshness,

    /** Reads all kinds from WeChat now. @throws AppError when none could be read */
    sync,

    /** The same as long work to be watched. */
    async startSync(idOrAppId: string): Promise<Operation> {
      const account = await accounts.get(idOrAppId)
      const operation = await operations.start('templates.sync', undefined, account.id)
      await jobs.now('templates.sync', { operationId: operation.id, accountId: account.id })
      return operation
    },

    /**
     * Adds a template to the account on WeChat; `problems` is what the audit rules hold against it all the same.
     * @throws InvalidInput naming the field, before WeChat is asked or as WeChat answers; Conflict templates.too-many
     */
    async create(body: TemplateCreate, language: Language = 'en'): Promise<Template & { problems: LintProblem[] }> {
      const account = await accounts.get(body.accountId)
      const templateId = await add(account, body)
      const found = nothingFound()
      await mirror
        .read(account, body.kind, found)
        .catch((error: unknown) =>
          log.warn({ err: error, accountId: account.id, templateId }, 'a new template could not be read back')
        )
      tellDrift(account.id, found.drifted)
      cache.clear()
      const template = await stored(account.id, templateId)
      if (template === null) {
        // It exists on WeChat all the same; the next reading fills in its text.
        const bare = { templateId, kind: body.kind, title: body.titleId, fields: [], content: '', example: '' }
        await mirror.insert(account.id, { ...bare, grantType: null, choices: {} }, clock.now())
        return { ...(await stored(account.id, templateId))!, problems: [] }
      }
      const otherTitles = await titlesOf(account.id, templateId)
      const marketing = parts.words === undefined ? {} : { marketing: (await parts.words.finders()).marketingWords }
      return { ...template, problems: lintMirrored(template, { otherTitles, language, ...marketing }) }
    },

    /** The titles of an account's live templates. */
    titlesOf: (accountId: string) => titlesOf(accountId),

    /** How many alarms stand for an account. */
    drifts: (accountId: string): Promise<number> => rows.countDocuments({ accountId, drift: { $ne: null } }),

    /** Somebody knows of the drift: its alarm is taken down. @throws NotFound */
    async acknowledge(idOrAppId: string, templateId: string): Promise<void> {
      const account = await accounts.get(idOrAppId)
      if ((await stored(account.id, templateId)) === null) throw new NoSuchTemplate()
      await mirror.acknowledge(rowId(account.id, templateId))
      cache.clear()
    },

    /** Deletes it on WeChat; the mirror keeps it as deleted. @throws NotFound; PreconditionFailed by If-Match */
    async remove(idOrAppId: string, templateId: string, ifMatch?: string): Promise<void> {
      const account = await accounts.get(idOrAppId)
      const template = await find(account.id, templateId)
      if (template === null) throw new NoSuchTemplate()
      if (ifMatch !== undefined) mustMatch(ifMatch, (await stored(account.id, templateId))?.rev ?? 0)
      const target = targetOf(account)
      const row = { _id: rowId(account.id, templateId) }
      await mirror.removing(row)
      const answer = await {
        legacy: () => wechat.legacy.del(target, templateId),
        subscribe: () => wechat.subscribe.delTemplate(target, templateId),
        service: () => wechat.service.delPrivateTemplate(target, templateId)
      }[template.kind]()
      // 40037: gone already, which is what was asked for
      const gone = answer.kind === 'answer' && (answer.errcode === 0 || answer.errcode === 40037)
      // Without an answer it may be gone: the next reading tells, and it is no drift.
      if (!gone && answer.kind !== 'noAnswer') await mirror.staying(row)
      if (!gone) expectOk<object>(answer)
      await mirror.removed(row)
      cache.clear()
    },

    /**
     * What an accept of this template is worth; null: WeChat knows no such template to subscribe to. While the mirror
     * could not be read the unknown counts as one-time, so that no right is refused for our own failure.
     */
    async grantTypeOf(accountId: string, templateId: string): Promise<'once' | 'longTerm' | null> {
      const template = await find(accountId, templateId)
      if (template !== null) return template.grantType
      const { syncedAt, problem } = await freshness(accountId)
      return syncedAt === null || problem !== null ? 'once' : null
    },

    ...library,
    industries: industries.industries,

    /** As `setIndustries` of the industries; `removed` are the templates that WeChat deleted for it. */
    async setIndustries(idOrAppId: string, wanted: { primary: string; secondary: string }) {
      const { id } = await accounts.get(idOrAppId)
      const now = await industries.setIndustries(id, wanted)
      const removed = await sync(id).then(
        (found) => found.removed,
        (error: unknown) => {
          log.warn({ err: error, accountId: id }, 'templates could not be read after the industries changed')
          return []
        }
      )
      return { ...now, removed }
    }
  }

  async function titlesOf(accountId: string, except?: string): Promise<string[]> {
    const live = await rows
      .find({ accountId, state: 'live' })
      .project<Pick<TemplateRow, 'templateId' | 'title'>>({ templateId: 1, title: 1 })
      .toArray()
    return live.filter((row) => row.templateId !== except).map((row) => row.title)
  }
}
export type Templates = ReturnType<typeof createTemplates>

const toTemplate = (row: TemplateRow): Template => ({
  templateId: row.templateId,
  accountId: row.accountId,
  kind: row.kind,
  title: row.title,
  fields: row.fields,
  content: row.content,
  example: row.example,
  grantType: row.grantType,
  choices: row.choices ?? {},
  state: row.state,
  syncedAt: row.syncedAt,
  deletedAt: row.deletedAt,
  drift: row.drift ?? null,
  drifts: row.drifts ?? [],
  rev: row.rev ?? 0
})

/** A template as REST shows it in lists. */
export function templateView(template: Template) {
  const { drifts: _drifts, rev: _rev, ...view } = template
  return view
}
