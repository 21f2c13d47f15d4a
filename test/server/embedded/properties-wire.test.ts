import { BSONRegExp, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, serialize, Timestamp } from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { ACCUMULATOR_NAMES } from '../../../server/embedded/aggregate/accumulators.js'
import { EXPRESSION_OPERATORS } from '../../../server/embedded/aggregate/expressions.js'
import { STAGE_NAMES } from '../../../server/embedded/aggregate/pipeline.js'
import { FILTER_OPERATORS } from '../../../server/embedded/bson/parse-filter.js'
import { COMMANDS } from '../../../server/embedded/commands/table.js'
import { createFrameReader, FrameError } from '../../../server/embedded/wire/frames.js'
import { dial, doc, int32, message, msg, query, sequence, summed } from './wire-client.js'
import { withStore } from './with-store.js'

const SEED = 20_240_310

// Messages that are nearly right: good ones, then cut, stretched or with bytes changed.
const body = fc.constantFrom<object>(
  { ping: 1, $db: 'd' },
  { insert: 'a', $db: 'd' },
  { find: 'a', filter: {}, $db: 'd' },
  { hello: 1, $db: 'admin' },
  { nonsense: true, $db: 'd' },
  {}
)
const documents = fc.array(fc.record({ _id: fc.integer(), x: fc.string() }), { maxLength: 3 })
const section = fc.oneof(
  fc
    .tuple(fc.constantFrom('documents', 'updates', 'x', ''), documents)
    .map(([name, docs]): Buffer => sequence(name, ...docs)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  body.map((one) => Buffer.concat([Buffer.from([0]), doc(one)]))
)
const flags = fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3, 4, 1 << 16, -1)
const whole = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(body, flags, fc.array(section, { maxLength: 1 })).map((a) => msg(a[0], a[1], ...a[2]))
  },
  fc.tuple(body, fc.array(section, { maxLength: 2 })).map(([one, sections]) => summed(msg(one, 0, ...sections))),
  fc.tuple(body, fc.constantFrom('admin.$cmd', 'd.x', '$cmd', '')).map(([one, name]) => query(one, name)),
  fc
    .tuple(fc.constantFrom(0, 1, 2001, 2005, 2012, 2013, 2004, -7), fc.uint8Array({ maxLength: 60 }))
    .map(([opcode, bytes]) => message(opcode, Buffer.from(bytes)))
)
const change = fc.oneof(
  { weight: 6, arbitrary: fc.constant((bytes: Buffer) => bytes) },
  fc.nat().map((n) => (bytes: Buffer) => bytes.subarray(0, n % (bytes.length + 1))),
  fc.tuple(fc.nat(), fc.nat({ max: 255 })).map(([at, byte]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes)
    changed[at % bytes.length] = byte
    return changed
  }),
  fc.constantFrom(-1, 0, 15, 20, 21, 48_000_000, 48_000_001, 0x7fffffff).map((length) => (bytes: Buffer) => {
    return Buffer.concat([int32(length), bytes.subarray(4)])
  }),
  fc.tuple(fc.nat(), fc.integer()).map(([at, length]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes)
    if (bytes.length > 20) changed.writeInt32LE(length, 16 + (at % (bytes.length - 20)))
    return changed
  })
)
const frame = fc.tuple(whole, change).map(([bytes, apply]) => apply(bytes))

/** What is to come of bytes: so many answers, or none and the end of the connection. */
function expected(bytes: Buffer): number | 'closed' {
  try {
    return createFrameReader()
      .push(bytes)
      .filter(({ silent }) => !silent).length
  } catch (error) {
    if (error instanceof FrameError) return 'closed'
    throw error
  }
}

t.test('random frames are answered or end their connection, never the store', { timeout: 60_000 }, async (t) => {
  const { store, db, trouble } = await withStore(t)
  let answered = 0
  let closed = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(frame, { minLength: 1, maxLength: 2 }), { minLength: 8, maxLength: 8 }),
      (lines) =>
        Promise.all(
          lines.map(async (frames) => {
            const bytes = Buffer.concat(frames)
            const want = expected(bytes)
            const line = dial(store.uri)
            line.send(bytes)
            const heard = await line.until(want === 'closed' ? Infinity : want)
            line.hang()
            if (want === 'closed') closed++
            else if (heard.replies.length < want) throw new Error(`closed before ${want} answers`)
            else answered += want
            for (const reply of heard.replies)
              if (reply.ok !== 1 && !(reply.ok === 0 && reply.code > 1)) throw new Error(JSON.stringify(reply))
          })
        ).then(() => {})
    ),
    { numRuns: 60, seed: SEED }
  )
  t.match(await db.command({ ping: 1 }), { ok: 1 })
  t.ok(answered > 50 && closed > 100, `${answered} answered, ${closed} closed`)
  t.same(
    trouble.filter((line) => !String(line).includes('not a MongoDB message')),
    []
  )
})

