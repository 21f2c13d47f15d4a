/** Characters as a person counts them; the limits count characters, not bytes. */
const length = (text: string) => [...text].length
const CJK = /[\u3400-\u9fff\uf900-\ufaff]/
const NO_CONTROL = /^[^\p{Cc}\p{Cf}]*$/u
const CLOCK = String.raw`([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?`
const DAY = String.raw`(\d{4}年\d{1,2}月\d{1,2}日|\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{4}\.\d{1,2}\.\d{1,2}|\d{4}年\d{1,2}月|\d{1,2}月\d{1,2}日|\d{4}-\d{1,2}|\d{1,2}-\d{1,2})`
const TIME_POINT = `((${DAY}) ?)?${CLOCK}`
const DATE_POINT = `(${DAY})( ?${CLOCK})?`
const range = (point: string) => new RegExp(`^(${point})( ?~ ?(${point}))?$`)
const TIME = range(TIME_POINT)
const DATE = range(DATE_POINT)

const RULES: Record<string, (value: string) => boolean> = {
  thing: (v) => length(v) <= 20 && !/[\r\n]/.test(v),
  number: (v) => v.length <= 32 && /^-?\d+(\.\d+)?$/.test(v),
  letter: (v) => v.length <= 32 && /^[A-Za-z]+$/.test(v),
  symbol: (v) => length(v) <= 5 && /^[^\p{L}\p{N}\p{Cc}\s]+$/u.test(v),
  character_string: (v) => v.length <= 32 && /^[\x20-\x7e]+$/.test(v),
  time: (v) => TIME.test(v),
  date: (v) => DATE.test(v),
  amount: (v) => /^[^\p{L}\p{N}\s.]?\d{1,10}(\.\d+)?元?$/u.test(v),
  phone_number: (v) => v.length <= 17 && /^[\d+\-() *#]+$/.test(v),
  car_number: (v) => length(v) <= 8 && /^[\u3400-\u9fffA-Za-z0-9][A-Za-z0-9]*[\u3400-\u9fffA-Za-z0-9]$/.test(v),
  name: (v) => NO_CONTROL.test(v) && (CJK.test(v) ? length(v) <= 10 : length(v) <= 20) && !/\d/.test(v),
  phrase: (v) => length(v) <= 5 && /^[\u3400-\u9fff\uf900-\ufaff]+$/.test(v),
  const: (v) => length(v) <= 20
}

/** The placeholders of a template's content, in order: `订单:{{thing2.DATA}}` gives `['thing2']`. */
export function placeholders(content: string): string[] {
  return [...content.matchAll(/\{\{\s*([A-Za-z0-9_]+)\.DATA\s*\}\}/g)].map((match) => match[1]!)
}

/** `character_string12` → `character_string`. */
export const typeOf = (key: string) => key.replace(/\d+$/, '')

/** What one data value is to a typed key: `null` when right, else the word WeChat ends its complaint with. */
export function judgeValue(key: string, item: unknown, enumeration?: readonly string[]): null | 'invalid' | 'is empty' {
  const raw = item !== null && typeof item === 'object' ? (item as { value?: unknown }).value : undefined
  if (typeof raw !== 'string' && typeof raw !== 'number') return 'is empty'
  const value = String(raw)
  if (value.trim() === '') return 'is empty'
  if (enumeration !== undefined) return enumeration.includes(value) ? null : 'invalid'
  const rule = RULES[typeOf(key)]
  return rule === undefined || rule(value) ? null : 'invalid'
}

/** The complaint of 47003 about the first bad key, cut at 48 characters as WeChat cuts it; null when all keys are right. */
export function judgeData(
  keys: readonly string[],
  data: Record<string, unknown>,
  enumerations?: ReadonlyMap<string, readonly string[]>
): string | null {
  for (const key of keys) {
    const verdict = judgeValue(key, data[key], enumerations?.get(key))
    if (verdict !== null) return `argument invalid! data.${key}.value ${verdict}`.slice(0, 48)
  }
  return null
}

/** A JSON object: not null, not an array. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
