import type { MessageRow, RowHold } from './model.js'

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
