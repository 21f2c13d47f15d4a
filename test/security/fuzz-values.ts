/** Bad input made of a schema: first something it would take, then that with one thing wrong about it. */

export type Schema = {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  additionalProperties?: Schema | boolean
  format?: string
  pattern?: string
  minLength?: number
  minItems?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
}
export type Chance = ReturnType<typeof createChance>

/** The same numbers for the same seed (mulberry32). */
export function createChance(seed: number) {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!
  return { next, pick, one: (share: number) => next() < share }
}

/** Something a schema takes, or nearly; with the ids of real things where a name asks for one. */
export function sampleOf(
  schema: Schema,
  meant: (schema: Schema) => Schema,
  chance: Chance,
  ids: readonly string[]
): unknown {
  const walk = (given: Schema, depth: number): unknown => {
    const node = meant(given)
    if (node.const !== undefined) return node.const
    if (node.enum !== undefined) return chance.pick(node.enum)
    const choices = node.anyOf ?? node.oneOf
    if (choices !== undefined) return walk(chance.pick(choices), depth + 1)
    if (node.allOf !== undefined) return Object.assign({}, ...node.allOf.map((each) => walk(each, depth + 1)))
    const [type] = [node.type ?? (node.properties ? 'object' : 'string')].flat()
    if (depth > 8) return null
    if (type === 'object') {
      const made: Record<string, unknown> = {}
      for (const [name, child] of Object.entries(node.properties ?? {})) {
        if (node.required?.includes(name) || chance.one(0.4)) made[name] = walk(child, depth + 1)
      }
      if (typeof node.additionalProperties === 'object') {
        made[chance.pick(['thing1', 'city', 'a.b', '名'])] = walk(node.additionalProperties, depth + 1)
      }
      return made
    }
    if (type === 'array') {
      const items = node.items ?? {}
      return Array.from({ length: Math.max(node.minItems ?? 0, 1) }, () => walk(items, depth + 1))
    }
    if (type === 'boolean') return chance.one(0.5)
    if (type === 'null') return null
    if (type === 'integer' || type === 'number') {
      return Math.max(node.minimum ?? 0, (node.exclusiveMinimum ?? -1) + 1, Math.floor(chance.next() * 5))
    }
    if (node.format === 'date-time') return '2030-03-04T02:00:00Z'
    if (node.format === 'email') return 'lin@example.com'
    if (node.format === 'uri') return 'http://127.0.0.1:9/in'
    return chance.one(0.6) ? chance.pick(ids) : 'abcdefghijk'.padEnd(node.minLength ?? 0, 'x')
  }
  return walk(schema, 0)
}

