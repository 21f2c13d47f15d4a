import fc from 'fast-check'
import { ObjectId } from 'mongodb'
import type { Collection } from 'mongodb'
import t from 'tap'
import { withStore } from './with-store.js'

const SEED = 20_241_027

// The answers once more, worked out on plain objects by as little code as will do.
type Plain = any
const RANKS = ['missing', 'null', 'number', 'string', 'object', 'array', 'id', 'boolean', 'date']
const rank = (v: Plain): number => {
  if (v === undefined) return 0
  if (v === null) return 1
  if (v instanceof Date) return RANKS.indexOf('date')
  if (v instanceof ObjectId) return RANKS.indexOf('id')
  return RANKS.indexOf(Array.isArray(v) ? 'array' : typeof v)
}
const first = (...orders: number[]) => orders.find((order) => order !== 0) ?? 0

function compare(a: Plain, b: Plain): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (a instanceof ObjectId) return a.toHexString() < b.toHexString() ? -1 : a.equals(b) ? 0 : 1
  if (Array.isArray(a)) return first(...a.slice(0, b.length).map((item, i) => compare(item, b[i])), a.length - b.length)
  if (a !== null && typeof a === 'object' && !(a instanceof Date)) {
    const [x, y] = [Object.entries(a), Object.entries(b)]
    const fields = x.slice(0, y.length).map(([name, value], i) => {
      const [other, otherValue] = y[i]
      return first(rank(value) - rank(otherValue), name < other ? -1 : name > other ? 1 : 0, compare(value, otherValue))
    })
    return first(...fields, x.length - y.length)
  }
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a))
  return a < b ? -1 : a > b ? 1 : 0
}

/** The values at a path: one for each way through arrays; undefined where it is missing. */
function reach(value: Plain, path: string[]): Plain[] {
  if (path.length === 0) return [value]
  if (Array.isArray(value)) return value.flatMap((item) => reach(item, path))
  return value !== null && typeof value === 'object' ? reach(value[path[0]], path.slice(1)) : [undefined]
}
/** What a comparison may be true of: the values, and the elements of those that are arrays. */
const spread = (values: Plain[]) => values.flatMap((value) => (Array.isArray(value) ? [value, ...value] : [value]))

const equals = (a: Plain, b: Plain) => compare(a ?? null, b ?? null) === 0
function within(value: Plain, operator: string, limit: Plain): boolean {
  if ((value ?? null) === null && limit === null) return operator === '$gte' || operator === '$lte'
  if (rank(value) !== rank(limit)) return false
  if (Number.isNaN(value) || Number.isNaN(limit)) return operator.endsWith('e') && equals(value, limit)
  const order = compare(value, limit)
  return operator.startsWith('$g')
    ? order > 0 || (operator === '$gte' && order === 0)
    : order < 0 || (operator === '$lte' && order === 0)
}

function satisfies(values: Plain[], operator: string, operand: Plain): boolean {
  switch (operator) {
    case '$eq':
      return spread(values).some((value) => equals(value, operand))
    case '$in':
      return operand.some((one: Plain) => satisfies(values, '$eq', one))
    case '$ne':
      return !satisfies(values, '$eq', operand)
    case '$nin':
      return !satisfies(values, '$in', operand)
    case '$not':
      return !Object.entries(operand).every(([name, inner]) => satisfies(values, name, inner))
    case '$exists':
      return values.some((value) => value !== undefined) === operand
    case '$type':
      return spread(values).some((value) => typeof value === operand)
    case '$size':
      return values.some((value) => Array.isArray(value) && value.length === operand)
    case '$elemMatch':
      return values.some(
        (value) =>
          Array.isArray(value) &&
          value.some((item) => Object.entries(operand).every(([name, inner]) => satisfies([item], name, inner)))
      )
    default:
      return spread(values).some((value) => within(value, operator, operand))
  }
}

