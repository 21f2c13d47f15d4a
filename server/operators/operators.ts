import { createHash, timingSafeEqual } from 'node:crypto'
import type { Connection } from 'mongoose'
import type { z } from 'zod'
import { DAY_MS, MINUTE_MS } from '../../shared/limits.js'
import type { OperatorCreate, OperatorPatch, OperatorView } from '../../shared/operator.js'
import type { PageQuery } from '../../shared/page.js'
import type { OperatorCaller } from '../platform/auth.js'
import type { Clock } from '../platform/clock.js'
import { newId, randomToken } from '../platform/ids.js'
import { ignoreDuplicate, isDuplicateKey } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import {
  CodeNeeded,
  LastOwner,
  NoSuchOperator,
  OperatorExists,
  SessionOver,
  SetupDone,
  WrongPassword,
  WrongSetupCode
} from './errors.js'
import { createDoors, type Door } from './doors.js'
import { operatorModel, refreshModel, settingModel, type OperatorRow, type RefreshRow } from './model.js'
import { createPasswords, type PasswordCost } from './passwords.js'
import { createSecondFactor } from './second-factor.js'

export type Operator = z.output<typeof OperatorView>
export type Operators = ReturnType<typeof createOperators>
/** A login that can be continued: the cookie's value and its end. */
export type Session = { operator: Operator; sessions: number; refreshToken: string; refreshUntil: Date }

/** `code`: of an authenticator app, or a recovery code. */
export type Login = { email: string; password: string; code?: string | undefined }

const CACHE_MS = 2_000
const REFRESH_LIFE_MS = 14 * DAY_MS
/** An operator from one address; the account from anywhere, which locks its owner out and is slower to; an address. */
const LOGIN_DOORS = (email: string, address: string): [Door, Door, Door] => [
  { name: 'login', of: `${address} ${email}`, free: 5, longestMs: 60 * MINUTE_MS },
  { name: 'account', of: email, free: 20, longestMs: 15 * MINUTE_MS },
  { name: 'address', of: address, free: 50, longestMs: 60 * MINUTE_MS }
]
const ownDoor = (id: string): Door => ({ name: 'own password', of: id, free: 5, longestMs: 60 * MINUTE_MS })
const setupDoor = (address: string): Door => ({ name: 'setup', of: address, free: 5, longestMs: 60 * MINUTE_MS })

/** Two tabs may refresh at once with the same cookie; later than this a second use means that it was stolen. */
const REUSE_GRACE_MS = 10_000