const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`

/** Values that are wrong nearly everywhere. */
export const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  -1e308,
  9007199254740993,
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\u202egpj.exe',
  'é'.normalize('NFD'),
  '{{ constructor }}',
  '{% for i in (1..100000000) %}x{% endfor %}',
  '{{ "x" | append: user.__proto__ }}',
  '$where',
  '$ne',
  "'; return true; //",
  "' OR 1=1 --",
  '../../../etc/passwd',
  'http://169.254.169.254/latest/meta-data/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  '<script>alert(1)</script>',
  '=HYPERLINK("http://x","y")',
  '(a+)+$',
  `${'a'.repeat(3_000)}!`,
  '9999-12-31T23:59:59.999Z',
  '-000001-01-01T00:00:00Z',
  '2030-02-30T00:00:00Z',
  'hasOwnProperty',
  '__proto__',
  'constructor',
  'toString',
  [],
  {},
  [[]],
  [null],
  { $ne: null },
  { $gt: '' },
  { $where: 'sleep(1000)' },
  { $regex: '(a+)+$' },
  { toString: 'x', valueOf: 'y' },
  { length: 1e9 },
  { constructor: { name: 'x' } },
  { toJSON: 'x' },
  { then: 'x' },
  { _bsontype: 'ObjectId', id: 'x' },
  Array.from({ length: 600 }, () => ({}))
]

/** Names no schema of ours has. */
const STRANGE = ['$where', '$set', 'constructor', 'toString', 'hasOwnProperty', 'a.b', '', ' ', '名', 'then', 'length']

/** The same value with one thing wrong about it. */
export function spoilt(value: unknown, chance: Chance): unknown {
  const places: [holder: Record<string, unknown> | unknown[] | null, key: string | number][] = [[null, '']]
  const root = structuredClone(value)
  const walk = (at: unknown): void => {
    if (typeof at !== 'object' || at === null) return
    for (const key of Object.keys(at)) {
      places.push([at as Record<string, unknown>, key])
      walk((at as Record<string, unknown>)[key])
    }
  }
  walk(root)
  const [holder, key] = chance.pick(places)
  if (holder === null) return chance.pick(ODD)
  const what = chance.next()
  if (what < 0.15) {
    if (Array.isArray(holder)) holder.length = 0
    else delete holder[key as string]
  } else if (what < 0.3 && !Array.isArray(holder)) holder[chance.pick(STRANGE)] = chance.pick(ODD)
  else if (what < 0.4 && Array.isArray(holder)) {
    const all = holder as unknown[]
    while (all.length < 2_000 && all.length > 0) all.push(...all.slice(0, 2_000 - all.length))
  } else (holder as Record<string, unknown>)[key as string] = chance.pick(ODD)
  return root
}

/** A body as bytes: what was made of the value, or a text that is hardly any JSON. */
export function bodyOf(value: unknown, chance: Chance): string | Buffer {
  const json = JSON.stringify(value) ?? ''
  if (chance.one(0.75)) return json
  const made = chance.pick<() => string | Buffer>([
    () => json.slice(0, Math.floor(json.length * chance.next())),
    () => `${json}${json}`,
    () => `${json},`,
    () => `\ufeff${json}`,
    () => `${json}\u0000`,
    () => Buffer.concat([Buffer.from(json.slice(0, -1)), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')]),
    () => Buffer.from(json, 'utf16le'),
    () => json.replace(/^\{/, '{"__proto__":{"role":"owner"},'),
    () => json.replace(/^\{/, '{"constructor":{"prototype":{"role":"owner"}},'),
    () => json.replace(/^\{/, '{"\\u005f_proto__":{"x":1},'),
    () => json.replace(/"(\w+)":/, '"$1":1,"$1":'),
    () => json.replace(/\d+/, '1e999'),
    () => json.replace(/\d+/, '-0'),
    () => json.replace(/\d+/, 'NaN'),
    () => json.replaceAll('"', "'"),
    () => nested(200, '[', ']'),
    () => nested(20_000, '{"a":', '}'),
    () => `{"name":${nested(65, '[', ']')}}`,
    () => `"${'x'.repeat(100_000)}"`,
    () => '[]',
    () => 'null',
    () => '"',
    () => '\u0000',
    () => '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    () => 'a=1&b=2',
    () => 'externalId,attributes.x\n=1+1,"unclosed'
  ])
  return made()
}

/** A string that is odd in a path or a query, percent-encoded or deliberately not. */
export function oddText(chance: Chance): string {
  return chance.pick([
    '%00',
    '%ff',
    '%',
    '%e0%a4%a',
    '..%2f..%2fetc%2fpasswd',
    '%0d%0aset-cookie:a=b',
    '%F0%9F%92%A9',
    '__proto__',
    'constructor',
    '%24ne',
    '%7B%22%24gt%22%3A%22%22%7D',
    'a'.repeat(300),
    'x'.repeat(190),
    '-1',
    '0',
    '1e99',
    'null',
    'undefined',
    '%20',
    "'%20or%201=1",
    '%5B%5D',
    'true',
    '2030-13-45T99:99:99Z'
  ])
}
