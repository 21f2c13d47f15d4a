import { z } from 'zod'

/** Later than any plan, and early enough that a life added to it still has four digits. */
const LAST_YEAR = 9000

/** An instant: RFC 3339 text on the wire (any offset is read, UTC is written), a Date inside; years 1 to 9000. */
export const Instant = z
  .codec(
    z.iso.datetime({ offset: true }).refine(isNearEnough, { message: 'not within the years 1 to 9000' }),
    z.date(),
    {
      decode: (text) => new Date(text),
      encode: (date) => date.toISOString()
    }
  )
  .meta({ description: 'RFC 3339 instant' })

function isNearEnough(text: string): boolean {
  const year = new Date(text).getUTCFullYear()
  return year >= 1 && year <= LAST_YEAR
}

/** An IANA zone name such as Asia/Shanghai. */
export const Zone = z.string().refine(isZone, { message: 'not an IANA time zone' })

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
