import { addRanges, classOf, complement, foldRanges, NAMED_SETS, POSIX_SETS, type Ranges } from './pcre-sets.js'

/** A PCRE pattern in JavaScript's words, with what there is to know before running it. */
export type Translated = {
  source: string
  flags: string
  /** A repeated group holds something of varying length or alternatives: backtracking may take exponential time. */
  nested: boolean
  /** How many quantifiers have no small upper end. */
  open: number
}

/**
 * `exact` keeps PCRE's meaning to the letter, with lookaround for line ends. `linear` keeps to what V8's linear engine
 * takes: no `u`, no `i`, and a match ending in `$` may take the last newline along.
 */
export type Mode = 'exact' | 'linear'

/** Why a pattern cannot be said in JavaScript. */
export class Untranslatable extends Error {}

type Group = { varying: boolean }
type Atom = { ranges: Ranges } | { cp: number }
const CONTROLS: Record<string, number> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 }
const OPENINGS = /^\((?:\?(?::|=|!|<=|<!|P?<(?<name>[A-Za-z_]\w*)>|'(?<quoted>[A-Za-z_]\w*)'))?/

const refuse = (what: string): never => {
  throw new Untranslatable(`${what} is not supported`)
}

/**
 * Reads a PCRE pattern token by token and writes it for JavaScript's RegExp.
 * @throws Untranslatable for syntax JavaScript has no words for.
 */
export function translate(pattern: string, options: string, mode: Mode): Translated {
  const linear = mode === 'linear'
  const [caseless, lines, dotAll, extended] = ['i', 'm', 's', 'x'].map((flag) => options.includes(flag))
  const groups: Group[] = [{ varying: false }]
  let at = 0
  let source = ''
  let nested = false
  let open = 0
  let last: Group | null = null

  const put = (text: string) => {
    source += text
    last = null
  }
  const set = (ranges: Ranges, negated = false, extra = '') => {
    if (!linear) return put(classOf(ranges, negated, extra, false))
    if (extra !== '') refuse('\\p')
    const folded = caseless ? foldRanges(ranges) : ranges
    const text = classOf(negated ? complement(folded) : folded, false, '', true)
    put(text ?? refuse('this range'))
  }
  const lineEnd = (before: string) => (linear ? `${before}$` : `(?=${before}$)`)

  // `\p{..}` and its kin, as JavaScript spells them
  function property(letter: string): string {
    const found = /^(?:\{(\^?)([\w =&]+)\}|([A-Z]))/.exec(pattern.slice(at))
    if (found === null) return refuse(`\\${letter} without a property`)
    at += found[0].length
    const name = found[2] ?? found[3]!
    const kind = (letter === 'p') === (found[1] !== '^') ? 'p' : 'P'
    for (const spelt of [name, `Script=${name}`]) {
      const text = `\\${kind}{${spelt}}`
      try {
        new RegExp(text, 'u')
        return text
      } catch {
        continue
      }
    }
    return refuse(`\\p{${name}}`)
  }

  // What stands for one character, behind a backslash that was read; null: not of this kind, nothing was read.
  function escaped(inClass: boolean): Atom | null {
    const rest = pattern.slice(at)
    const char = String.fromCodePoint(pattern.codePointAt(at) ?? 0)
    const read = (length: number, atom: Atom) => {
      at += length
      return atom
    }
    const hex = /^(?:x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{0,2})(?!\{))/.exec(rest)
    if (hex) return read(hex[0].length, { cp: parseInt((hex[1] ?? hex[2]) || '0', 16) })
    const octal = /^(?:o\{([0-7]{1,7})\}|(0[0-7]{0,2}))/.exec(rest) ?? (inClass ? /^(?:([0-7]{1,3}))/.exec(rest) : null)
    if (octal) return read(octal[0].length, { cp: parseInt(octal[1] ?? octal[2]!, 8) })
    if (/^c[ -~]/.test(rest)) return read(2, { cp: rest[1]!.toUpperCase().charCodeAt(0) ^ 64 })
    if (inClass && char === 'b') return read(1, { cp: 8 })
    if (Object.hasOwn(CONTROLS, char)) return read(1, { cp: CONTROLS[char]! })
    const sets = NAMED_SETS[char.toLowerCase()]
    if (sets && char !== 'N') return read(1, { ranges: char === char.toLowerCase() ? sets : complement(sets) })
    if (rest !== '' && !/^[0-9A-Za-z]/.test(char)) return read(char.length, { cp: char.codePointAt(0)! })
    return null
  }

  function quoted(): string {
    const end = pattern.indexOf('\\E', at)
    const text = pattern.slice(at, end < 0 ? undefined : end)
    at = end < 0 ? pattern.length : end + 2
    return text
  }

  function escape(): void {
    const atom = escaped(false)
    if (atom) return set('cp' in atom ? [[atom.cp, atom.cp]] : atom.ranges)
    const char = pattern[at++] ?? refuse('a backslash at the end')
    const back =
      /^(?:([1-9]\d*))/.exec(char + pattern.slice(at)) ??
      (char === 'g' ? /^\{?([1-9]\d*)\}?/.exec(pattern.slice(at)) : null)
    if (back) {
      at += char === 'g' ? back[0].length : back[0].length - 1
      return put(`(?:\\${back[1]})`)
    }
    const name = char === 'k' ? /^(?:<(\w+)>|\{(\w+)\}|'(\w+)')/.exec(pattern.slice(at)) : null
    if (name) {
      at += name[0].length
      return put(`\\k<${name[1] ?? name[2] ?? name[3]}>`)
    }
    if (linear && lines && 'AzZ'.includes(char)) refuse(`\\${char}`)
    switch (char) {
      case 'Q':
        for (const literal of quoted()) set([[literal.codePointAt(0)!, literal.codePointAt(0)!]])
        return
      case 'E':
        return
      case 'A':
        return put('^')
      case 'z':
        return put('$')
      case 'Z':
        return put(lineEnd('\\n?'))
      case 'b':
      case 'B':
        return put(`\\${char}`)
      case 'N':
        return set([[10, 10]], true)
      case 'R':
        return put('(?:\\r\\n|[\\n-\\r\\x85\\u2028\\u2029])')
      case 'p':
      case 'P':
        return set([], false, property(char))
    }
    refuse(`\\${char}`)
  }

  function charClass(): void {
    const negated = pattern[at] === '^'
    if (negated) at++
    let ranges: Ranges = []
    let extra = ''
    let from: number | null = null
    let dash = false
    const one = (cp: number) => {
      if (dash && from !== null) {
        if (cp < from) refuse('a range out of order')
        ranges = addRanges(ranges, [[from, cp]])
        from = null
      } else {
        ranges = addRanges(ranges, [[cp, cp]])
        from = cp
      }
      dash = false
    }
    const many = (more: Ranges) => {
      ranges = addRanges(ranges, dash ? [...more, [45, 45]] : more)
      from = null
      dash = false
    }
    for (let first = true; ; first = false) {
      if (at >= pattern.length) refuse('a class without an end')
      const posix = /^\[:(\^?)(\w+):\]/.exec(pattern.slice(at, at + 20))
      const cp = pattern.codePointAt(at)!
      if (cp === 93 && !first) break
      if (posix) {
        at += posix[0].length
        const known = POSIX_SETS[posix[2]!] ?? refuse(`[:${posix[2]}:]`)
        many(posix[1] === '^' ? complement(known) : known)
      } else if (cp === 92) {
        at++
        const atom = escaped(true)
        const letter = pattern[at]!
        if (atom) {
          if ('cp' in atom) one(atom.cp)
          else many(atom.ranges)
        } else if (letter === 'Q' || letter === 'E') {
          at++
          if (letter === 'Q') for (const literal of quoted()) one(literal.codePointAt(0)!)
        } else if (letter === 'p' || letter === 'P') {
          at++
          extra += property(letter)
          from = null
        } else refuse(`\\${letter ?? ''} in a class`)
      } else {
        at += cp > 0xffff ? 2 : 1
        if (cp === 45 && from !== null && !dash && pattern[at] !== ']') dash = true
        else one(cp)
      }
    }
    at++
    set(ranges, negated, extra)
  }

  function opening(): void {
    const rest = pattern.slice(at - 1)
    const comment = /^\(\?#[^)]*\)/.exec(rest)
    if (comment) return void (at += comment[0].length - 1)
    const found = OPENINGS.exec(rest)!
    if (found[0] === '(' && /^\([?*]/.test(rest)) refuse(rest.slice(0, 4))
    at += found[0].length - 1
    const name = found.groups?.name ?? found.groups?.quoted
    put(name === undefined ? found[0] : `(?<${name}>`)
    groups.push({ varying: false })
  }

  function quantifier(text: string): void {
    const counts = /^\{(\d+)(,?)(\d*)\}/.exec(text)
    const min = counts ? Number(counts[1]) : text[0] === '+' ? 1 : 0
    const max = counts ? Number(counts[3] || (counts[2] ? Infinity : min)) : text[0] === '?' ? 1 : Infinity
    if (text.endsWith('+') && text.length > 1) refuse('a possessive quantifier')
    if (last?.varying && max > 4) nested = true
    if (max > 50) open++
    if (min !== max) groups.at(-1)!.varying = true
    put(text)
  }

  while (at < pattern.length) {
    const cp = pattern.codePointAt(at)!
    const char = String.fromCodePoint(cp)
    const times = /^(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?/.exec(pattern.slice(at, at + 40))
    at += char.length
    if (extended && /[ \t-\r]/.test(char)) continue
    if (extended && char === '#') {
      const end = pattern.indexOf('\n', at)
      at = end < 0 ? pattern.length : end + 1
    } else if (times) {
      at += times[0].length - char.length
      quantifier(times[0])
    } else if (char === '\\') escape()
    else if (char === '[') charClass()
    else if (char === '(') opening()
    else if (char === ')') {
      const group = groups.length > 1 ? groups.pop()! : refuse('an unmatched )')
      if (group.varying) groups.at(-1)!.varying = true
      put(')')
      last = group
    } else if (char === '|') {
      groups.at(-1)!.varying = true
      put('|')
    } else if (char === '.') set(dotAll ? [] : [[10, 10]], true)
    else if (char === '^') put(!lines || linear ? '^' : '(?:^|(?<=\\n)(?!$))')
    else if (char === '$') put(lines ? (linear ? '$' : '(?=\\n|$)') : lineEnd('\\n?'))
    else set([[cp, cp]])
  }
  return { source, flags: linear ? (lines ? 'm' : '') : caseless ? 'iu' : 'u', nested, open }
}
