import { Int32, Long } from 'mongodb'
import t from 'tap'
import { mismatches } from './match.js'
import { operationOn } from './operations.js'
import { fromJson, TestFile } from './unified.js'

const exact = { documents: 'exact' } as const
const root = { documents: 'root' } as const

t.test('a document matches only what it should', async (t) => {
  const same: [unknown, unknown][] = [
    [{ a: 1 }, { a: new Int32(1) }],
    [{ a: 1 }, { a: Long.fromNumber(1) }],
    [{ a: { $$type: 'int' } }, { a: new Int32(5) }],
    [{ a: { $$exists: false } }, {}],
    [{ a: { $$unsetOrMatches: 1 } }, {}],
    [{ a: { $$matchAsRoot: { b: 1 } } }, { a: { b: 1, c: 2 } }]
  ]
  for (const [expected, actual] of same) t.same(mismatches(expected, actual, exact), [], JSON.stringify(expected))
  const other: [unknown, unknown][] = [
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, { a: '1' }],
    [{ a: new Int32(1) }, { a: Long.fromNumber(1) }],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 }
    ],
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: null }, {}],
    [{ a: [1] }, { a: [1, 2] }],
    [{ a: { $$type: 'int' } }, { a: Long.fromNumber(5) }],
    [{ a: { $$exists: true } }, {}],
    [{ a: { $$unsetOrMatches: 1 } }, { a: 2 }]
  ]
  for (const [expected, actual] of other) t.not(mismatches(expected, actual, exact).length, 0, JSON.stringify(expected))
  t.same(mismatches({ a: 1 }, { a: 1, b: 2 }, root), [], 'a reply may say more')
  t.not(mismatches({ a: { b: 1 } }, { a: { b: 1, c: 2 } }, root).length, 0, 'but not deeper down')
})

t.test('what the runner does not know is an error, never passed over', async (t) => {
  t.throws(() => mismatches({ a: { $$frobnicate: 1 } }, { a: 1 }, exact), /unknown special operator/)
  t.throws(() => mismatches({ a: { $$type: 'frob' } }, { a: 1 }, exact), /unknown type/)
  t.throws(() => fromJson({ a: 9007199254740993 }), /needs its type/)
  const collection = { bulkWrite: null } as never
  t.throws(() => operationOn(collection, 'frobnicate', {}), /unknown operation/)
  t.throws(() => operationOn(collection, 'find', { frobnicate: 1 }), /takes no argument/)
  const operation = { name: 'find', object: 'items', expectResult: [] }
  const file = {
    description: 'a file',
    schemaVersion: '1.21',
    createEntities: [{ client: { id: 'client' } }],
    tests: [{ description: 'a case of its own', operations: [operation] }]
  }
  t.ok(TestFile.safeParse(file).success)
  const broken = [
    { ...file, frobnicate: 1 },
    { ...file, tests: [{ description: 'expects nothing', operations: [{ name: 'find', object: 'items' }] }] },
    { ...file, tests: [...file.tests, ...file.tests] },
    {
      ...file,
      tests: [{ description: 'an error with a result', operations: [{ ...operation, expectError: { isError: true } }] }]
    }
  ]
  for (const other of broken) t.notOk(TestFile.safeParse(other).success)
})
