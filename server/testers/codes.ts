import { randomInt } from 'node:crypto'

/** Without the letters and digits that are taken for one another. */
const SIGNS = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'
const LENGTH = 8
/** How a code is typed: in either case, perhaps in two halves. */
const TYPED = /^[\s-]*(?:[0-9a-z][\s-]*){8}$/i

/** A code nobody guesses in its ten minutes: one of 8.5 × 10^11. */
export function newCode(): string {
  return Array.from({ length: LENGTH }, () => SIGNS[randomInt(SIGNS.length)]).join('')
}

/** The code a text is; null when it is something else. */
export function codeIn(text: string): string | null {
  if (text.length > 40 || !TYPED.test(text)) return null
  const code = text.replace(/[\s-]/g, '').toUpperCase()
  return [...code].every((sign) => SIGNS.includes(sign)) ? code : null
}