/** People who run this installation: set-up, login, roles. */
export function createOperators({
  db,
  clock,
  sealer,
  passwordCost
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  passwordCost?: PasswordCost
}) {
  const passwords = createPasswords(passwordCost)
  const model = operatorModel(db)
  const refreshTokens = refreshModel(db)
  const settings = settingModel(db)
  const doors = createDoors({ db, clock, sealer })
  const secondFactor = createSecondFactor({ model, clock, sealer })
  const cache = new Map<string, { caller: OperatorCaller; sessions: number; readAt: number }>()
  const hashOf = (token: string) => sealer.hash('refresh token', token)

  const toView = (row: OperatorRow): Operator => ({
    id: row._id,
    email: row.email,
    role: row.role,
    accountIds: row.accountIds,
    totp: row.totp?.sealed != null,
    createdAt: row.createdAt
  })

  async function add(body: z.output<typeof OperatorCreate>): Promise<Operator> {
    const row: OperatorRow = {
      _id: newId(),
      email: body.email.toLowerCase(),
      password: await passwords.hash(body.password),
      role: body.role,
      accountIds: body.accountIds ?? null,
      createdAt: clock.now()
    }
    try {
      await model.collection.insertOne(row as never)
    } catch (error) {
      if (isDuplicateKey(error)) throw new OperatorExists()
      throw error
    }
    return toView(row)
  }

  async function row(id: string): Promise<OperatorRow> {
    const found = await model.findById(id).lean<OperatorRow>()
    if (found === null) throw new NoSuchOperator()
    return found
  }

  /** Somebody has to be able to make operators: an owner of all accounts. */
  async function mustLeaveAnOwner(id: string): Promise<void> {
    const others = await model.countDocuments({ role: 'owner', accountIds: null, _id: { $ne: id } })
    if (others === 0) throw new LastOwner()
  }

  /** The row of an operator who just said the password again. @throws WrongPassword, LimitReached */
  async function proven(id: string, password: string): Promise<OperatorRow> {
    await doors.knock(ownDoor(id))
    const seen = await row(id)
    if (!(await passwords.matches(password, seen.password))) throw new WrongPassword()
    await doors.opened(ownDoor(id))
    return seen
  }

  async function endSessions(id: string): Promise<void> {
    await model.updateOne({ _id: id }, { $inc: { sessions: 1 } })
    await refreshTokens.deleteMany({ operatorId: id })
    cache.clear()
  }

  async function open(operator: OperatorRow, family: string): Promise<Session> {
    const refreshToken = randomToken(32)
    const refreshUntil = new Date(clock.now().getTime() + REFRESH_LIFE_MS)
    const fresh: RefreshRow = {
      _id: hashOf(refreshToken),
      operatorId: operator._id,
      family,
      usedAt: null,
      expiresAt: refreshUntil
    }
    await refreshTokens.collection.insertOne(fresh as never)
    return { operator: toView(operator), sessions: operator.sessions ?? 0, refreshToken, refreshUntil }
  }

  return {
    async ready(): Promise<void> {
      await Promise.all([model.createIndexes(), refreshTokens.createIndexes(), doors.ready()])
    },

    /** The code that lets somebody become the first owner; null once there is an operator. The same for all processes. */
    async setupCode(): Promise<string | null> {
      if ((await model.countDocuments({}, { limit: 1 })) > 0) return null
      const made = { sealed: sealer.seal(randomToken(9)), createdAt: clock.now() }
      await settings.updateOne({ _id: 'setup' }, { $setOnInsert: made }, { upsert: true }).catch(ignoreDuplicate)
      const found = await settings.findById('setup').lean<{ sealed: string }>()
      return found === null ? null : sealer.open(found.sealed)
    },

    /** Makes the first owner; the code works once. @throws SetupDone, WrongSetupCode, LimitReached */
    async setup(code: string, email: string, password: string, address = ''): Promise<Session> {
      await doors.knock(setupDoor(address))
      if ((await model.countDocuments({}, { limit: 1 })) > 0) throw new SetupDone()
      const found = await settings.findById('setup').lean<{ sealed: string }>()
      // Nobody has it any more: somebody else is using it this moment.
      if (found === null) throw new SetupDone()
      if (!isSame(sealer.open(found.sealed), code.trim())) throw new WrongSetupCode()
      const { deletedCount } = await settings.deleteOne({ _id: 'setup', sealed: found.sealed })
      if (deletedCount === 0) throw new SetupDone()
      await doors.opened(setupDoor(address))
      const operator = await add({ email, password, role: 'owner' })
      return open(await row(operator.id), newId())
    },

    /** For unattended installations: makes this owner unless the address is taken; true when it was made. */
    async ensureOwner(email: string, password: string): Promise<boolean> {
      if ((await model.findOne({ email: email.toLowerCase() }).lean()) !== null) return false
      try {
        await add({ email, password, role: 'owner' })
        return true
      } catch (error) {
        if (error instanceof OperatorExists) return false
        throw error
      }
    },

    /**
     * Every wrong try makes the next one wait longer: for the account at this address, the account, and the address.
     * @throws WrongPassword, CodeNeeded, WrongCode, LimitReached
     */
    async login({ email, password, code }: Login, address = ''): Promise<Session> {
      const [pair, account, house] = LOGIN_DOORS(email.toLowerCase(), address)
      await doors.knock(house, pair, account)
      const found = await model.findOne({ email: email.toLowerCase() }).lean<OperatorRow>()
      const right = await passwords.matches(password, found?.password ?? null)
      if (found === null || !right) throw new WrongPassword()
      try {
        await secondFactor.mustMatch(found, code)
      } catch (error) {
        // Who knows the password and was only not asked for the code yet has not guessed.
        if (error instanceof CodeNeeded) await Promise.all([pair, account, house].map(doors.forgive))
        throw error
      }
      await Promise.all([doors.opened(pair, account), doors.forgive(house)])
      return open(found, newId())
    },

    /** Begins a second factor for who knows the password. @throws WrongPassword, LimitReached */
    async beginTotp(id: string, password: string): Promise<{ secret: string; uri: string }> {
      return secondFactor.begin(await proven(id, password))
    },

    /** From here on logins ask for a code; the recovery codes, told this once. @throws TotpNotBegun, WrongCode, LimitReached */
    async confirmTotp(id: string, code: string): Promise<string[]> {
      await doors.knock(ownDoor(id))
      const codes = await secondFactor.confirm(await row(id), code)
      await doors.opened(ownDoor(id))
      return codes
    },

    /** @throws WrongPassword, CodeNeeded, WrongCode, LimitReached */
    async removeOwnTotp(id: string, password: string, code: string): Promise<void> {
      const seen = await proven(id, password)
      await doors.knock(ownDoor(id))
      await secondFactor.mustMatch(seen, code)
      await doors.opened(ownDoor(id))
      await secondFactor.remove(id)
    },

    /** For somebody who lost phone and recovery codes. @throws NoSuchOperator */
    async removeTotp(id: string): Promise<void> {
      await secondFactor.remove((await row(id))._id)
    },

    /** Trades a refresh token for its successor. One used twice ends every session of its login. @throws SessionOver */
    async refresh(token: string): Promise<Session> {
      const now = clock.now()
      const _id = hashOf(token)
      const seen = await refreshTokens.findOneAndUpdate(
        { _id, usedAt: null, expiresAt: { $gt: now } },
        { $set: { usedAt: now } },
        { lean: true }
      )
      const found = (seen ?? (await refreshTokens.findById(_id).lean())) as RefreshRow | null
      if (found === null || found.expiresAt <= now) throw new SessionOver()
      if (seen === null && now.getTime() - (found.usedAt?.getTime() ?? 0) > REUSE_GRACE_MS) {
        await refreshTokens.deleteMany({ family: found.family })
        throw new SessionOver()
      }
      const operator = await model.findById(found.operatorId).lean<OperatorRow>()
      if (operator === null) throw new SessionOver()
      return open(operator, found.family)
    },

    /** Ends the login this refresh token belongs to; unknown ones are fine. */
    async logout(token: string): Promise<void> {
      const found = await refreshTokens.findById(hashOf(token)).lean<RefreshRow>()
      if (found !== null) await refreshTokens.deleteMany({ family: found.family })
    },

    create: add,

    get: async (id: string): Promise<Operator> => toView(await row(id)),

    page(query: PageQuery): Promise<Page<Operator>> {
      const options = { filter: {}, query, sortable: ['createdAt', 'email'], defaultSort: 'createdAt' }
      return listPage<OperatorRow, Operator>(model.collection, options, toView)
    },

    /** A new password or role ends the operator's sessions. @throws NoSuchOperator, LastOwner */
    async patch(id: string, body: z.output<typeof OperatorPatch>): Promise<Operator> {
      const seen = await row(id)
      const { role = seen.role, accountIds = seen.accountIds } = body
      if (isFullOwner(seen) && !isFullOwner({ role, accountIds })) await mustLeaveAnOwner(id)
      const { password, ...set } = body
      const update = { ...set, ...(password !== undefined && { password: await passwords.hash(password) }) }
      const options = { returnDocument: 'after', lean: true } as const
      const changed = (await model.findOneAndUpdate({ _id: id }, { $set: update }, options)) as OperatorRow | null
      cache.clear()
      if (changed === null) throw new NoSuchOperator()
      if (password !== undefined || body.role !== undefined) await endSessions(id)
      return toView(changed)
    },

    /** Changes one's own password; all logins end, but for the one that goes on from here. @throws WrongPassword */
    async changePassword(id: string, current: string, password: string): Promise<Session> {
      await proven(id, current)
      await model.updateOne({ _id: id }, { $set: { password: await passwords.hash(password) } })
      await endSessions(id)
      return open(await row(id), newId())
    },

    /** Ends every login of this operator, everywhere: refresh tokens at once, the short ones within 2 s. */
    logoutEverywhere: endSessions,

    /** @throws NoSuchOperator, LastOwner */
    async remove(id: string): Promise<void> {
      const seen = await row(id)
      if (isFullOwner(seen)) await mustLeaveAnOwner(id)
      await model.deleteOne({ _id: id })
      await refreshTokens.deleteMany({ operatorId: id })
      cache.clear()
    },

    /** The operator behind a token, as of at most 2 s ago; null once removed, or when all logins were ended since. */
    async callerOf(id: string, sessions: number): Promise<OperatorCaller | null> {
      const now = clock.now().getTime()
      let known = cache.get(id)
      if (known === undefined || Math.abs(now - known.readAt) >= CACHE_MS) {
        const found = await model.findById(id).lean<OperatorRow>()
        if (found === null) return null
        const caller: OperatorCaller = { kind: 'operator', id, role: found.role, accountIds: found.accountIds }
        known = { caller, sessions: found.sessions ?? 0, readAt: now }
        if (cache.size >= 1_000) cache.clear()
        cache.set(id, known)
      }
      return known.sessions === sessions ? known.caller : null
    }
  }
}

/** Compared by their hashes, so that the time it takes tells nothing of how far they agree. */
const isSame = (one: string, other: string) =>
  timingSafeEqual(...([one, other].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer]))

const isFullOwner = ({ role, accountIds }: Pick<OperatorRow, 'role' | 'accountIds'>) =>
  role === 'owner' && accountIds === null
