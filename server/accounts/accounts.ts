import type { Connection } from 'mongoose'
import type { AccountCreate, AccountPatch, AccountView, Interface } from '../../shared/account.js'
import { ZONE } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { Penalty } from '../../shared/penalty.js'
import type { Clock } from '../platform/clock.js'
import { mustMatch } from '../platform/etag.js'
import { newId, randomToken } from '../platform/ids.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import { PreconditionFailed } from '../platform/errors.js'
import type { Sealer } from '../platform/sealing.js'
import { createAccountOf, type Account } from './account.js'
import { apiBaseFault, isHttp } from './api-base.js'
import { AccountExists, ApiBaseRefused, KeyNeeded, NoSuchAccount, RelayRefused, SecretNeeded } from './errors.js'
import { accountModel, type AccountRow, type Block } from './model.js'
import { afterAnswer } from './penalty.js'
import type { Authorizer } from './permissions.js'

export { accountView, type Account } from './account.js'

/** What a probe of WeChat found out about an account. */
export type Findings = Pick<AccountView, 'state' | 'disabledReason' | 'functions'>

/** An account as its administrator's consent describes it. */
export type Consent = {
  kind: AccountView['kind']
  appId: string
  name: string
  /** Permission sets granted, by number. */
  permissions: number[]
  authorizer: Authorizer
  mode: AccountView['mode']
  /** null: the installation's own default. */
  apiBase: string | null
}

export type Accounts = ReturnType<typeof createAccounts>

