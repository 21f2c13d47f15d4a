import type { SendInput } from '../senders/sender.js'
import type { MessageRow, RowHold } from './model.js'
import type { Asked } from './settle.js'

/** A leased row with everything it needs in hand: only its slot is missing. */
export type Ready = {
  row: MessageRow
  lease: string
  /** When the lease was asked for, before the command: by the beat and by the wall. */
  leasedAt: { monotonic: number; wall: number }
  hold: RowHold
  /** The bare formId or prepay_id; null where the channel needs none. */
  value: string | null
  openId: string
  cap: { key: string; name: string } | null
  window: { key: string; name: string } | null
  liveForMs: number | null
  /** M8 was written: the row says `sending`. */
  marked: boolean
  doubt: boolean
}

/**
 * What is asked of WeChat: for the same row, hold and round always the same, so that an attempt in doubt is asked again and
 * not anew. Where a tap leads is added by who knows the links. Pure.
 */
export const requestOf = ({ row, openId, value }: Ready): SendInput => ({
  channel: row.channel,
  openId,
  templateId: row.templateId,
  data: row.data,
  formId: row.channel === 'legacy' ? (value ?? undefined) : undefined,
  emphasis: row.emphasis ?? undefined,
  clientMsgId: row.channel === 'service' ? `${row._id}.${row.round}` : undefined
})

/** What the meaning of the answer depends on. Pure. */
export const askedOf = ({ row, hold, doubt, liveForMs }: Ready, exclusive: boolean, burst: boolean): Asked => ({
  channel: row.channel,
  source: hold.source,
  doubt,
  minus1: hold.minus1 === true,
  exclusive,
  attempt: row.attempt,
  liveForMs,
  burst
})
