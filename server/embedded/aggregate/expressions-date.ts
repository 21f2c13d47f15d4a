import { MongoError } from '../bson/errors.js'
import { isDoc, isNumber, ObjectId, Timestamp, toInteger, typeName, type Value } from '../bson/value.js'
import { formatDate, isoText, parseDate, parseFormatted } from './date-text.js'
import { isNullish, namedOf, type Compiler, type Operator, type Operators } from './expression-kit.js'
import type { Expression, Scope } from './scope.js'
import {
  dayOfYear,
  difference,
  isoWeek,
  localFrom,
  localFromIso,
  shift,
  truncate,
  UNITS,
  UTC,
  weekday,
  zoneOf,
  type Unit,
  type Zone
} from './zones.js'

/** Milliseconds of a date, ObjectId or timestamp. @throws MongoError 16006 for anything else. */
export function millisFrom(value: Value): number {
  if (value instanceof Date) return value.getTime()
  if (value instanceof ObjectId) return value.getTimestamp().getTime()
  if (value instanceof Timestamp) return value.t * 1000
  throw new MongoError(16006, `can't convert from BSON type ${typeName(value)} to Date`)
}

function dateOf(ms: number): Date {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) throw new MongoError(15, 'date out of range')
  return date
}

// The zone an optional argument names; null when it evaluates to null, which makes the whole answer null.
function zoneFrom(expression: Expression | undefined, scope: Scope, name: string): Zone | null {
  if (expression === undefined) return UTC
  const value = expression(scope)
  if (isNullish(value)) return null
  if (typeof value !== 'string')
    throw new MongoError(40517, `timezone of ${name} must evaluate to a string, found ${typeName(value)}`)
  return zoneOf(value)
}

function unitFrom(value: Value, name: string): Unit {
  if (typeof value !== 'string')
    throw new MongoError(5439013, `${name} requires 'unit' to be a string, but got ${typeName(value)}`)
  if (!(UNITS as readonly string[]).includes(value))
    throw new MongoError(9, `${name} parameter 'unit' value cannot be recognized as a time unit: ${value}`)
  return value as Unit
}

function firstDayFrom(expression: Expression | undefined, scope: Scope, name: string, usual: number): number | null {
  if (expression === undefined) return usual
  const value = expression(scope)
  if (isNullish(value)) return null
  if (typeof value !== 'string')
    throw new MongoError(5439015, `${name} requires 'startOfWeek' to be a string, but got ${typeName(value)}`)
  return weekday(value)
}

// $year and its kin: a date, or { date, timezone }.
const part =
  (read: (local: number) => number): Operator =>
  (operand, compiler, name) => {
    let date: Expression
    let timezone: Expression | undefined
    if (isDoc(operand) && !(operand.keys().next().value ?? '').startsWith('$')) {
      const named = namedOf(operand, compiler, name, ['date'], ['timezone'])
      date = named.date!
      timezone = named.timezone
    } else {
      const list = Array.isArray(operand) ? operand : [operand]
      if (list.length !== 1)
        throw new MongoError(
          40536,
          `${name} accepts exactly one argument if given an array, but was given ${list.length}`
        )
      date = compiler.compile(list[0]!)
    }
    return (scope) => {
      const value = date(scope)
      const zone = zoneFrom(timezone, scope, name)
      if (isNullish(value) || zone === null) return null
      const ms = millisFrom(value)
      return read(ms + zone.offset(ms))
    }
  }

const utc = (read: (date: Date) => number) => part((local) => read(new Date(local)))

const dateToString: Operator = (operand, compiler, name) => {
  const { date, format, timezone, onNull } = namedOf(
    operand,
    compiler,
    name,
    ['date'],
    ['format', 'timezone', 'onNull']
  )
  return (scope) => {
    const value = date!(scope)
    if (isNullish(value)) return onNull === undefined ? null : onNull(scope)
    const pattern = format?.(scope)
    const zone = zoneFrom(timezone, scope, name)
    if (zone === null || (format !== undefined && isNullish(pattern))) return null
    const ms = millisFrom(value)
    if (pattern === undefined || pattern === null)
      return zone === UTC ? isoText(ms) : isoText(ms + zone.offset(ms)).slice(0, -1)
    if (typeof pattern !== 'string')
      throw new MongoError(18533, `${name} requires that 'format' be a string, found: ${typeName(pattern)}`)
    return formatDate(ms, zone, pattern)
  }
}