const CACHE_MS = 1_000
/** The accounts room: mini-programs and service accounts, their settings and their sealed secrets. */
export function createAccounts({
  db,
  clock,
  sealer,
  apiBase,
  publicUrl,
  urlFault = () => null
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  /** Where accounts without an apiBase of their own send: `https://api.weixin.qq.com` or a sandbox. */
  apiBase: string
  /** What the outside calls this server: the start of callback urls. */
  publicUrl: string
  /** What speaks against sending to an address somebody names; null: nothing. */
  urlFault?: (url: string) => string | null
}) {
  const model = accountModel(db)
  const cache = new Map<string, { account: Account; readAt: number }>()

  const toAccount = createAccountOf({ clock, sealer, apiBase, publicUrl })

  const byIdOrAppId = (idOrAppId: string) => (idOrAppId.startsWith('wx') ? { appId: idOrAppId } : { _id: idOrAppId })

  async function row(idOrAppId: string): Promise<AccountRow> {
    const found = await model.findOne(byIdOrAppId(idOrAppId)).lean<AccountRow>()
    if (found === null) throw new NoSuchAccount()
    return found
  }

  /** Changes what is no setting of the caller's: no new revision, so that no operator's edit is refused for it. */
  async function note(id: string, set: Record<string, unknown>): Promise<void> {
    cache.clear()
    const { matchedCount } = await model.collection.updateOne({ _id: id as never }, { $set: set })
    cache.clear()
    if (matchedCount === 0) throw new NoSuchAccount()
  }

  async function change(id: string, set: Record<string, unknown>, ifMatch?: string): Promise<Account> {
    const seen = await row(id)
    mustMatch(ifMatch, seen.rev)
    const changed = await model
      .findOneAndUpdate(
        { _id: seen._id, ...(ifMatch !== undefined && { rev: seen.rev }) },
        { $set: { ...set, updatedAt: clock.now() }, $inc: { rev: 1 } },
        { returnDocument: 'after', lean: true }
      )
      .exec()
    cache.clear()
    if (changed === null) throw new PreconditionFailed('it was changed since you read it')
    return toAccount(changed as AccountRow)
  }

  /** @throws ApiBaseRefused, RelayRefused */
  function checkUrls(mode: AccountView['mode'], base: string | null | undefined, relayTo?: string | null): void {
    const fault = base === null || base === undefined ? null : apiBaseFault(mode, base, apiBase)
    if (fault !== null) throw new ApiBaseRefused(fault)
    if (relayTo === undefined || relayTo === null) return
    if (!isHttp(new URL(relayTo))) throw new RelayRefused('is a http or https URL without a user name')
    if (relayTo.startsWith(`${publicUrl}/callback/`)) throw new RelayRefused('is a push address of this server itself')
    const why = urlFault(relayTo)
    if (why !== null) throw new RelayRefused(why)
  }

  const freshRow = (body: Omit<AccountCreate, 'secret'>, sealedSecret: string): AccountRow => {
    const now = clock.now()
    const { callback } = body
    return {
      _id: newId(),
      appId: body.appId,
      kind: body.kind,
      mode: body.mode,
      name: body.name,
      sealedSecret,
      connectedBy: 'secret',
      authorizer: null,
      apiBase: body.apiBase ?? null,
      tokenApi: body.tokenApi ?? 'stable',
      zone: body.zone ?? ZONE,
      // Ready until proven otherwise: WeChat being away for a moment must not keep an account from working.
      state: 'ready',
      disabledReason: null,
      paused: false,
      sources: body.sources ?? {},
      limits: body.limits ?? {},
      caps: body.caps ?? {},
      capture: body.capture ?? {},
      quietHours: body.quietHours ?? null,
      serviceWindow: body.serviceWindow ?? { bulk: true, transactional: false },
      reserveForTransactional: body.reserveForTransactional ?? 0,
      grantsFrom: body.grantsFrom ?? (body.kind === 'miniprogram' ? 'phone' : 'events'),
      testLadder: body.testLadder ?? 'off',
      breaker: body.breaker ?? {},
      callback: {
        sealedToken: sealer.seal(callback?.token ?? randomToken(18).replace(/[-_]/g, '0')),
        sealedAesKey: callback?.aesKey === undefined ? null : sealer.seal(callback.aesKey),
        mode: callback?.mode ?? 'plain',
        format: callback?.format ?? 'xml',
        relayTo: callback?.relayTo ?? null,
        lastReceivedAt: null
      },
      permissions: [],
      functions: {},
      penalty: null,
      blocked: {},
      sharedUntil: null,
      verifiedAt: null,
      rev: 1,
      createdAt: now,
      updatedAt: now
    }
  }

  return {
    /** Makes the indexes. */
    async ready(): Promise<void> {
      await model.createIndexes()
    },

    /** By our id or the appId; up to a second old. @throws NoSuchAccount */
    async get(idOrAppId: string): Promise<Account> {
      const now = clock.now().getTime()
      const known = cache.get(idOrAppId)
      if (known !== undefined && Math.abs(now - known.readAt) < CACHE_MS) return known.account
      const account = toAccount(await row(idOrAppId))
      cache.set(idOrAppId, { account, readAt: now })
      return account
    },

    /** All of them, oldest first. */
    async list(): Promise<Account[]> {
      return (await model.find().sort({ createdAt: 1, _id: 1 }).lean<AccountRow[]>()).map(toAccount)
    },

    /** One page; `only` narrows it to the accounts a caller may see. */
    page(query: PageQuery, only: string[] | null): Promise<Page<Account>> {
      const filter = only === null ? {} : { _id: { $in: only } }
      const options = { filter, query, sortable: ['createdAt', 'name'], defaultSort: '-createdAt' }
      return listPage<AccountRow, Account>(model.collection, options, toAccount)
    },

    /** @throws AccountExists when the appId is connected already; ApiBaseRefused, RelayRefused, KeyNeeded */
    async create(body: AccountCreate): Promise<Account> {
      checkUrls(body.mode, body.apiBase, body.callback?.relayTo)
      if (isSealed(body.callback?.mode) && body.callback?.aesKey === undefined) throw new KeyNeeded()
      const fresh = freshRow(body, sealer.seal(body.secret))
      try {
        await model.collection.insertOne(fresh as never)
      } catch (error) {
        if (isDuplicateKey(error)) throw new AccountExists(body.appId)
        throw error
      }
      cache.clear()
      return toAccount(fresh)
    },

    /**
     * Connects an account by its administrator's consent, or brings one that is here already up to what was consented
     * now; its settings stay. Repeatable. `changed`: it is new, was connected by its secret, or had been withdrawn.
     */
    async consent(given: Consent): Promise<{ account: Account; changed: boolean }> {
      const { kind, appId, name, permissions, authorizer, mode, apiBase: base } = given
      const set = { connectedBy: 'qr', permissions, authorizer, mode, apiBase: base, kind, name }
      const plain = { state: 'ready', disabledReason: null, functions: {} }
      for (;;) {
        const before = await model.findOne({ appId }).lean<AccountRow>()
        if (before === null) {
          const fresh = { ...freshRow({ kind, appId, name, mode }, sealer.seal('')), ...set } as AccountRow
          try {
            await model.collection.insertOne(fresh as never)
          } catch (error) {
            if (isDuplicateKey(error)) continue // the other one of event and returning browser was quicker
            throw error
          }
          cache.clear()
          return { account: toAccount(fresh), changed: true }
        }
        const changed = before.connectedBy !== 'qr' || before.authorizer?.withdrawnAt != null
        // A name somebody has given it here is kept, and the day of a consent that was never taken back.
        const { name: _name, ...kept } = set
        const since = changed ? authorizer.authorizedAt : (before.authorizer ?? authorizer).authorizedAt
        await note(before._id, {
          ...kept,
          authorizer: { ...authorizer, authorizedAt: since },
          ...plain,
          updatedAt: clock.now()
        })
        return { account: toAccount(await row(before._id)), changed }
      }
    },

    /** The administrator took the consent back: listed disabled from now on. null: no account here goes by it. */
    async withdraw(appId: string, at: Date): Promise<{ account: Account; changed: boolean } | null> {
      const mine = { appId, connectedBy: 'qr' as const }
      const { matchedCount } = await model.collection.updateOne(
        { ...mine, 'authorizer.withdrawnAt': null },
        { $set: { 'authorizer.withdrawnAt': at, updatedAt: clock.now() } }
      )
      cache.clear()
      const now = await model.findOne(mine).lean<AccountRow>()
      return now === null ? null : { account: toAccount(now), changed: matchedCount === 1 }
    },

    /** Merges settings; groups (`limits`, `caps`, `capture`, `sources`, `callback`) are merged field by field. @throws PreconditionFailed */
    async patch(id: string, body: AccountPatch, ifMatch?: string): Promise<Account> {
      const seen = await row(id)
      const { secret, callback, limits, caps, capture, sources, breaker, ...plain } = body
      if (body.mode !== undefined || body.apiBase !== undefined || callback?.relayTo !== undefined) {
        checkUrls(body.mode ?? seen.mode, body.apiBase ?? seen.apiBase, callback?.relayTo)
      }
      const elsewhere =
        (body.mode !== undefined && body.mode !== seen.mode) ||
        (body.apiBase !== undefined && body.apiBase !== (seen.apiBase ?? apiBase))
      if (elsewhere && secret === undefined) throw new SecretNeeded()
      const set: Record<string, unknown> = { ...plain }
      if (secret !== undefined) {
        set.sealedSecret = sealer.seal(secret)
        // Who gives a secret wants it used: an account connected by QR leaves the platform with it.
        if (seen.connectedBy === 'qr') {
          Object.assign(set, { connectedBy: 'secret', authorizer: null, state: 'ready', disabledReason: null })
        }
      }
      if (capture !== undefined) set.capture = { ...seen.capture, ...capture }
      if (caps !== undefined) set.caps = { ...seen.caps, ...caps }
      if (sources !== undefined) set.sources = { ...seen.sources, ...sources }
      if (breaker !== undefined) {
        set.breaker = { ...seen.breaker, ...breaker, shares: { ...seen.breaker?.shares, ...breaker.shares } }
      }
      if (limits !== undefined) {
        set.limits = { ...seen.limits, ...limits, perDay: { ...seen.limits.perDay, ...limits.perDay } }
      }
      if (callback !== undefined) {
        const { token, aesKey, ...rest } = callback
        if (isSealed(rest.mode) && (aesKey ?? seen.callback.sealedAesKey) === null) throw new KeyNeeded()
        for (const [name, value] of Object.entries(rest)) set[`callback.${name}`] = value
        if (token !== undefined) set['callback.sealedToken'] = sealer.seal(token)
        if (aesKey !== undefined) set['callback.sealedAesKey'] = sealer.seal(aesKey)
      }
      return change(seen._id, set, ifMatch)
    },

    /** Forgets the account. What it sent stays in the ledger. @throws NoSuchAccount */
    async remove(id: string, ifMatch?: string): Promise<void> {
      const seen = await row(id)
      mustMatch(ifMatch, seen.rev)
      await model.deleteOne({ _id: seen._id })
      cache.clear()
    },

    /** Stops every send of the account within two seconds; what waits goes on waiting. */
    pause: (id: string): Promise<Account> => change(id, { paused: true }),
    /** Also opens the interfaces that WeChat had shut: an operator has seen to it. */
    resume: (id: string): Promise<Account> => change(id, { paused: false, blocked: {} }),

    /** The app secret, in clear: for the token centre alone. Empty for accounts connected by QR, whose calls the platform makes. */
    async secretOf(id: string): Promise<string> {
      const { connectedBy, sealedSecret } = await row(id)
      return connectedBy === 'qr' ? '' : sealer.open(sealedSecret)
    },

    /** The key of encrypted pushes (43 characters), or null. */
    async aesKeyOf(id: string): Promise<string | null> {
      const sealed = (await row(id)).callback.sealedAesKey
      return sealed === null ? null : sealer.open(sealed)
    },

    /** Holds one interface until then, or until an operator resumes the account. */
    block: (id: string, name: Interface, block: Block): Promise<void> => note(id, { [`blocked.${name}`]: block }),

    /**
     * WeChat's answer `code` to a call of `called` speaks of a penalty; others tell nothing. @returns what stands now, and
     * whether that is news
     */
    async punish(id: string, code: number, called: Interface): Promise<{ penalty: Penalty | null; changed: boolean }> {
      for (;;) {
        const { penalty: seen } = await row(id)
        const penalty = afterAnswer(seen, code, called, clock.now())
        if (penalty === seen) return { penalty, changed: false }
        const filter = { _id: id as never, penalty: seen as never }
        const { matchedCount } = await model.collection.updateOne(filter, { $set: { penalty: penalty as never } })
        cache.clear()
        if (matchedCount === 1) return { penalty, changed: true }
      }
    },

    /** Somebody else was seen spending this account's formIds; taken to be so until then. */
    markShared: (id: string, until: Date): Promise<void> => note(id, { sharedUntil: until }),

    /** WeChat pushed something just now. */
    touchCallback: (id: string, at: Date): Promise<void> => note(id, { 'callback.lastReceivedAt': at }),

    /** Something came to its callback that was not signed with its token: `hongyan doctor` tells of it. */
    refusedCallback: (id: string, at: Date): Promise<void> => note(id, { 'callback.lastRefusedAt': at }),

    /** What a probe found: stored as the account's state. */
    async settle(id: string, findings: Findings): Promise<Account> {
      await note(id, { ...findings, verifiedAt: clock.now() })
      return toAccount(await row(id))
    }
  }
}

const isSealed = (mode: string | undefined) => mode !== undefined && mode !== 'plain'