function matches(doc: Plain, filter: Plain): boolean {
  return Object.entries<Plain>(filter).every(([name, wanted]) => {
    if (name === '$and') return wanted.every((part: Plain) => matches(doc, part))
    if (name === '$or') return wanted.some((part: Plain) => matches(doc, part))
    if (name === '$nor') return !wanted.some((part: Plain) => matches(doc, part))
    const values = reach(doc, name.split('.'))
    const isOperators = rank(wanted) === RANKS.indexOf('object') && Object.keys(wanted)[0]?.startsWith('$')
    if (!isOperators) return satisfies(values, '$eq', wanted)
    return Object.entries(wanted).every(([operator, operand]) => satisfies(values, operator, operand))
  })
}

/** What a document is sorted by: of an array its least element, or its greatest when the order is downward. */
const keyOf = (doc: Plain, sort: Record<string, number>) =>
  Object.entries(sort).map(([path, direction]) => {
    const values = reach(doc, path.split('.'))
      .flatMap((value) => (Array.isArray(value) ? (value.length > 0 ? value : [undefined]) : [value ?? null]))
      .sort(compare)
    return values.at(direction === 1 ? 0 : -1)
  })
const bySort = (sort: Record<string, number>) => (a: Plain[], b: Plain[]) =>
  first(...Object.values(sort).map((direction, i) => direction * compare(a[i], b[i])))

// Documents, indexes and questions.
const scalar = fc.oneof(
  { weight: 7, arbitrary: fc.integer({ min: -1, max: 4 }) },
  fc.constantFrom<Plain>(null, true, false, 1.5, NaN, -0, 2 ** 40, 'a', 'ab', 'b', '', '文', new Date(0), new Date(7)),
  fc.constantFrom<Plain>({ x: 1 }, { x: 1, y: 2 }, {}, new ObjectId('00'.repeat(12)), new ObjectId('ff'.repeat(12)))
)
const value = fc.oneof({ weight: 5, arbitrary: scalar }, fc.array(scalar, { maxLength: 3 }))
const part = fc.record({ b: scalar, c: scalar }, { requiredKeys: [] })
const document = fc.record(
  {
    a: value,
    d: scalar,
    n: fc.integer({ min: -2, max: 3 }),
    l: fc.oneof(part, fc.array(part, { minLength: 1, maxLength: 3 }))
  },
  { requiredKeys: [] }
)
const range = fc.dictionary(fc.constantFrom('$gt', '$gte', '$lt', '$lte'), scalar, {
  minKeys: 1,
  maxKeys: 2,
  noNullPrototype: true
})
const condition = fc.oneof(
  { weight: 4, arbitrary: value },
  { weight: 7, arbitrary: range },
  { weight: 2, arbitrary: fc.array(scalar, { maxLength: 4 }).map(($in) => ({ $in })) },
  fc.array(scalar, { maxLength: 3 }).map(($nin) => ({ $nin })),
  scalar.map(($ne) => ({ $ne })),
  range.map(($not) => ({ $not })),
  range.map(($elemMatch) => ({ $elemMatch })),
  fc.constantFrom({ $exists: true }, { $exists: false }, { $type: 'number' }, { $type: 'string' }, { $size: 2 })
)
const clause = fc
  .tuple(fc.constantFrom('a', 'd', 'n', 'l.b', 'l.c', '_id'), condition)
  // What an array is, seen from within a path through another, is a question of its own.
  .map(([path, wanted]): Plain => ({ [path]: path.startsWith('l') && Array.isArray(wanted) ? null : wanted }))
