import { setFlagsFromString } from 'node:v8'
import { MongoError } from './errors.js'
import { translate, Untranslatable } from './pcre.js'
import { BSONRegExp } from './value.js'

const compiled = new Map<string, RegExp>()
let prepared = false

// Above this many backtracks V8 starts over with its linear engine, if the pattern is one it takes. The flags work for
// expressions compiled after they are set; without them (`l` is then refused) risky patterns are refused altogether.
function prepare(): void {
  if (prepared) return
  prepared = true
  setFlagsFromString('--enable-experimental-regexp-engine')
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
  setFlagsFromString('--regexp-backtracks-before-fallback=50000')
}

/**
 * A BSON regular expression (PCRE) as a JavaScript one: options i, m, s, x and a leading (?imsx) are honoured. One that
 * could backtrack for ever runs in linear time instead, or is refused.
 * @throws MongoError 51091 when JavaScript cannot express it, or cannot promise that it ends.
 */
export function toRegExp(pattern: string, options: string): RegExp {
  const key = `${options}/${pattern}`
  const known = compiled.get(key)
  if (known !== undefined) return known
  let source = pattern.replace(/^(?:\(\*UTF8?\))+/, '')
  let flags = options
  for (let inline; (inline = /^\(\?([imsx]+)\)/.exec(source)) !== null;) {
    source = source.slice(inline[0].length)
    flags += inline[1]
  }
  for (const flag of flags)
    if (!'imsxu'.includes(flag)) throw new MongoError(51108, `invalid flag in regex options: ${flag}`)
  let regex: RegExp
  try {
    regex = compile(source, flags)
  } catch (error) {
    throw new MongoError(51091, `Regular expression is invalid: ${(error as Error).message}`)
  }
  if (compiled.size >= 500) compiled.clear()
  compiled.set(key, regex)
  return regex
}

function compile(source: string, flags: string): RegExp {
  prepare()
  const exact = translate(source, flags, 'exact')
  const regex = new RegExp(exact.source, exact.flags)
  if (!exact.nested && exact.open < 3) return regex
  const linear = inLinearTime(source, flags)
  if (linear !== null) return linear
  if (!exact.nested) return regex
  throw new Untranslatable('a repeated group of varying length that cannot be matched in linear time')
}

function inLinearTime(source: string, flags: string): RegExp | null {
  try {
    const linear = translate(source, flags, 'linear')
    // `l` only asks whether the linear engine takes it; ordinary matching is faster until it backtracks too much.
    new RegExp(linear.source, `${linear.flags}l`)
    return new RegExp(linear.source, linear.flags)
  } catch {
    return null
  }
}

/** A BSON regular expression as a JavaScript one. */
export const regExpOf = (value: BSONRegExp): RegExp => toRegExp(value.pattern, value.options)
