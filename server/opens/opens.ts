import type { z } from 'zod'
import type { CaptureOpens } from '../../shared/capture.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Messages } from '../messages/messages.js'
import type { MessageRow } from '../messages/model.js'
import type { PhoneCaller } from '../platform/auth.js'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import { isWeb } from './tags.js'

export type Opens = ReturnType<typeof createOpens>

/** Cards that were opened: told by the mini-program they led to, or seen as the link they led through was followed. */
export function createOpens({
  clock,
  accounts,
  messages
}: {
  clock: Clock
  accounts: Pick<Accounts, 'get'>
  messages: Pick<Messages, 'rows' | 'tags' | 'opened'>
}) {
  /** Did this message bring this phone here? A page that was passed on to a friend still carries the tag. */
  function isFor(row: MessageRow, phone: PhoneCaller, appId: string): boolean {
    if (row.accountId === phone.accountId) return row.recipientId === phone.recipientId && row.open?.page !== undefined
    return row.open?.miniprogram?.appId === appId
  }

  return {
    /** What a phone tells; tags that are forged, unknown, or not of a message to it change nothing. */
    async report(phone: PhoneCaller, items: z.infer<typeof CaptureOpens>['items']): Promise<void> {
      const told = new Map<string, Date>()
      for (const { tag, at } of items) {
        const id = messages.tags.idOf(tag)
        const before = id === null ? undefined : told.get(id)
        if (id !== null && (before === undefined || at < before)) told.set(id, at)
      }
      if (told.size === 0) return
      const [{ appId }, found] = await Promise.all([
        accounts.get(phone.accountId),
        messages.rows.find({ _id: { $in: [...told.keys()] } }).toArray()
      ])
      const theirs = found.filter((row) => isFor(row, phone, appId))
      await messages.opened(theirs.map((row) => ({ row, at: told.get(row._id)! })))
    },

    /** Where the link with this tag leads, and that it was followed. @throws NotFound for a tag that leads nowhere */
    async follow(tag: string, counts: boolean): Promise<string> {
      const id = messages.tags.idOf(tag)
      const row = id === null ? null : await messages.rows.findOne({ _id: id })
      const url = row?.open?.url
      if (row === null || url === undefined || !isWeb(url)) {
        throw new NotFound('this link leads nowhere', { code: 'opens.unknown-tag' })
      }
      if (counts) await messages.opened([{ row, at: clock.now() }])
      return url
    }
  }
}