const { filter } = fc.letrec<{ filter: Plain }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 2 },
    { weight: 5, arbitrary: clause },
    { weight: 3, arbitrary: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map(($and) => ({ $and })) },
    { weight: 2, arbitrary: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })) },
    fc.array(tie('filter'), { minLength: 1, maxLength: 2 }).map(($nor) => ({ $nor }))
  )
}))
const sort = fc.constantFrom<Record<string, number>>(
  ...[{ a: 1 }, { a: -1, d: 1 }, { n: 1, a: -1 }, { 'l.b': -1 }, { d: -1 }, { d: 1, n: -1 }, { n: -1, d: -1, _id: 1 }]
)
const indexes = fc.subarray<[Record<string, 1 | -1>, object]>(
  [
    [{ a: 1, d: -1 }, {}],
    [{ a: -1 }, {}],
    [{ d: 1 }, {}],
    [{ d: -1, n: 1 }, {}],
    [{ n: -1, a: 1 }, { partialFilterExpression: { n: { $gt: 0 } } }],
    [{ n: 1, d: 1, _id: -1 }, {}],
    [{ d: 1, a: 1 }, { partialFilterExpression: { d: { $exists: true } } }],
    [{ 'l.b': 1, 'l.c': 1 }, {}],
    [{ 'l.c': -1 }, { sparse: true }],
    [{ 'l.$**': 1 }, {}],
    [{ 'a.$**': 1 }, { partialFilterExpression: { n: { $gt: 0 } } }]
  ],
  { minLength: 1 }
)

async function ask(
  rows: Collection<Plain>,
  docs: Plain[],
  wanted: Plain,
  order: Record<string, number>,
  page: [number, number]
) {
  const right = docs.filter((doc) => matches(doc, wanted))
  const ids = (found: Plain[]) => found.map(({ _id }) => _id).sort((a, b) => a - b)
  const same = (found: Plain[], what: string) => {
    if (String(ids(found)) !== String(ids(right))) throw new Error(`${what}: ${ids(found)} instead of ${ids(right)}`)
  }
  same(await rows.find(wanted, { projection: { _id: 1 }, batchSize: 9 }).toArray(), 'find')
  const n = await rows.countDocuments(wanted)
  if (n !== right.length) throw new Error(`count: ${n} instead of ${right.length}`)
  const keys = right.map((doc) => keyOf(doc, order)).sort(bySort(order))
  const [skip, limit] = page
  const inOrder = (found: Plain[], wantedKeys: Plain[][], what: string) => {
    const got = found.map((doc) => keyOf(doc, order))
    if (got.length !== wantedKeys.length || got.some((key, i) => bySort(order)(key, wantedKeys[i]) !== 0))
      throw new Error(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wantedKeys)}`)
  }
  const sorted = await rows.find(wanted, { sort: order as Plain }).toArray()
  same(sorted, 'find in order')
  inOrder(sorted, keys, 'find in order')
  const some = keys.slice(skip, skip + limit)
  inOrder(await rows.find(wanted, { sort: order as Plain, skip, limit }).toArray(), some, 'a page')
  const stages = [{ $match: wanted }, { $sort: order }, { $skip: skip }, { $limit: limit }]
  inOrder(await rows.aggregate(stages).toArray(), some, 'a page by aggregate')
}

t.test('whatever the indexes, the answer is what plain code finds', { timeout: 60_000 }, async (t) => {
  const { db } = await withStore(t)
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(document, { minLength: 15, maxLength: 30 }),
      indexes,
      fc.array(fc.tuple(filter, sort, fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 6 }))), {
        minLength: 8,
        maxLength: 8
      }),
      async (documents, used, questions) => {
        const rows = db.collection<Plain>(`p${round++}`)
        const docs = documents.map((doc, _id) => ({ _id, ...doc }))
        await rows.insertMany(docs)
        for (const [keys, options] of used) await rows.createIndex(keys, options)
        for (const [wanted, order, page] of questions) {
          await ask(rows, docs, wanted, order, page).catch((error) => {
            throw new Error(`${error.message}: ${JSON.stringify({ wanted, order, page })}`)
          })
        }
      }
    ),
    { numRuns: 36, seed: SEED, endOnFailure: true }
  )
})
