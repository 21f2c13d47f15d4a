import { compareStrings } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { regExpOf, toRegExp } from '../bson/regex.js'
import { BSONRegExp, isNumber, toInteger, typeName, type Doc, type Value } from '../bson/value.js'
import { isoText } from './date-text.js'
import { binary, isNullish, namedOf, unary, variadic, type Operator, type Operators } from './expression-kit.js'
import { show } from '../bson/show.js'
import { checkText } from './sizes.js'

// What $toUpper, $substr and the like accept besides strings.
function textual(value: Value | undefined): string {
  if (isNullish(value)) return ''
  if (typeof value === 'string') return value
  if (value instanceof Date) return isoText(value.getTime())
  if (isNumber(value)) return typeof value === 'object' ? value.toString() : String(value)
  throw new MongoError(16007, `can't convert from BSON type ${typeName(value)} to String`)
}

const needText = (value: Value | undefined, code: number, message: string): string => {
  if (typeof value !== 'string') throw new MongoError(code, message)
  return value
}

const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
const upper = (text: string) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase())

function whole(value: Value | undefined, code: number, name: string): number {
  const n = isNumber(value) ? toInteger(value) : undefined
  if (n === undefined)
    throw new MongoError(code, `${name}: starting index and length must be integers (found ${typeName(value)})`)
  return n
}

const substrCP = variadic(
  ([value, from, count], name) => {
    const points = [...textual(value)]
    const [start, length] = [whole(from, 34450, name), whole(count, 34452, name)]
    if (start < 0) throw new MongoError(34455, `${name}: the starting index must be nonnegative integer.`)
    if (length < 0) throw new MongoError(34454, `${name}: length must be a nonnegative integer.`)
    return points.slice(start, start + length).join('')
  },
  3,
  3
)

const substrBytes = variadic(
  ([value, from, count], name) => {
    const bytes = Buffer.from(textual(value), 'utf8')
    const [start, length] = [whole(from, 16034, name), whole(count, 16035, name)]
    if (start < 0) throw new MongoError(50752, `${name}: starting index must be non-negative (got: ${start})`)
    const end = length < 0 ? bytes.length : Math.min(bytes.length, start + length)
    const splits = (at: number) => at < bytes.length && (bytes[at]! & 0xc0) === 0x80
    if (splits(start))
      throw new MongoError(28656, `${name}:  Invalid range, starting index is a UTF-8 continuation byte.`)
    if (splits(end))
      throw new MongoError(28657, `${name}:  Invalid range, ending index is in the middle of a UTF-8 character.`)
    return bytes.toString('utf8', start, Math.max(start, end))
  },
  3,
  3
)

const indexOfText = (split: (text: string) => string[] | Buffer): Operator =>
  variadic(
    ([text, token, from, to], name) => {
      if (isNullish(text)) return null
      const where = split(
        needText(text, 40091, `${name} requires a string as the first argument, found: ${typeName(text)}`)
      )
      const what = split(
        needText(token, 40092, `${name} requires a string as the second argument, found: ${typeName(token)}`)
      )
      const start = from === undefined ? 0 : whole(from, 40096, name)
      const end = to === undefined ? where.length : Math.min(where.length, whole(to, 40096, name))
      if (start < 0 || end < 0) throw new MongoError(40097, `${name} requires a nonnegative index`)
      for (let i = start; i + what.length <= end; i++) {
        let same = 0
        while (same < what.length && where[i + same] === what[same]) same++
        if (same === what.length) return i
      }
      return -1
    },
    2,
    4
  )

const BLANK = '\\0\\s\\u200b'

const trim =
  (left: boolean, right: boolean): Operator =>
  (operand, compiler, name) => {
    const { input, chars } = namedOf(operand, compiler, name, ['input'], ['chars'])
    return (scope) => {
      const value = input!(scope)
      const given = chars?.(scope)
      if (isNullish(value) || (chars !== undefined && isNullish(given))) return null
      const text = needText(
        value,
        50699,
        `${name} requires its input to be a string, got ${show(value)} (of type ${typeName(value)}) instead.`
      )
      if (given === undefined || given === null) {
        let result = text
        if (left) result = result.replace(new RegExp(`^[${BLANK}]+`, 'u'), '')
        return right ? result.replace(new RegExp(`[${BLANK}]+$`, 'u'), '') : result
      }
      const set = new Set(
        needText(
          given,
          50700,
          `${name} requires 'chars' to be a string, got ${show(given)} (of type ${typeName(given)}) instead.`
        )
      )
      const points = [...text]
      let [start, end] = [0, points.length]
      while (left && start < end && set.has(points[start]!)) start++
      while (right && end > start && set.has(points[end - 1]!)) end--
      return points.slice(start, end).join('')
    }
  }

