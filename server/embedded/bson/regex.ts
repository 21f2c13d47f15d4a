import { MongoError } from './errors.js'
import { BSONRegExp } from './value.js'

const compiled = new Map<string, RegExp>()

/**
 * A BSON regular expression (PCRE) as a JavaScript one: options i, m, s, x and a leading (?imsx) are honoured.
 * @throws MongoError 51091 when JavaScript cannot express it.
 */
export function toRegExp(pattern: string, options: string): RegExp {
  const key = `${options}/${pattern}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  let source = pattern
  let flags = options
  const inline = /^\(\?([imsx]+)\)/.exec(source)
  if (inline !== null) {
    source = source.slice(inline[0].length)
    flags += inline[1]
  }
  for (const flag of flags)
    if (!'imsxu'.includes(flag)) throw new MongoError(51108, `invalid flag in regex options: ${flag}`)
  if (flags.includes('x')) source = withoutBlanks(source)
  source = source.replace(/\\A/g, '(?<![\\s\\S])').replace(/\\[zZ]/g, '(?![\\s\\S])')
  const wanted = ['i', 'm', 's'].filter((flag) => flags.includes(flag)).join('')
  let regex: RegExp
  try {
    try {
      regex = new RegExp(source, `${wanted}u`)
    } catch {
      regex = new RegExp(source, wanted)
    }
  } catch (error) {
    throw new MongoError(51091, `Regular expression is invalid: ${(error as Error).message}`)
  }
  if (compiled.size >= 500) compiled.clear()
  compiled.set(key, regex)
  return regex
}

/** A BSON regular expression as a JavaScript one. */
export const regExpOf = (value: BSONRegExp): RegExp => toRegExp(value.pattern, value.options)

function withoutBlanks(source: string): string {
  let result = ''
  let inClass = false
  for (let i = 0; i < source.length; i++) {
    const char = source[i]!
    if (char === '\\') {
      result += char + (source[++i] ?? '')
      continue
    }
    if (char === '[') inClass = true
    if (char === ']') inClass = false
    if (!inClass && /\s/.test(char)) continue
    if (!inClass && char === '#') {
      while (i < source.length && source[i] !== '\n') i++
      continue
    }
    result += char
  }
  return result
}
