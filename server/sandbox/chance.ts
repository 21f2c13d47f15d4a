const WORD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const HEX = '0123456789abcdef'

/** Seeded chance: the same seed gives the same ids, latencies and faults in the same order of calls. */
export interface Chance {
  /** A number in [0, 1). */
  next(): number
  /** A number in [min, max). */
  between(min: number, max: number): number
  /** `length` lower-case hex digits. */
  hex(length: number): string
  /** `length` characters of A-Z a-z 0-9 - _, the alphabet of openids and template ids. */
  word(length: number): string
}

/** Mulberry32: small, fast, good enough for a simulator; not for secrets. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let z = state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296
  }
  const draw = (alphabet: string, length: number) => {
    let text = ''
    for (let i = 0; i < length; i++) text += alphabet[Math.floor(next() * alphabet.length)]
    return text
  }
  return {
    next,
    between: (min, max) => min + next() * (max - min),
    hex: (length) => draw(HEX, length),
    word: (length) => draw(WORD, length)
  }
}
