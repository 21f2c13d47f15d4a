import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { TesterView } from '../../shared/tester.js'
import type { PageQuery } from '../../shared/page.js'
import { DAY_MS } from '../../shared/limits.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, LimitReached, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import { createThrottle } from '../platform/throttle.js'
import { codeIn, newCode } from './codes.js'
import { testerModels, type CodeRow, type TesterRow } from './model.js'

export type Testers = ReturnType<typeof createTesters>

export type Recipient = { accountId: string; recipientId: string }

const CODE_LIFE_MS = 10 * 60_000
const WINDOW_MS = 10 * 60_000
/** Codes one caller makes for an account in ten minutes. */
const CODES = 20
/** Codes one recipient may try in ten minutes, by phone and by message together. */
const TRIES = 10
/** A test goes to all of them, each on a right of their own. */
export const TESTERS = 100

/** Who gets the tests of an account's campaigns. They make themselves known by a code. */
export function createTesters({
  db,
  clock,
  sealer,
  people
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  people: Pick<People, 'onErase' | 'personIdsOf'>
}) {
  const models = testerModels(db)
  const codes = models.codes.collection as unknown as Collection<CodeRow>
  const rows = models.testers.collection as unknown as Collection<TesterRow>
  const making = createThrottle({ clock, limit: CODES, windowMs: WINDOW_MS })
  const trying = createThrottle({ clock, limit: TRIES, windowMs: WINDOW_MS })

  people.onErase(async ({ recipientIds }) => {
    const theirs = { $in: recipientIds }
    // The code first: what made them a tester must not do so again.
    await codes.deleteMany({ usedBy: theirs })
    await rows.deleteMany({ recipientId: theirs })
  })

  const idOf = ({ accountId, recipientId }: Recipient) => sealer.hash('tester', accountId, recipientId)
  const codeId = (accountId: string, code: string) => sealer.hash('testerCode', accountId, code)

  /** Uses up the code, then enrols; done again by the same person, nothing changes. @returns null: no such code at `at` */
  async function use(who: Recipient, code: string, at: Date, via: TesterRow['via']): Promise<TesterRow | null> {
    const good = { _id: codeId(who.accountId, code), expiresAt: { $gt: at } }
    const used = await codes.findOneAndUpdate(
      { ...good, usedBy: { $in: [null, who.recipientId] } },
      { $set: { usedBy: who.recipientId } }
    )
    if (used === null) return null
    const known = await rows.findOne({ _id: idOf(who) })
    if (known === null && (await rows.countDocuments({ accountId: who.accountId }, { limit: TESTERS })) >= TESTERS) {
      throw new Conflict(`an account has at most ${TESTERS} testers`, { code: 'testers.full' })
    }
    // A tester who takes another's code stays whoever they were.
    const own = used.operatorId === null ? {} : { operatorId: used.operatorId }
    return rows.findOneAndUpdate(
      { _id: idOf(who) },
      {
        $set: { via, enrolledAt: at, ...own },
        $setOnInsert: { ...who, ...(used.operatorId === null && { operatorId: null }) }
      },
      { upsert: true, returnDocument: 'after' }
    )
  }

  async function views(list: TesterRow[]): Promise<TesterView[]> {
    const persons = await people.personIdsOf(list.map(({ recipientId }) => recipientId))
    return list.map(({ _id, accountId: _accountId, ...row }) => ({
      id: _id,
      ...row,
      personId: persons.get(row.recipientId) ?? null
    }))
  }

  return {
    /** Makes the indexes. */
    async ready(): Promise<void> {
      await models.codes.createIndexes()
      await models.testers.createIndexes()
    },

    /** A code for one person; with `operatorId` it makes them that operator's "me". @throws LimitReached */
    async code(
      accountId: string,
      caller: string,
      operatorId: string | null
    ): Promise<{ code: string; expiresAt: Date }> {
      making.count(`${accountId} ${caller}`)
      const expiresAt = new Date(clock.now().getTime() + CODE_LIFE_MS)
      const code = newCode()
      // Kept a day longer: a message that was sent in time may be read late.
      const removeAt = new Date(expiresAt.getTime() + DAY_MS)
      await codes.insertOne({ _id: codeId(accountId, code), accountId, operatorId, expiresAt, usedBy: null, removeAt })
      return { code, expiresAt }
    },

    /** Somebody typed a code on their phone. @throws NotFound when it is none (any more), LimitReached, Conflict */
    async enrol(who: Recipient, typed: string): Promise<void> {
      trying.count(who.recipientId)
      const code = codeIn(typed)
      const enrolled = code === null ? null : await use(pick(who), code, clock.now(), 'phone')
      if (enrolled === null) {
        throw new NotFound('this code is not known here, was used, or is over', { code: 'testers.code-unknown' })
      }
    },

    /** Somebody wrote to the service account at `at`: perhaps a code. Repeatable; anything else changes nothing. */
    async said(who: Recipient, text: string, at: Date): Promise<void> {
      const code = codeIn(text)
      if (code === null) return
      try {
        trying.count(who.recipientId)
        await use(who, code, at, 'message')
      } catch (error) {
        if (!(error instanceof LimitReached) && !(error instanceof Conflict)) throw error
      }
    },

    page: async (accountId: string, query: PageQuery) => {
      const options = { filter: { accountId }, query, sortable: ['enrolledAt'], defaultSort: '-enrolledAt' }
      const { data, page } = await listPage<TesterRow, TesterRow>(rows, options, (row) => row)
      return { data: await views(data), page }
    },

    /** @throws NotFound */
    async remove(accountId: string, id: string): Promise<void> {
      const { deletedCount } = await rows.deleteOne({ _id: id, accountId })
      if (deletedCount === 0) throw new NotFound('no such tester', { code: 'testers.not-found' })
    },

    /** Everybody tests of this account go to, as who they are now. */
    async of(accountId: string): Promise<TesterView[]> {
      return views(await rows.find({ accountId }).sort({ enrolledAt: -1 }).limit(TESTERS).toArray())
    },

    /** Who this operator is to the account: whoever took a code of theirs last. null: nobody yet */
    async me(accountId: string, operatorId: string): Promise<TesterView | null> {
      const mine = await rows.find({ accountId, operatorId }).sort({ enrolledAt: -1 }).limit(1).toArray()
      return (await views(mine))[0] ?? null
    }
  }
}

const pick = ({ accountId, recipientId }: Recipient): Recipient => ({ accountId, recipientId })
