import { EJSON } from 'bson'

/** How strictly documents are compared. */
export type Strictness = {
  /** `exact`: the same fields in the same order; `root`: further fields are allowed in this document, not in those inside. */
  documents: 'exact' | 'root'
}

const TYPES: Record<string, (value: unknown) => boolean> = {
  int: (value) => bsonType(value) === 'Int32',
  long: (value) => bsonType(value) === 'Long',
  double: (value) => bsonType(value) === 'Double',
  decimal: (value) => bsonType(value) === 'Decimal128',
  objectId: (value) => bsonType(value) === 'ObjectId',
  binData: (value) => bsonType(value) === 'Binary',
  string: (value) => typeof value === 'string',
  bool: (value) => typeof value === 'boolean',
  date: (value) => value instanceof Date,
  array: (value) => Array.isArray(value),
  object: (value) => isPlain(value),
  null: (value) => value === null
}

const bsonType = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null ? (value as { _bsontype?: string })._bsontype : undefined

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date) && !bsonType(value)

/** Text that tells apart every BSON type and value. */
const canonical = (value: unknown): string =>
  value === undefined ? 'nothing' : EJSON.stringify({ value }, { relaxed: false }).slice(9, -1)

/** The number a value stands for, whatever its type; a Decimal128 is never a plain number. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  const type = bsonType(value)
  return type === 'Int32' || type === 'Double' || type === 'Long' ? Number(value) : undefined
}

/**
 * Every way in which `actual` is not what was expected, as sentences; none when it is. A plain number stands for any
 * int32, int64 or double of that value; a value with its type written out stands for that type alone.
 * @throws Error for a special operator that does not exist.
 */
export function mismatches(expected: unknown, actual: unknown, strictness: Strictness, path = 'result'): string[] {
  const differs = () => [`${path}: expected ${canonical(expected)}, got ${canonical(actual)}`]
  if (typeof expected === 'number')
    return Object.is(numberOf(actual), expected) || numberOf(actual) === expected ? [] : differs()
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return differs()
    return expected.flatMap((item, i) => mismatches(item, actual[i], strictness, `${path}[${i}]`))
  }
  if (!isPlain(expected)) return canonical(expected) === canonical(actual) ? [] : differs()
  const [first] = Object.keys(expected)
  if (first?.startsWith('$$')) return special(first, expected[first], actual, strictness, path)
  if (!isPlain(actual)) return differs()
  const found = Object.entries(expected).flatMap(([name, value]) => {
    const inner: Strictness = { documents: 'exact' }
    return mismatches(value, actual[name], inner, `${path}.${name}`)
  })
  if (found.length > 0 || strictness.documents === 'root') return found
  const wanted = Object.keys(expected).filter((name) => name in actual)
  const got = Object.keys(actual)
  return wanted.join('\0') === got.join('\0')
    ? []
    : [`${path}: expected the fields ${wanted.join()}, got ${got.join()}`]
}

function special(name: string, operand: unknown, actual: unknown, strictness: Strictness, path: string): string[] {
  const present = actual !== undefined
  switch (name) {
    case '$$exists':
      return present === operand
        ? []
        : [`${path}: expected ${operand ? 'a value' : 'nothing'}, got ${canonical(actual)}`]
    case '$$unsetOrMatches':
      return present ? mismatches(operand, actual, strictness, path) : []
    case '$$matchAsRoot':
      return mismatches(operand, actual, { documents: 'root' }, path)
    case '$$lte':
      return (numberOf(actual) ?? Infinity) <= Number(operand)
        ? []
        : [`${path}: expected at most ${String(operand)}, got ${canonical(actual)}`]
    case '$$type': {
      const names = (Array.isArray(operand) ? operand : [operand]) as string[]
      for (const type of names) if (!Object.hasOwn(TYPES, type)) throw new Error(`$$type: unknown type ${type}`)
      return names.some((type) => TYPES[type](actual))
        ? []
        : [`${path}: expected a ${names.join(' or ')}, got ${canonical(actual)}`]
    }
    default:
      throw new Error(`unknown special operator ${name}`)
  }
}