// Values that look like what commands expect, in places where they may not belong.
const leaf = fc.constantFrom<unknown>(
  ...[0, 1, -1, 2, 1.5, NaN, 'a', 'a.b', '$a', '$$ROOT', '$$NOW', '$$x', '', 'b_1', null, true, false, undefined],
  ...[[], {}, [1, 2], new Date(0), new Date(8.64e15), new ObjectId('00'.repeat(12)), new Double(3), /a/i],
  ...[Long.MAX_VALUE, Decimal128.fromString('1E400'), new MinKey(), new MaxKey(), new Timestamp({ t: 1, i: 1 })],
  ...[Buffer.from([1]), new BSONRegExp('('), { _id: 1 }, { a: 1 }, { a: -1 }, 'UTC', 'day', 'people', '__proto__']
)
const name = fc.constantFrom(
  ...['a', 'b', '_id', 'a.b', 'a.0', 'a.$', 'a.$[]', 'x', '__proto__', 'constructor', '$a', ''],
  ...['path', 'from', 'as', 'localField', 'foreignField', 'pipeline', 'into', 'on', 'size', 'coll', 'newRoot', 'let'],
  ...[
    'input',
    'in',
    'cond',
    'vars',
    'date',
    'unit',
    'amount',
    'startDate',
    'format',
    'timezone',
    'groupBy',
    'boundaries'
  ],
  ...['default', 'output', 'key', 'name', 'q', 'u', 'multi', 'upsert', 'limit', 'unique', 'partialFilterExpression']
)
const UPDATES = [
  '$set',
  '$unset',
  '$inc',
  '$push',
  '$pull',
  '$addToSet',
  '$rename',
  '$pop',
  '$bit',
  '$setOnInsert',
  '$max'
]
const operator = fc.oneof(
  fc.constantFrom(...STAGE_NAMES),
  fc.constantFrom(...FILTER_OPERATORS),
  fc.constantFrom(...EXPRESSION_OPERATORS),
  fc.constantFrom(...ACCUMULATOR_NAMES, '$each', '$slice', '$position', '$sort', '$bucketAuto', '$where'),
  fc.constantFrom(...UPDATES)
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 3, arbitrary: leaf },
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
    { weight: 3, arbitrary: fc.tuple(operator, tie('value')).map(([key, inner]) => ({ [key]: inner })) }
  )
}))
const pipeline = fc.array(
  fc.tuple(fc.constantFrom(...STAGE_NAMES), value).map(([stage, spec]) => ({ [stage]: spec })),
  { minLength: 1, maxLength: 3 }
)
const object = fc.dictionary(fc.oneof(name, operator), value, { maxKeys: 3, noNullPrototype: true })
const modifiers = fc.dictionary(fc.constantFrom(...UPDATES), object, { minKeys: 1, maxKeys: 2, noNullPrototype: true })
const wellFormed = fc.oneof<fc.Arbitrary<Record<string, unknown>>[]>(
  fc.record({ aggregate: fc.constantFrom('people', 'none'), pipeline, cursor: fc.constant({}) }),
  fc.record(
    { find: fc.constant('people'), filter: object, sort: object, projection: object },
    { requiredKeys: ['find'] }
  ),
  fc
    .record({ q: object, u: fc.oneof(modifiers, object, pipeline), multi: fc.boolean(), upsert: fc.boolean() })
    .map((one) => ({ update: 'people', updates: [one] })),
  fc.record({ findAndModify: fc.constant('people'), query: object, update: modifiers, upsert: fc.boolean() }),
  fc.record({ distinct: fc.constant('people'), key: name, query: object }),
  fc
    .record(
      { key: object, name: fc.constantFrom('x', 'y'), partialFilterExpression: object },
      { requiredKeys: ['key'] }
    )
    .map((index) => ({ createIndexes: 'people', indexes: [{ name: 'z', ...index }] }))
)
// All but the one that writes files wherever it is told to.
const names = Object.keys(COMMANDS).filter((one) => one !== 'hongyanBackup' && one !== 'logout')
const anyhow = fc.constantFrom(...names).chain((command) =>
  fc
    .tuple(
      fc.oneof(fc.constantFrom<unknown>('people', 'none', 1), leaf),
      fc.dictionary(fc.constantFrom(...COMMANDS[command].fields, 'comment'), fc.oneof(value, fc.array(object)), {
        maxKeys: 4,
        noNullPrototype: true
      })
    )
    .map(([target, fields]) => ({ [command]: target, ...fields }) as Record<string, unknown>)
)

t.test('random commands are always answered, and never with an inner failure', { timeout: 60_000 }, async (t) => {
  const { store, db, trouble } = await withStore(t)
  const people = [
    { _id: 1, a: 1, b: 'x', l: [1, { a: 2 }] },
    { _id: 2, a: [1, 2], b: null },
    { _id: 3, a: { b: new Date(0) } }
  ]
  const line = dial(store.uri)
  const codes = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(fc.oneof(wellFormed, anyhow), async (command) => {
      try {
        serialize(command)
      } catch {
        return // no BSON
      }
      const reply = await line.ask({ ...command, $db: 'd' })
      if (reply.ok !== 1 && !(reply.ok === 0 && reply.code > 1)) throw new Error(JSON.stringify({ command, reply }))
      codes.set(reply.code ?? 0, (codes.get(reply.code ?? 0) ?? 0) + 1)
      if (codes.size % 10 === 0) await line.ask({ insert: 'people', documents: people, ordered: false, $db: 'd' })
    }),
    { numRuns: 2500, seed: SEED }
  )
  line.hang()
  t.match(await db.command({ ping: 1 }), { ok: 1 })
  t.ok(codes.size > 40 && codes.get(0)! > 200, `${codes.size} codes, ${codes.get(0)} times none`)
  t.same(trouble, [])
})
