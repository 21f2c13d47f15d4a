import type { Connection } from 'mongoose'
import type { z } from 'zod'
import type { OperatorCreate, OperatorPatch, OperatorView } from '../../shared/operator.js'
import type { PageQuery } from '../../shared/page.js'
import type { OperatorCaller } from '../platform/auth.js'
import type { Clock } from '../platform/clock.js'
import { newId, randomToken } from '../platform/ids.js'
import { ignoreDuplicate, isDuplicateKey } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import {
  LastOwner,
  NoSuchOperator,
  OperatorExists,
  SessionOver,
  SetupDone,
  WrongPassword,
  WrongSetupCode
} from './errors.js'
import { operatorModel, refreshModel, settingModel, type OperatorRow, type RefreshRow } from './model.js'
import { createPasswords, type PasswordCost } from './passwords.js'

export type Operator = z.output<typeof OperatorView>
export type Operators = ReturnType<typeof createOperators>
/** A login that can be continued: the cookie's value and its end. */
export type Session = { operator: Operator; refreshToken: string; refreshUntil: Date }

const CACHE_MS = 2_000
const REFRESH_LIFE_MS = 14 * 86_400_000
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
  const cache = new Map<string, { caller: OperatorCaller; readAt: number }>()
  const hashOf = (token: string) => sealer.hash('refresh token', token)

  const toView = (row: OperatorRow): Operator => ({
    id: row._id,
    email: row.email,
    role: row.role,
    accountIds: row.accountIds,
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

  async function mustLeaveAnOwner(id: string): Promise<void> {
    const others = await model.countDocuments({ role: 'owner', _id: { $ne: id } })
    if (others === 0) throw new LastOwner()
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
    return { operator: toView(operator), refreshToken, refreshUntil }
  }

  return {
    async ready(): Promise<void> {
      await Promise.all([model.createIndexes(), refreshTokens.createIndexes()])
    },

    /** The code that lets somebody become the first owner; null once there is an operator. The same for all processes. */
    async setupCode(): Promise<string | null> {
      if ((await model.countDocuments({}, { limit: 1 })) > 0) return null
      const made = { sealed: sealer.seal(randomToken(9)), createdAt: clock.now() }
      await settings.updateOne({ _id: 'setup' }, { $setOnInsert: made }, { upsert: true }).catch(ignoreDuplicate)
      const found = await settings.findById('setup').lean<{ sealed: string }>()
      return found === null ? null : sealer.open(found.sealed)
    },

    /** Makes the first owner; the code works once. @throws SetupDone, WrongSetupCode */
    async setup(code: string, email: string, password: string): Promise<Session> {
      if ((await model.countDocuments({}, { limit: 1 })) > 0) throw new SetupDone()
      const found = await settings.findById('setup').lean<{ sealed: string }>()
      if (found === null || sealer.open(found.sealed) !== code.trim()) throw new WrongSetupCode()
      const { deletedCount } = await settings.deleteOne({ _id: 'setup', sealed: found.sealed })
      if (deletedCount === 0) throw new SetupDone()
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

    /** @throws WrongPassword */
    async login(email: string, password: string): Promise<Session> {
      const found = await model.findOne({ email: email.toLowerCase() }).lean<OperatorRow>()
      const right = await passwords.matches(password, found?.password ?? null)
      if (found === null || !right) throw new WrongPassword()
      return open(found, newId())
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
      if (seen.role === 'owner' && body.role !== undefined && body.role !== 'owner') await mustLeaveAnOwner(id)
      const { password, ...set } = body
      const update = { ...set, ...(password !== undefined && { password: await passwords.hash(password) }) }
      const options = { returnDocument: 'after', lean: true } as const
      const changed = (await model.findOneAndUpdate({ _id: id }, { $set: update }, options)) as OperatorRow | null
      cache.clear()
      if (changed === null) throw new NoSuchOperator()
      if (password !== undefined || body.role !== undefined) await refreshTokens.deleteMany({ operatorId: id })
      return toView(changed)
    },

    /** Changes one's own password. @throws WrongPassword */
    async changePassword(id: string, current: string, password: string): Promise<void> {
      const seen = await row(id)
      if (!(await passwords.matches(current, seen.password))) throw new WrongPassword()
      await model.updateOne({ _id: id }, { $set: { password: await passwords.hash(password) } })
      await refreshTokens.deleteMany({ operatorId: id })
    },

    /** @throws NoSuchOperator, LastOwner */
    async remove(id: string): Promise<void> {
      const seen = await row(id)
      if (seen.role === 'owner') await mustLeaveAnOwner(id)
      await model.deleteOne({ _id: id })
      await refreshTokens.deleteMany({ operatorId: id })
      cache.clear()
    },

    /** The operator behind a token, as of at most 2 s ago; null once removed. */
    async callerOf(id: string): Promise<OperatorCaller | null> {
      const now = clock.now().getTime()
      const known = cache.get(id)
      if (known !== undefined && Math.abs(now - known.readAt) < CACHE_MS) return known.caller
      const found = await model.findById(id).lean<OperatorRow>()
      if (found === null) return null
      const caller: OperatorCaller = { kind: 'operator', id, role: found.role, accountIds: found.accountIds }
      if (cache.size >= 1_000) cache.clear()
      cache.set(id, { caller, readAt: now })
      return caller
    }
  }
}
