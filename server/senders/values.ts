/** Why a value cannot be sent: `rule` is stable, `message` is for the person who wrote it. */
export type ValueFault = { rule: string; message: string }

type Rule = { rule: string; message: string; holds(value: string, length: number): boolean }

const HAN = /\p{Script=Han}/u
/** Chinese, Japanese or Korean writing. */
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u

const CLOCK = String.raw`(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?`
const DAY = String.raw`(?:0?[1-9]|[12]\d|3[01])`
const MONTH = String.raw`(?:0?[1-9]|1[0-2])`
const DATE = [
  String.raw`\d{4}年${MONTH}月(?:${DAY}[日号])?`,
  String.raw`${MONTH}月${DAY}[日号]`,
  String.raw`\d{4}([-/.])${MONTH}(?:\1${DAY})?`,
  String.raw`${MONTH}[-/.]${DAY}`
]
const dates = DATE.map((form) => new RegExp(`^${form}$`))
const clock = new RegExp(`^${CLOCK}$`)

/**
 * The rules of WeChat's typed fields (developer documentation, parameter table of subscribe messages; category templates
 * of service accounts follow the same). Lengths count characters, not bytes. A value that breaks its rule is answered
 * 47003. Fields without a type (`keyword1`, `first`, `remark`, free names) have no rule.
 */
const RULES: Readonly<Record<string, Rule>> = {
  thing: { rule: 'thing', message: 'at most 20 characters', holds: (_, n) => n <= 20 },
  number: {
    rule: 'number',
    message: 'digits only, at most 32, decimals allowed',
    holds: (v) => /^\d+(\.\d+)?$/.test(v) && digits(v) <= 32
  },
  letter: { rule: 'letter', message: 'at most 32 letters and nothing else', holds: (v) => /^[A-Za-z]{1,32}$/.test(v) },
  symbol: {
    rule: 'symbol',
    message: 'at most 5 symbols: no letters, digits or Chinese',
    holds: (v, n) => n <= 5 && !/[\p{L}\p{N}]/u.test(v)
  },
  character_string: {
    rule: 'character_string',
    message: 'at most 32 digits, letters or symbols, no Chinese',
    holds: (v, n) => n <= 32 && !CJK.test(v)
  },
  time: {
    rule: 'time',
    message: 'a 24-hour time like 20:45, a date before it if you like, ranges with ~',
    holds: (v) => range(v, isTime)
  },
  date: {
    rule: 'date',
    message: 'a date like 2026-03-09 or 2026年3月9日, a time after it if you like, ranges with ~',
    holds: (v) => range(v, isDate)
  },
  amount: {
    rule: 'amount',
    message: 'one currency sign if you like, at most 10 digits, decimals allowed, 元 at the end if you like',
    holds: (v) => /^\p{Sc}?\d+(\.\d+)?元?$/u.test(v) && digits(v) <= 10
  },
  phone_number: {
    rule: 'phone_number',
    message: 'at most 17 digits or symbols',
    holds: (v, n) => n <= 17 && !/\p{L}/u.test(v) && digits(v) > 0
  },
  car_number: {
    rule: 'car_number',
    message: 'at most 8 characters; Chinese only as the first and the last',
    holds: (v) => /^[\p{Script=Han}A-Za-z0-9][A-Za-z0-9]{0,6}[\p{Script=Han}A-Za-z0-9]?$/u.test(v)
  },
  name: {
    rule: 'name',
    message: 'at most 10 characters with Chinese, or at most 20 letters or symbols; no digits',
    holds: (v, n) => !/\p{N}/u.test(v) && n <= (HAN.test(v) ? 10 : 20)
  },
  phrase: {
    rule: 'phrase',
    message: 'at most 5 Chinese characters and nothing else',
    holds: (v) => /^\p{Script=Han}{1,5}$/u.test(v)
  },
  const: { rule: 'const', message: 'at most 20 characters', holds: (_, n) => n <= 20 }
}

/**
 * What is wrong with a field's value, or null. `allowed` are the values an `enum` or `const` field may take (from the
 * template); without them any is let through. Types without a known rule always pass.
 */
export function checkValue(type: string, value: string, allowed?: readonly string[]): ValueFault | null {
  const rule = RULES[type]
  if (rule === undefined && type !== 'enum') return null
  if (value.trim() === '') return { rule: 'empty', message: 'must not be empty' }
  if (/\p{Cc}/u.test(value)) return { rule: 'control', message: 'no line breaks or control characters' }
  if (rule !== undefined && !rule.holds(value, [...value].length)) return { rule: rule.rule, message: rule.message }
  const choice = type === 'enum' || type === 'const'
  if (choice && allowed !== undefined && allowed.length > 0 && !allowed.includes(value)) {
    return { rule: 'enum', message: `one of: ${allowed.join(', ')}` }
  }
  return null
}

/** How many characters a type's value may have; null when its rule is not a plain length. For cutting over-long values. */
export function maxLength(type: string): number | null {
  return type === 'thing' || type === 'const' ? 20 : type === 'character_string' || type === 'letter' ? 32 : null
}

/** The type a field's key names: `thing1` → `thing`, `keyword12` → `keyword`, `first` → `first`. */
export function fieldType(key: string): string {
  return key.replace(/\d+$/, '') || key
}

/** A field of a template: the key to send, the label people see, the type that says what it may hold. */
export type TemplateField = { key: string; name: string; type: string }

/**
 * The fields in a template's `content`, in order, each once. The three kinds write differently: legacy
 * `地址{{keyword1.DATA}}`, subscribe `取件码:{{character_string2.DATA}}`, service also `{{first.DATA}}` on a line of its own;
 * a field without a label is named by its key.
 */
export function parseTemplateContent(content: string): TemplateField[] {
  const fields: TemplateField[] = []
  const seen = new Set<string>()
  let end = 0
  for (const match of content.matchAll(/\{\{\s*([A-Za-z0-9_]+)\.DATA\s*\}\}/g)) {
    const before = content.slice(end, match.index)
    end = match.index + match[0].length
    const key = match[1]!
    if (seen.has(key)) continue
    seen.add(key)
    fields.push({ key, name: labelIn(before) || key, type: fieldType(key) })
  }
  return fields
}

/** The last words before a placeholder, without the colon and punctuation that separates them from it. */
function labelIn(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const line = lines.at(-1) ?? ''
  return line.replace(/^[\s,，;；。]+/, '').replace(/[\s:：]+$/, '')
}

function digits(value: string): number {
  return value.replace(/\D/g, '').length
}

/** One moment, or two joined by `~`; the second may name only what differs from the first. */
function range(value: string, one: (moment: string) => boolean): boolean {
  const [from = '', to, ...more] = value.split(/[~～]/).map((part) => part.trim())
  if (more.length > 0 || !one(from)) return false
  return to === undefined || isTime(to) || isDate(to)
}

function isTime(text: string): boolean {
  if (clock.test(text)) return true
  const found = /^(.*?)\s*(\d{1,2}:\S+)$/.exec(text)
  return found !== null && isDay(found[1]!) && clock.test(found[2]!)
}

function isDate(text: string): boolean {
  if (isDay(text)) return true
  return !clock.test(text) && isTime(text)
}

function isDay(text: string): boolean {
  return dates.some((form) => form.test(text))
}
