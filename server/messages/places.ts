import type { Account } from '../accounts/accounts.js'
import { holdName } from '../credentials/letting.js'
import { perDayOf } from '../credentials/terms.js'
import { capKey, capOf, isCapped, windowKey, type Caps, type CapWant } from './caps.js'
import type { Ready } from './ready.js'

/**
 * A place under the caps for each: the person's day, and a window source's own. `turnAway` is told of each that got
 * none: 'wait' while somebody in a full cap may still step back. @returns those that got all their places
 */
export async function takePlaces(
  caps: Caps,
  account: Account,
  ready: Ready[],
  now: Date,
  turnAway: (item: Ready, kind: 'wait' | 'capped') => void
): Promise<Ready[]> {
  const wants: CapWant[] = []
  const names = new Map<CapWant, string>()
  const owner = new Map<CapWant, { item: Ready; kind: 'person' | 'window' }>()
  for (const item of ready) {
    const { row } = item
    const name = holdName(row._id, row.n)
    if (isCapped(account, row) && !row.test) {
      const key = capKey(account.id, row.recipientId!, now)
      if (row.cap?.key === key) item.cap = row.cap
      else {
        const want = { row, key, limit: capOf(account, row) }
        wants.push(want)
        names.set(want, name)
        owner.set(want, { item, kind: 'person' })
      }
    }
    const perDay = item.hold.source === 'none' ? null : perDayOf(item.hold.source, account.sources)
    if (perDay !== null && item.hold.cred !== null && !item.doubt) {
      const key = windowKey(item.hold.cred, now)
      if (row.window?.key === key) continue
      const want = { row, key, limit: perDay }
      wants.push(want)
      names.set(want, name)
      owner.set(want, { item, kind: 'window' })
    }
  }
  const answers = await caps.take(wants, names, now)
  const away = new Set<Ready>()
  for (const want of wants) {
    const { item, kind } = owner.get(want)!
    const answer = answers.get(want) ?? 'wait'
    if (answer === 'in') {
      item[kind === 'person' ? 'cap' : 'window'] = { key: want.key, name: names.get(want)! }
      continue
    }
    if (away.has(item)) continue
    away.add(item)
    turnAway(item, answer)
  }
  return ready.filter((item) => !away.has(item))
}
