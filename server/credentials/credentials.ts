import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { ignoreDuplicate, insertNew } from '../platform/mongo.js'
import { dayOf } from '../platform/shanghai.js'
import { DAY_MS, KEPT_DAYS, PAYMENT_PENDING_MS, PAYMENT_SETTLE_MS } from '../../shared/limits.js'
import type { ItemVerdict, RefusedReason, Source } from '../../shared/credential.js'
import { createHolds } from './holds.js'
import { createLooks, type TallyRow } from './looks.js'
import { credentialModel, type CredentialRow } from './model.js'
import { newRight, type Mint } from './new-right.js'
import { policyOf, refusalOf, sourcesOf, worth, type PolicyOverride } from './terms.js'

export type { Place } from './looks.js'
export type { Mint } from './new-right.js'

/** What the credentials room must know of an account. */
export type CredentialAccount = {
  id: string
  mode: 'live' | 'sandbox'
  sources: Partial<Record<Source, PolicyOverride>>
  grantsFrom: 'phone' | 'events'
}

/** One catch, with its time already on our clock. */
export type Catch = {
  id: string
  recipientId: string
  source: 'form' | 'payment' | 'grant'
  value?: string
  templateId?: string
  result?: string
  orderId?: string
  place?: string
  caughtAt: Date
}

export type GrantType = (accountId: string, templateId: string) => Promise<'once' | 'longTerm' | null>

/**
 * Rights to send: keeping them, holding and letting go of them. `wake` is called with recipients who may have got a
 * send (their parked messages look again); the messages room listens to it.
 */
