import { parse } from 'lossless-json'

/** A run of 16 digits is the shortest number a double may not hold; most answers have none and take the fast road. */
const MAY_LOSE_DIGITS = /[:[,]\s*-?\d{16}/

/**
 * JSON text to plain values. Whole numbers a double cannot hold come back as strings of all their digits: msgid and
 * MsgID have 19. Of a key given twice the last value counts, as in JSON.parse.
 * @throws SyntaxError when the text is not JSON
 */
export function parseJson(text: string): unknown {
  if (!MAY_LOSE_DIGITS.test(text)) return JSON.parse(text)
  return parse(text, null, { parseNumber: numberOrDigits, onDuplicateKey: ({ newValue }) => newValue })
}

function numberOrDigits(digits: string): number | string {
  const number = Number(digits)
  return Number.isInteger(number) && !Number.isSafeInteger(number) && /^-?\d+$/.test(digits) ? digits : number
}