const replace =
  (all: boolean): Operator =>
  (operand, compiler, name) => {
    const named = namedOf(operand, compiler, name, ['input', 'find', 'replacement'])
    return (scope) => {
      const [input, find, replacement] = ['input', 'find', 'replacement'].map((key) => {
        const value = named[key]!(scope)
        if (isNullish(value)) return undefined
        return needText(value, 51746, `${name} requires that '${key}' be a string, found: ${show(value)}`)
      })
      if (input === undefined || find === undefined || replacement === undefined) return null
      if (!all) return input.replace(find, () => replacement)
      let length = input.length
      for (let i = input.indexOf(find); i >= 0 && i < input.length; i = input.indexOf(find, i + (find.length || 1)))
        checkText((length += replacement.length - find.length), name)
      return input.replaceAll(find, () => replacement)
    }
  }

const regex =
  (answer: (text: string, pattern: RegExp) => Value): Operator =>
  (operand, compiler, name) => {
    const named = namedOf(operand, compiler, name, ['input', 'regex'], ['options'])
    return (scope) => {
      const input = named.input!(scope)
      const pattern = named.regex!(scope)
      const options = named.options?.(scope)
      if (!isNullish(options) && typeof options !== 'string')
        throw new MongoError(51106, `${name} needs 'options' to be of type string`)
      if (!isNullish(input) && typeof input !== 'string')
        throw new MongoError(51104, `${name} needs 'input' to be of type string`)
      if (isNullish(pattern)) return answer('', /(?!)/)
      let compiled: RegExp
      if (pattern instanceof BSONRegExp) {
        if (!isNullish(options) && pattern.options !== '')
          throw new MongoError(51107, `${name}: found regex option(s) specified in both 'regex' and 'option' fields`)
        compiled = isNullish(options) ? regExpOf(pattern) : toRegExp(pattern.pattern, options)
      } else
        compiled = toRegExp(
          needText(pattern, 51105, `${name} needs 'regex' to be of type string or regex`),
          options ?? ''
        )
      return isNullish(input) ? answer('', /(?!)/) : answer(input, compiled)
    }
  }

const found = (match: RegExpExecArray | RegExpMatchArray): Doc =>
  new Map<string, Value>([
    ['match', match[0]],
    ['idx', [...match.input!.slice(0, match.index)].length],
    ['captures', match.slice(1).map((text) => text ?? null)]
  ])

/** Strings. */
export const stringOperators: Operators = {
  $concat: variadic((values, name) => {
    if (values.some(isNullish)) return null
    const texts = values.map((value) => needText(value, 16702, `${name} only supports strings, not ${typeName(value)}`))
    checkText(
      texts.reduce((sum, text) => sum + text.length, 0),
      name
    )
    return texts.join('')
  }),
  $toUpper: unary((value) => upper(textual(value))),
  $toLower: unary((value) => lower(textual(value))),
  $substr: substrBytes,
  $substrBytes: substrBytes,
  $substrCP: substrCP,
  $strLenBytes: unary((value, name) =>
    Buffer.byteLength(needText(value, 34473, `${name} requires a string argument, found: ${typeName(value)}`))
  ),
  $strLenCP: unary(
    (value, name) => [...needText(value, 34471, `${name} requires a string argument, found: ${typeName(value)}`)].length
  ),
  $strcasecmp: binary((a, b) => compareStrings(upper(textual(a)), upper(textual(b)))),
  $split: binary((text, by) => {
    if (isNullish(text) || isNullish(by)) return null
    const left = needText(
      text,
      40085,
      `$split requires an expression that evaluates to a string as a first argument, found: ${typeName(text)}`
    )
    const right = needText(
      by,
      40086,
      `$split requires an expression that evaluates to a string as a second argument, found: ${typeName(by)}`
    )
    if (right === '') throw new MongoError(40087, '$split requires a non-empty separator')
    return left.split(right)
  }),
  $indexOfCP: indexOfText((text) => [...text]),
  $indexOfBytes: indexOfText((text) => Buffer.from(text, 'utf8')),
  $trim: trim(true, true),
  $ltrim: trim(true, false),
  $rtrim: trim(false, true),
  $replaceOne: replace(false),
  $replaceAll: replace(true),
  $regexMatch: regex((text, pattern) => pattern.test(text)),
  $regexFind: regex((text, pattern) => {
    const match = pattern.exec(text)
    return match === null ? null : found(match)
  }),
  $regexFindAll: regex((text, pattern) => [...text.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map(found))
}