export function createCredentials({
  db,
  clock,
  sealer,
  grantType
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  grantType: GrantType
}) {
  const model = credentialModel(db)
  const rows = model.collection as unknown as Collection<CredentialRow>
  const holds = createHolds({ rows, clock })
  const orders = db.collection('paidOrders') as unknown as Collection<{ _id: string; paidAt: Date; removeAt: Date }>
  const tally = db.collection('captureCounts') as unknown as Collection<TallyRow>
  let wake: (accountId: string, recipientIds: string[]) => Promise<void> = async () => {}

  const paidId = (accountId: string, orderId: string) => sealer.hash('paid', accountId, orderId)

  /** C1's last half and C2: a pending payment whose order was confirmed before becomes live. */
  async function settlePaid(account: CredentialAccount, pending: CredentialRow[]): Promise<void> {
    const waiting = pending.filter((row) => row.orderId !== null)
    if (waiting.length === 0) return
    const ids = waiting.map((row) => paidId(account.id, row.orderId!))
    const paid = new Set((await orders.find({ _id: { $in: ids } }).toArray()).map((row) => row._id))
    for (const row of waiting)
      if (paid.has(paidId(account.id, row.orderId!))) await activate({ accountId: account.id, orderId: row.orderId! })
  }

  /** C2: pending payments of this order (or this very row) become live, usable once WeChat had time to learn of it. */
  async function activate(which: { accountId: string; orderId?: string; _id?: string }): Promise<CredentialRow[]> {
    const now = clock.now()
    const filter = { ...which, state: 'pending' as const }
    const found = await rows.find(filter).toArray()
    for (const row of found) {
      await rows.updateOne({ accountId: row.accountId, recipientId: row.recipientId, _id: row._id, state: 'pending' }, [
        {
          $set: {
            state: 'live',
            liveAt: now,
            notBefore: new Date(now.getTime() + PAYMENT_SETTLE_MS),
            expiresAt: '$lifeEnds',
            removeAt: { $add: ['$lifeEnds', KEPT_DAYS.credentials * DAY_MS] }
          }
        }
      ])
      await wake(row.accountId, [row.recipientId])
    }
    return found
  }

  /** What one catch becomes; a refusal, or the row to insert. */
  async function judge(
    account: CredentialAccount,
    item: Catch
  ): Promise<{ refused: RefusedReason } | { row: CredentialRow; paid: boolean }> {
    const refused = refusalOf(item, account.mode === 'sandbox')
    if (refused !== null) return { refused }
    let source: Source = item.source
    if (item.source === 'grant') {
      const type = await grantType(account.id, item.templateId!)
      if (type === null) return { refused: 'unknownTemplate' }
      if (account.grantsFrom !== 'phone') return { refused: 'rejected' } // one tap, one grant: the pushed events mint here
      if (type === 'longTerm') source = 'longTermGrant'
    }
    const policy = policyOf(source, account.sources)
    if (policy === null) return { refused: 'overQuota' }
    const now = clock.now()
    const life = worth(policy, item.caughtAt, now)
    if (life === null) return { refused: 'expired' }
    const mock = /^the formId is/i.test(item.value ?? '')
    const hash =
      source === 'longTermGrant'
        ? sealer.hash('longTerm', item.templateId!)
        : source === 'grant'
          ? sealer.hash('grant', item.templateId!, item.id)
          : // a mock is the same for every tap: its item id makes it one of a kind
            sealer.hash(source, item.value!, mock ? item.id : '')
    const pending = item.source === 'payment' && item.result === 'pending'
    const row = newRight(
      account.id,
      { recipientId: item.recipientId, source, at: item.caughtAt, key: item.id, hash, templateId: item.templateId },
      life.sends,
      life.expiresAt,
      now
    )
    row.caughtAt = item.caughtAt
    // a tap handed in again is no newer than it was, so that it cannot revive what was burned meanwhile
    if (source === 'longTermGrant') row.mintedAt = item.caughtAt
    row.sealed = item.value === undefined ? null : sealer.seal(mock ? `${item.value} ${item.id}` : item.value)
    row.orderId = item.orderId ?? null
    row.place = item.place ?? null
    if (item.source === 'payment') row.notBefore = new Date(now.getTime() + PAYMENT_SETTLE_MS)
    if (pending) {
      const gone = new Date(now.getTime() + PAYMENT_PENDING_MS)
      Object.assign(row, {
        state: 'pending',
        liveAt: null,
        lifeEnds: life.expiresAt,
        expiresAt: gone,
        removeAt: new Date(gone.getTime() + KEPT_DAYS.credentials * DAY_MS)
      })
    }
    return { row, paid: item.source === 'payment' && !pending }
  }

  /** longTermGrant and the window sources: one row per (recipient, source, template), its life only ever moved forward. */
  async function extend(row: CredentialRow): Promise<'stored' | 'duplicate'> {
    const which = { accountId: row.accountId, recipientId: row.recipientId, hash: row.hash }
    const answer = await rows.updateOne(
      { ...which, mintedAt: { $lt: row.mintedAt } },
      {
        $set: { state: 'live', why: null, mintedAt: row.mintedAt, caughtAt: row.caughtAt },
        $max: { expiresAt: row.expiresAt, removeAt: row.removeAt }
      }
    )
    return answer.matchedCount > 0 ? 'stored' : 'duplicate'
  }

  async function insert(made: CredentialRow[]): Promise<Set<string>> {
    const duplicates = await insertNew(rows, made)
    return new Set([...duplicates].map((place) => made[place]!._id))
  }

  /** Verdicts by source, reason and day (Asia/Shanghai): refused ones leave no other trace. */
  async function count(accountId: string, items: { source: string }[], verdicts: ItemVerdict[]): Promise<void> {
    const { day } = dayOf(clock.now())
    const inc: Record<string, number> = {}
    verdicts.forEach((verdict, index) => {
      const name = `n.${items[index]!.source}:${verdict.reason ?? verdict.verdict}`
      inc[name] = (inc[name] ?? 0) + 1
    })
    await tally.updateOne({ _id: `${accountId}:${day}` }, { $inc: inc }, { upsert: true })
  }

  return {
    holds,

    /** Builds the indexes. */
    ready: async () => {
      await model.createIndexes()
      await orders.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0 })
    },

    /** Registers who is told when recipients may have got a send. */
    onWake(listener: typeof wake) {
      wake = listener
    },

    /**
     * Keeps what phones or backends caught (ledger C1), a verdict per item. Repeating a batch is harmless: the second
     * time everything is `duplicate`. One bad item stops none of the others.
     */
    async keep(account: CredentialAccount, items: Catch[]): Promise<ItemVerdict[]> {
      const verdicts: ItemVerdict[] = []
      const made: CredentialRow[] = []
      const paidAgain: CredentialRow[] = []
      const place = new Map<string, number>()
      for (const item of items) {
        const judged = await judge(account, item)
        if ('refused' in judged) {
          verdicts.push({ id: item.id, verdict: 'refused', reason: judged.refused })
          continue
        }
        place.set(judged.row._id, verdicts.length)
        verdicts.push({ id: item.id, verdict: 'stored' })
        made.push(judged.row)
        if (judged.paid) paidAgain.push(judged.row)
      }
      const duplicates = await insert(made)
      for (const row of made) {
        if (!duplicates.has(row._id)) continue
        const verdict = row.source === 'longTermGrant' ? await extend(row) : 'duplicate'
        verdicts[place.get(row._id)!]!.verdict = verdict
      }
      // the same prepay_id handed in again, now as paid: C2
      for (const row of paidAgain) {
        if (!duplicates.has(row._id)) continue
        const old = await rows.findOne({
          accountId: row.accountId,
          recipientId: row.recipientId,
          hash: row.hash,
          state: 'pending'
        })
        if (old !== null) await activate({ accountId: row.accountId, _id: old._id })
      }
      await settlePaid(
        account,
        made.filter((row) => row.state === 'pending')
      )
      // M6 in both cases: the first try may have died before it
      const woken = made.length > 0 ? wake(account.id, [...new Set(made.map((row) => row.recipientId))]) : null
      await Promise.all([woken, count(account.id, items, verdicts)])
      return verdicts
    },

    /** Mints what WeChat's pushes give: follow, scan, menu, reply, servicePayment, a granted popup. Repeatable by `key`. */
    async mint(account: CredentialAccount, mint: Mint): Promise<'stored' | 'duplicate' | 'refused'> {
      const policy = policyOf(mint.source, account.sources)
      if (policy === null) return 'refused'
      const now = clock.now()
      const life = worth(policy, mint.at, now)
      if (life === null) return 'refused'
      const window = life.sends === null
      const hash = window
        ? sealer.hash('window', mint.source, mint.templateId ?? '')
        : sealer.hash(mint.source, mint.templateId ?? '', mint.key)
      const row = newRight(account.id, { ...mint, hash }, life.sends, life.expiresAt, now)
      row.mintedAt = mint.at
      const duplicates = await insert([row])
      const verdict = duplicates.size === 0 ? 'stored' : window ? await extend(row) : 'duplicate'
      await wake(account.id, [mint.recipientId])
      return verdict
    },

    /** The person took a subscription back at `asOf`: what was granted before it is gone. */
    burnWithdrawn: (which: { accountId: string; recipientId: string; templateId: string; asOf: Date }) =>
      holds.burnGrants({ ...which, why: 'withdrawn' }),

    /** A backend says an order was paid; before or after the phone's report, once or often. @returns how many came alive */
    async confirm(account: CredentialAccount, order: { orderId: string; paidAt: Date }): Promise<number> {
      const removeAt = new Date(clock.now().getTime() + 8 * DAY_MS)
      await orders
        .updateOne(
          { _id: paidId(account.id, order.orderId) },
          { $setOnInsert: { paidAt: order.paidAt, removeAt } },
          { upsert: true }
        )
        .catch(ignoreDuplicate) // two first confirmations at once: the fact is there
      return (await activate({ accountId: account.id, orderId: order.orderId })).length
    },

    /** Tells the listener that these recipients may have got a send back. */
    awake: (accountId: string, recipientIds: string[]) => wake(accountId, recipientIds),

    ...createLooks({ rows, tally, clock }),

    /** Rights of an erased person: nothing of them can be sent any more, and their values are gone. */
    async erase(recipientIds: string[]): Promise<void> {
      await rows.updateMany(
        { recipientId: { $in: recipientIds } },
        { $set: { state: 'dead', why: 'erased', sealed: null, orderId: null } }
      )
    },

    /** One row, or null. */
    byId: (id: string) => rows.findOne({ _id: id }),

    /** The collection, for lists and sweeps of this process. */
    rows,
    sourcesOf
  }
}
export type Credentials = ReturnType<typeof createCredentials>
