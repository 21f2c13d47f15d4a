import { readdir, readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EJSON } from 'bson'
import { z } from 'zod'

const Document = z.record(z.string(), z.unknown())

const ExpectedError = z
  .strictObject({
    isError: z.literal(true).optional(),
    isClientError: z.boolean().optional(),
    errorCode: z.int().optional(),
    errorCodeName: z.string().optional(),
    errorContains: z.string().optional(),
    errorResponse: Document.optional(),
    writeErrors: z.record(z.string(), Document).optional(),
    expectResult: z.unknown().optional()
  })
  .refine((expected) => Object.keys(expected).length > 0, 'expectError says nothing')

const Operation = z
  .strictObject({
    name: z.string(),
    object: z.string(),
    arguments: Document.optional(),
    expectResult: z.unknown().optional(),
    expectError: ExpectedError.optional(),
    saveResultAsEntity: z.string().optional()
  })
  .refine(
    (op) => !(op.expectError && (op.expectResult !== undefined || op.saveResultAsEntity)),
    'an error has no result'
  )

const CollectionData = z.strictObject({
  databaseName: z.string(),
  collectionName: z.string(),
  documents: z.array(Document)
})

const Entity = z.union([
  z.strictObject({ client: z.strictObject({ id: z.string() }) }),
  z.strictObject({ database: z.strictObject({ id: z.string(), client: z.string(), databaseName: z.string() }) }),
  z.strictObject({ collection: z.strictObject({ id: z.string(), database: z.string(), collectionName: z.string() }) })
])

const TestCase = z
  .strictObject({
    description: z.string().min(8),
    operations: z.array(Operation).min(1),
    outcome: z.array(CollectionData).min(1).optional()
  })
  .refine(
    (test) => test.outcome || test.operations.some((op) => op.expectError || op.expectResult !== undefined),
    'a case that expects nothing cannot fail'
  )

/** A file of cases in the unified form of MongoDB's driver specifications; a field this runner does not know is refused. */
export const TestFile = z
  .strictObject({
    description: z.string(),
    schemaVersion: z.literal('1.21'),
    createEntities: z.array(Entity).min(1),
    initialData: z.array(CollectionData).optional(),
    tests: z.array(TestCase).min(1)
  })
  .refine(
    ({ tests }) => new Set(tests.map((test) => test.description)).size === tests.length,
    'two cases have the same description'
  )

export type TestFile = z.infer<typeof TestFile>
export type TestCase = z.infer<typeof TestCase>
export type Operation = z.infer<typeof Operation>
export type ExpectedError = z.infer<typeof ExpectedError>

/** Every file of cases, by name; found from the root of the repository, because compiled tests lie elsewhere. */
export async function readTestFiles(): Promise<{ name: string; file: TestFile }[]> {
  let root = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(root, 'package.json'))) {
    if (root === dirname(root)) throw new Error('no package.json above the tests')
    root = dirname(root)
  }
  const folder = join(root, 'test', 'server', 'embedded', 'conformance')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort()
  return Promise.all(
    names.map(async (name) => {
      const parsed = TestFile.safeParse(JSON.parse(await readFile(join(folder, name), 'utf8')))
      if (!parsed.success) throw new Error(`${name}: ${z.prettifyError(parsed.error)}`)
      return { name, file: parsed.data }
    })
  )
}

const TYPED = new Set(
  (
    '$numberInt $numberLong $numberDouble $numberDecimal $oid $date $binary $uuid $timestamp $regularExpression ' +
    '$minKey $maxKey $code $symbol'
  ).split(' ')
)

/**
 * JSON of a test file as BSON values: Extended JSON where a type is written out, everything else as it stands. A plain
 * number beyond int32 is refused, because which type it should have is not written. @throws Error
 */
export function fromJson(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(fromJson)
  if (typeof json === 'number' && Number.isInteger(json) && (json | 0) !== json) {
    throw new Error(`${json} needs its type: $numberLong or $numberDouble`)
  }
  if (typeof json !== 'object' || json === null) return json
  const [first] = Object.keys(json)
  if (first !== undefined && TYPED.has(first)) return EJSON.deserialize(json, { relaxed: false })
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, fromJson(value)]))
}