const dateFromString: Operator = (operand, compiler, name) => {
  const named = namedOf(operand, compiler, name, ['dateString'], ['format', 'timezone', 'onError', 'onNull'])
  return (scope) => {
    const text = named.dateString!(scope)
    if (isNullish(text)) return named.onNull === undefined ? null : named.onNull(scope)
    const zone = zoneFrom(named.timezone, scope, name)
    if (zone === null) return null
    const pattern = named.format?.(scope)
    if (named.format !== undefined && isNullish(pattern)) return null
    try {
      if (typeof text !== 'string')
        throw new MongoError(
          241,
          `$dateFromString requires that 'dateString' be a string, found: ${typeName(text)} with value`
        )
      if (pattern === undefined || pattern === null) return dateOf(parseDate(text, zone))
      if (typeof pattern !== 'string')
        throw new MongoError(40684, `$dateFromString requires that 'format' be a string, found: ${typeName(pattern)}`)
      return dateOf(parseFormatted(text, pattern, zone))
    } catch (error) {
      if (named.onError !== undefined && error instanceof MongoError && error.code === 241) return named.onError(scope)
      throw error
    }
  }
}

const PARTS = [
  'year',
  'month',
  'day',
  'hour',
  'minute',
  'second',
  'millisecond',
  'isoWeekYear',
  'isoWeek',
  'isoDayOfWeek'
]

const dateFromParts: Operator = (operand, compiler, name) => {
  const named = namedOf(operand, compiler, name, [], [...PARTS, 'timezone'])
  const iso = named.isoWeekYear !== undefined
  if (!iso && named.year === undefined)
    throw new MongoError(40516, `$dateFromParts requires either 'year' or 'isoWeekYear' to be present`)
  return (scope) => {
    let none = false
    const number = (key: string, usual: number) => {
      const expression = named[key]
      if (expression === undefined) return usual
      const value = expression(scope)
      if (isNullish(value)) {
        none = true
        return usual
      }
      const n = toInteger(value)
      if (n === undefined) throw new MongoError(40515, `'${key}' must evaluate to an integer, found ${typeName(value)}`)
      return n
    }
    const zone = zoneFrom(named.timezone, scope, name)
    const clock = [number('hour', 0), number('minute', 0), number('second', 0), number('millisecond', 0)] as const
    const local = iso
      ? localFromIso(number('isoWeekYear', 1970), number('isoWeek', 1), number('isoDayOfWeek', 1)) +
        localFrom(1970, 1, 1, ...clock)
      : localFrom(number('year', 1970), number('month', 1), number('day', 1), ...clock)
    return none || zone === null ? null : dateOf(zone.instant(local))
  }
}

const dateToParts: Operator = (operand, compiler, name) => {
  const { date, timezone, iso8601 } = namedOf(operand, compiler, name, ['date'], ['timezone', 'iso8601'])
  return (scope) => {
    const value = date!(scope)
    const zone = zoneFrom(timezone, scope, name)
    const iso = iso8601?.(scope)
    if (isNullish(value) || zone === null || iso === null) return null
    const ms = millisFrom(value)
    const local = ms + zone.offset(ms)
    const at = new Date(local)
    const week = isoWeek(local)
    const day: [string, Value][] =
      iso === true
        ? [
            ['isoWeekYear', week.year],
            ['isoWeek', week.week],
            ['isoDayOfWeek', week.day]
          ]
        : [
            ['year', at.getUTCFullYear()],
            ['month', at.getUTCMonth() + 1],
            ['day', at.getUTCDate()]
          ]
    return new Map<string, Value>([
      ...day,
      ['hour', at.getUTCHours()],
      ['minute', at.getUTCMinutes()],
      ['second', at.getUTCSeconds()],
      ['millisecond', at.getUTCMilliseconds()]
    ])
  }
}

