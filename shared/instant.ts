import { z } from 'zod'

/** An instant: RFC 3339 text on the wire (any offset is read, UTC is written), a Date inside. */
export const Instant = z
  .codec(z.iso.datetime({ offset: true }), z.date(), {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString()
  })
  .meta({ description: 'RFC 3339 instant' })

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
