import { MongoError } from '../bson/errors.js'
import { dayOfYear, isoWeek, localFrom, localFromIso, UTC, zoneOf, type Zone } from './zones.js'

const pad = (n: number, length: number) => String(n).padStart(length, '0')
const MONTHS = 'January February March April May June July August September October November December'.split(' ')

/** A local time as MongoDB prints dates: 2024-01-31T08:00:00.000Z. */
export const isoText = (local: number): string =>
  formatDate(local, { offset: () => 0, instant: (n) => n }, '%Y-%m-%dT%H:%M:%S.%LZ')

/** $dateToString's format specifiers. @throws MongoError 18536 for an unknown one. */
export function formatDate(ms: number, zone: Zone, format: string): string {
  const offset = zone.offset(ms)
  const local = ms + offset
  const date = new Date(local)
  return format.replace(/%(.?)/gs, (_whole, specifier: string) => {
    switch (specifier) {
      case 'Y': {
        const year = date.getUTCFullYear()
        if (year < 0 || year > 9999)
          throw new MongoError(
            18537,
            `Could not convert date to string: date component was outside the supported range of 0-9999: ${year}`
          )
        return pad(year, 4)
      }
      case 'm':
        return pad(date.getUTCMonth() + 1, 2)
      case 'd':
        return pad(date.getUTCDate(), 2)
      case 'H':
        return pad(date.getUTCHours(), 2)
      case 'M':
        return pad(date.getUTCMinutes(), 2)
      case 'S':
        return pad(date.getUTCSeconds(), 2)
      case 'L':
        return pad(date.getUTCMilliseconds(), 3)
      case 'j':
        return pad(dayOfYear(local), 3)
      case 'w':
        return String(date.getUTCDay() + 1)
      case 'u':
        return String(isoWeek(local).day)
      case 'U':
        return pad(Math.floor((dayOfYear(local) + 6 - date.getUTCDay()) / 7), 2)
      case 'V':
        return pad(isoWeek(local).week, 2)
      case 'G':
        return pad(isoWeek(local).year, 4)
      case 'b':
        return MONTHS[date.getUTCMonth()]!.slice(0, 3)
      case 'B':
        return MONTHS[date.getUTCMonth()]!
      case 'z': {
        const minutes = Math.trunc(Math.abs(offset) / 60_000)
        return `${offset < 0 ? '-' : '+'}${pad(Math.trunc(minutes / 60), 2)}${pad(minutes % 60, 2)}`
      }
      case 'Z':
        return String(Math.trunc(offset / 60_000))
      case '%':
        return '%'
      case '':
        throw new MongoError(18535, "Unmatched '%' at end of format string")
      default:
        throw new MongoError(18536, `Invalid format character '%${specifier}' in format string`)
    }
  })
}

const failed = (text: string, why: string) => new MongoError(241, `Error parsing date string '${text}'; ${why}`)

const ISO =
  /^\s*(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d{2}(?::?\d{2})?|UTC|GMT)?\s*$/

// A text that says its own offset, and a zone given beside it, could contradict each other.
function refuseTwoZones(where: string | undefined, zone: Zone): void {
  if (where !== undefined && zone !== UTC)
    throw new MongoError(
      241,
      `you cannot pass in a date/time string with time zone information ('${where}') together with a timezone argument`
    )
}

/** Milliseconds of an ISO 8601-like text; `zone` counts when the text names none. @throws MongoError 241 */
export function parseDate(text: string, zone: Zone): number {
  const match = ISO.exec(text)
  if (match === null) throw failed(text, 'an ISO 8601 date was expected')
  const [, year, month, day, hour, minute, second, fraction, where] = match
  const fields = [year, month, day ?? 1, hour ?? 0, minute ?? 0, second ?? 0].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  check(text, fields)
  const local = localFrom(...fields, fraction === undefined ? 0 : Math.trunc(Number(`0.${fraction}`) * 1000 + 1e-9))
  refuseTwoZones(where, zone)
  return (where === undefined ? zone : zoneOf(where)).instant(local)
}

function check(
  text: string,
  [year, month, day, hour, minute, second]: [number, number, number, number, number, number]
): void {
  const longest = new Date(Date.UTC(year, month, 0)).getUTCDate()
  if (month < 1 || month > 12 || day < 1 || day > longest || hour > 24 || minute > 59 || second > 60)
    throw failed(text, 'a part is out of its range')
}

/** Milliseconds of a text in the given format of $dateFromString. @throws MongoError 241 when the text does not fit. */
export function parseFormatted(text: string, format: string, zone: Zone): number {
  const found: Record<string, string> = {}
  const names: string[] = []
  const DIGITS: Record<string, string> = {
    Y: '\\d{4}',
    m: '\\d{1,2}',
    d: '\\d{1,2}',
    H: '\\d{1,2}',
    M: '\\d{1,2}',
    S: '\\d{1,2}',
    L: '\\d{1,3}',
    j: '\\d{1,3}',
    G: '\\d{4}',
    V: '\\d{1,2}',
    u: '[1-7]',
    z: 'Z|[+-]\\d{2}:?\\d{2}',
    Z: '[+-]?\\d{1,4}',
    b: '[A-Za-z]{3}',
    B: '[A-Za-z]+'
  }
  const source = format.replace(/%(.?)|[\\^$.*+?()[\]{}|/]/gs, (whole, specifier: string | undefined) => {
    if (specifier === undefined) return `\\${whole}`
    if (specifier === '%') return '%'
    const digits = DIGITS[specifier]
    if (digits === undefined) throw new MongoError(18536, `Invalid format character '%${specifier}' in format string`)
    names.push(specifier)
    return `(${digits})`
  })
  const match = new RegExp(`^${source}$`).exec(text)
  if (match === null) throw failed(text, `it does not fit the format '${format}'`)
  names.forEach((name, i) => (found[name] = match[i + 1]!))
  const has = (...names: string[]) => names.every((name) => found[name] !== undefined)
  const whole = has('G', 'V', 'u') || has('Y', 'j') || has('Y', 'm', 'd') || has('Y', 'b', 'd') || has('Y', 'B', 'd')
  if (!whole) throw failed(text, `an incomplete date/time string has been found, with elements missing`)
  const number = (name: string, usual: number) => (found[name] === undefined ? usual : Number(found[name]))
  const word = found.B ?? found.b
  const month =
    word === undefined
      ? number('m', 1)
      : MONTHS.findIndex((name) => name.toLowerCase().startsWith(word.toLowerCase())) + 1
  const clock = [number('H', 0), number('M', 0), number('S', 0)] as const
  let local: number
  if (found.G !== undefined)
    local = localFromIso(number('G', 1970), number('V', 1), number('u', 1)) + localFrom(1970, 1, 1, ...clock, 0)
  else if (found.j !== undefined) local = localFrom(number('Y', 1970), 1, number('j', 1), ...clock, 0)
  else {
    check(text, [number('Y', 1970), month, number('d', 1), ...clock])
    local = localFrom(number('Y', 1970), month, number('d', 1), ...clock, 0)
  }
  local += found.L === undefined ? 0 : Number(found.L.padEnd(3, '0'))
  refuseTwoZones(found.Z ?? found.z, zone)
  if (found.Z !== undefined) return local - Number(found.Z) * 60_000
  return (found.z === undefined ? zone : zoneOf(found.z)).instant(local)
}