const dateTrunc: Operator = (operand, compiler, name) => {
  const named = namedOf(operand, compiler, name, ['date', 'unit'], ['binSize', 'timezone', 'startOfWeek'])
  return (scope) => {
    const date = named.date!(scope)
    const unit = named.unit!(scope)
    const bin = named.binSize === undefined ? 1 : named.binSize(scope)
    const zone = zoneFrom(named.timezone, scope, name)
    const first = firstDayFrom(named.startOfWeek, scope, name, 6)
    if (isNullish(date) || isNullish(unit) || isNullish(bin) || zone === null || first === null) return null
    const size = toInteger(bin)
    if (size === undefined)
      throw new MongoError(
        5439017,
        `$dateTrunc requires 'binSize' to be a 64-bit integer, but got value of type ${typeName(bin)}`
      )
    if (size <= 0)
      throw new MongoError(5439018, `$dateTrunc requires 'binSize' to be greater than 0, but got value ${size}`)
    return dateOf(truncate(millisFrom(date), unitFrom(unit, name), size, zone, first))
  }
}

const dateAdd =
  (sign: 1 | -1): Operator =>
  (operand, compiler, name) => {
    const named = namedOf(operand, compiler, name, ['startDate', 'unit', 'amount'], ['timezone'])
    return (scope) => {
      const start = named.startDate!(scope)
      const unit = named.unit!(scope)
      const given = named.amount!(scope)
      const zone = zoneFrom(named.timezone, scope, name)
      if (isNullish(start) || isNullish(unit) || isNullish(given) || zone === null) return null
      const amount = toInteger(given)
      if (amount === undefined) throw new MongoError(5166405, `${name} expects integer amount of time units`)
      return dateOf(shift(millisFrom(start), unitFrom(unit, name), sign * amount, zone))
    }
  }

const dateDiff: Operator = (operand, compiler, name) => {
  const named = namedOf(operand, compiler, name, ['startDate', 'endDate', 'unit'], ['timezone', 'startOfWeek'])
  return (scope) => {
    const start = named.startDate!(scope)
    const end = named.endDate!(scope)
    const unit = named.unit!(scope)
    const zone = zoneFrom(named.timezone, scope, name)
    const first = firstDayFrom(named.startOfWeek, scope, name, 6)
    if (isNullish(start) || isNullish(end) || isNullish(unit) || zone === null || first === null) return null
    return BigInt(difference(millisFrom(start), millisFrom(end), unitFrom(unit, name), zone, first))
  }
}

const stamp =
  (read: (value: Timestamp) => number): Operator =>
  (operand: Value, compiler: Compiler, name: string) => {
    const argument = compiler.compile(Array.isArray(operand) && operand.length === 1 ? operand[0]! : operand)
    return (scope) => {
      const value = argument(scope)
      if (isNullish(value)) return null
      if (!(value instanceof Timestamp))
        throw new MongoError(
          5687301,
          `Argument to ${name} must be a timestamp, but is ${isNumber(value) ? 'a number' : typeName(value)}`
        )
      return BigInt(read(value))
    }
  }

/** Dates, with Olson zones and offsets. */
export const dateOperators: Operators = {
  $year: utc((date) => date.getUTCFullYear()),
  $month: utc((date) => date.getUTCMonth() + 1),
  $dayOfMonth: utc((date) => date.getUTCDate()),
  $dayOfWeek: utc((date) => date.getUTCDay() + 1),
  $dayOfYear: part(dayOfYear),
  $hour: utc((date) => date.getUTCHours()),
  $minute: utc((date) => date.getUTCMinutes()),
  $second: utc((date) => date.getUTCSeconds()),
  $millisecond: utc((date) => date.getUTCMilliseconds()),
  $week: part((local) => Math.floor((dayOfYear(local) + 6 - new Date(local).getUTCDay()) / 7)),
  $isoWeek: part((local) => isoWeek(local).week),
  $isoWeekYear: part((local) => isoWeek(local).year),
  $isoDayOfWeek: part((local) => isoWeek(local).day),
  $dateToString: dateToString,
  $dateFromString: dateFromString,
  $dateFromParts: dateFromParts,
  $dateToParts: dateToParts,
  $dateTrunc: dateTrunc,
  $dateAdd: dateAdd(1),
  $dateSubtract: dateAdd(-1),
  $dateDiff: dateDiff,
  $tsSecond: stamp((value) => value.t),
  $tsIncrement: stamp((value) => value.i)
}
