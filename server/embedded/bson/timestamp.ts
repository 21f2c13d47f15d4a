import { Timestamp } from './value.js'
import type { Doc } from './value.js'

const last = { t: 0, i: 0 }

/** The timestamp of `now`, later than every one given before within the same second. */
export function timestampOf(now: Date): Timestamp {
  const t = Math.floor(now.getTime() / 1000)
  last.i = t === last.t ? last.i + 1 : 1
  last.t = t
  return new Timestamp({ t, i: last.i })
}

/** The document with the current time where a top-level field is Timestamp(0, 0), as MongoDB stores it; else itself. */
export function withTimestamps(doc: Doc, now: Date): Doc {
  let copy: Doc | undefined
  for (const [name, value] of doc) {
    if (!(value instanceof Timestamp) || value.t !== 0 || value.i !== 0) continue
    copy ??= new Map(doc)
    copy.set(name, timestampOf(now))
  }
  return copy ?? doc
}
