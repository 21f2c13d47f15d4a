/** Code points, as sorted ranges that do not touch. */
export type Ranges = readonly (readonly [number, number])[]

const LAST = 0x10ffff
const DIGIT: Ranges = [[48, 57]]
const UPPER: Ranges = [[65, 90]]
const LOWER: Ranges = [[97, 122]]
const ALPHA: Ranges = [...UPPER, ...LOWER]
const WORD: Ranges = [...DIGIT, ...UPPER, [95, 95], ...LOWER]
const SPACE: Ranges = [
  [9, 13],
  [32, 32]
]

/** The sets behind \d, \w, \s, \h and \v. PCRE's classes are ASCII, those of \h and \v apart. */
export const NAMED_SETS: Record<string, Ranges | undefined> = {
  d: DIGIT,
  w: WORD,
  s: SPACE,
  h: [9, 32, 0xa0, 0x1680, 0x180e, [0x2000, 0x200a] as const, 0x202f, 0x205f, 0x3000].map((one) =>
    typeof one === 'number' ? ([one, one] as const) : one
  ),
  v: [
    [10, 13],
    [0x85, 0x85],
    [0x2028, 0x2029]
  ]
}

/** The sets behind [:alpha:] and the others. */
export const POSIX_SETS: Record<string, Ranges | undefined> = {
  alpha: ALPHA,
  digit: DIGIT,
  alnum: [...DIGIT, ...ALPHA],
  upper: UPPER,
  lower: LOWER,
  word: WORD,
  space: SPACE,
  blank: [
    [9, 9],
    [32, 32]
  ],
  ascii: [[0, 127]],
  cntrl: [
    [0, 31],
    [127, 127]
  ],
  graph: [[33, 126]],
  print: [[32, 126]],
  punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126]
  ],
  xdigit: [...DIGIT, [65, 70], [97, 102]]
}

/** Both together. */
export function addRanges(one: Ranges, other: Ranges): Ranges {
  const result: [number, number][] = []
  for (const [low, high] of [...one, ...other].sort((a, b) => a[0] - b[0])) {
    const top = result.at(-1)
    if (top && low <= top[1] + 1) top[1] = Math.max(top[1], high)
    else result.push([low, high])
  }
  return result
}

/** Everything else. */
export function complement(ranges: Ranges): Ranges {
  const result: [number, number][] = []
  let next = 0
  for (const [low, high] of ranges) {
    if (low > next) result.push([next, low - 1])
    next = high + 1
  }
  return next <= LAST ? [...result, [next, LAST]] : result
}

/** With the other cases of every letter, as caseless matching takes them. */
export function foldRanges(ranges: Ranges): Ranges {
  const found = new Set<number>()
  const take = (text: string) => {
    const cp = text.codePointAt(0)!
    if (String.fromCodePoint(cp) === text) found.add(cp)
  }
  for (const [low, high] of ranges)
    for (let cp = low; cp <= Math.min(high, 0x1ffff); cp++) {
      const char = String.fromCodePoint(cp)
      const lower = char.toLowerCase()
      const upper = char.toUpperCase()
      if (lower === char && upper === char) continue
      for (const text of [lower, upper, upper.toLowerCase(), lower.toUpperCase()]) take(text)
      // Two letters from elsewhere fold to ASCII ones.
      if (lower === 'k') found.add(0x212a)
      if (lower === 's') found.add(0x17f)
    }
  return addRanges(
    ranges,
    [...found].map((cp) => [cp, cp] as const)
  )
}

const hex = (cp: number) => (cp > 0xffff ? `\\u{${cp.toString(16)}}` : `\\u${cp.toString(16).padStart(4, '0')}`)
const list = (ranges: Ranges) =>
  ranges.map(([low, high]) => (low === high ? hex(low) : `${hex(low)}-${hex(high)}`)).join('')

/**
 * A class for RegExp; `extra` goes in as it is. Without `u` (`halves`) a character beyond 0xffff is a surrogate pair: all
 * of them can be said, or none; null for a part.
 */
export function classOf(ranges: Ranges, negated: boolean, extra: string, halves: false): string
export function classOf(ranges: Ranges, negated: false, extra: string, halves: true): string | null
export function classOf(ranges: Ranges, negated: boolean, extra: string, halves: boolean): string | null {
  const [only] = ranges
  if (ranges.length === 1 && only![0] === only![1] && !negated && extra === '' && only![0] <= 0xffff) {
    const char = String.fromCharCode(only![0])
    return /[\w\u4e00-\u9fff ]/.test(char) ? char : hex(only![0])
  }
  if (!halves) return `[${negated ? '^' : ''}${list(ranges)}${extra}]`
  const beyond = ranges.filter(([, high]) => high > 0xffff)
  if (beyond.length > 1 || beyond.some(([low, high]) => low > 0x10000 || high !== LAST)) return null
  const plain: [number, number][] = []
  for (const [low, high] of ranges) {
    if (low < 0xd800) plain.push([low, Math.min(high, 0xd7ff)])
    if (low <= 0xffff && high > 0xdfff) plain.push([Math.max(low, 0xe000), Math.min(high, 0xffff)])
  }
  const text = `[${list(plain)}]`
  return beyond.length === 0 ? text : `(?:${text}|[\\ud800-\\udbff][\\udc00-\\udfff])`
}
