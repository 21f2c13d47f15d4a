import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import { parseHold } from '../credentials/letting.js'
import type { CredentialRow } from '../credentials/model.js'
import type { Clock } from '../platform/clock.js'
import type { Budget } from './budget.js'
import { isGarbage } from './caps.js'
import { FAR, type MessageRow } from './model.js'
import type { Runs } from './runs.js'

const PAGE = 500

/** What nobody's lease brings up again: forgotten holds (C10), unknown messages to close (M14), stops to take back (J). */
export function createSweep({
  rows,
  clock,
  accounts,
  credentials,
  budget,
  runs,
  wake
}: {
  rows: Collection<MessageRow>
  clock: Clock
  accounts: Accounts
  credentials: Credentials
  budget: Budget
  runs: Runs
  wake: (accountId: string) => void
}) {
  /** Stops the last sweep could not explain. */
  let astray = new Set<string>()

  /** C10: holds of this credential that are nobody's. @returns how many went back */
  async function giveOrphansBack(credential: CredentialRow): Promise<number> {
    const owners = credential.holds.map((h) => parseHold(h).m)
    const found = await rows
      .find(
        { accountId: credential.accountId, _id: { $in: owners } },
        { projection: { n: 1, lease: 1, hold: 1, cap: 1, window: 1 } }
      )
      .toArray()
    const byId = new Map(found.map((row) => [row._id, row as MessageRow]))
    const garbage = credential.holds.filter((h) => isGarbage(h, byId.get(parseHold(h).m) ?? null, 'hold'))
    if (garbage.length === 0) return 0
    const woken = await credentials.holds.letGo(
      garbage.map((h) => ({
        accountId: credential.accountId,
        recipientId: credential.recipientId,
        templateId: credential.templateId ?? '',
        credentialId: credential._id,
        source: credential.source,
        h,
        release: 'refund',
        asOf: null,
        why: null
      }))
    )
    await credentials.awake(credential.accountId, woken)
    return garbage.length
  }

  /** J: a stop whose run (or account) is not stopped after all, seen twice, is taken back; its setter died half-way. */
  async function reconcileStops(): Promise<void> {
    const seen = new Set<string>()
    for (const account of await accounts.list()) {
      const stopped = await budget.stoppedOf(account.id)
      const standing = await runs.stoppedOf(stopped)
      for (const what of stopped) {
        if (what === 'account' ? account.paused : standing.has(what)) continue
        const name = `${account.id} ${what}`
        if (!astray.has(name)) seen.add(name)
        else {
          await budget.go(account.id, what)
          wake(account.id)
        }
      }
    }
    astray = seen
  }

  /** @returns how many holds went back, and how many unknown messages were closed after their 72 h */
  return async (): Promise<{ orphans: number; closed: number }> => {
    let orphans = 0
    for (let last: CredentialRow | null = null; ;) {
      const page: CredentialRow[] = await credentials.holds.forgotten(PAGE, last)
      for (const credential of page) orphans += await giveOrphansBack(credential)
      if (page.length < PAGE) break
      last = page.at(-1)!
    }
    await reconcileStops()
    const closed = await rows.updateMany(
      { state: 'unknown', closed: false, due: { $lte: clock.now() } },
      { $set: { closed: true, due: FAR, todo: true }, $inc: { seq: 1 } }
    )
    return { orphans, closed: closed.modifiedCount }
  }
}
