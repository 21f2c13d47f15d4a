import { MongoBulkWriteError, MongoServerError } from 'mongodb'
import type { Db, Document, MongoClient } from 'mongodb'
import { AS_STORED, operationOn } from './operations.js'
import type { Entity } from './operations.js'
import { mismatches } from './match.js'
import { fromJson } from './unified.js'
import type { ExpectedError, Operation, TestCase, TestFile } from './unified.js'

/** Runs cases against one database of a server, whatever databases they name; its content is lost. */
export function createRunner(client: MongoClient, databaseName: string) {
  const db = client.db(databaseName)
  let untouched: TestFile | null = null // the file whose initial data is there and has not been written to since

  async function begin(file: TestFile): Promise<void> {
    if (untouched === file) return
    await db.dropDatabase()
    for (const { collectionName, documents } of file.initialData ?? []) {
      if (documents.length === 0) await db.createCollection(collectionName)
      else await db.collection(collectionName).insertMany(fromJson(documents) as Document[])
    }
    untouched = file
  }

  return {
    /**
     * Runs one case; resolves what was not as expected, one sentence each.
     * @throws Error when the case asks for something the runner does not know.
     */
    async run(file: TestFile, test: TestCase): Promise<string[]> {
      await begin(file)
      const entities = entitiesOf(file, db)
      for (const [at, operation] of test.operations.entries()) {
        const { wrong, reads } = await runOperation(operation, entities)
        if (!reads) untouched = null
        if (wrong.length > 0) return wrong.map((text) => `operation ${at} (${operation.name}): ${text}`)
      }
      const found: string[] = []
      for (const { collectionName, documents } of test.outcome ?? []) {
        const options = { sort: { _id: 1 }, ...AS_STORED } as const
        const stored = await db.collection(collectionName).find({}, options).toArray()
        found.push(...mismatches(fromJson(documents), stored, { documents: 'exact' }, `outcome ${collectionName}`))
      }
      return found
    }
  }
}

function entitiesOf(file: TestFile, db: Db): Map<string, Entity> {
  const entities = new Map<string, Entity>()
  for (const entity of file.createEntities) {
    if ('database' in entity) entities.set(entity.database.id, db)
    if ('collection' in entity) entities.set(entity.collection.id, db.collection(entity.collection.collectionName))
  }
  return entities
}

async function runOperation(
  { name, object, arguments: given = {}, ...expected }: Operation,
  entities: Map<string, Entity>
): Promise<{ wrong: string[]; reads: boolean }> {
  const target = entities.get(object)
  if (!target) throw new Error(`there is no entity ${object}`)
  const { run, gives, reads } = operationOn(target, name, fromJson(given) as Document)
  const { expectResult, expectError, saveResultAsEntity } = expected
  let result: unknown
  try {
    result = await run()
  } catch (error) {
    if (expectError) return { wrong: errorMismatches(expectError, error), reads }
    return { wrong: [`failed: ${(error as Error).message} (code ${String((error as MongoServerError).code)})`], reads }
  }
  if (expectError) return { wrong: [`was to fail, but gave ${JSON.stringify(result)}`], reads }
  if (saveResultAsEntity !== undefined) entities.set(saveResultAsEntity, result as Entity)
  if (expectResult === undefined) return { wrong: [], reads }
  const documents = gives === 'stored' ? 'exact' : 'root'
  return { wrong: mismatches(fromJson(expectResult), result, { documents }), reads }
}

function errorMismatches(expected: ExpectedError, error: unknown): string[] {
  const { isClientError, errorCode, errorCodeName, errorContains, errorResponse, writeErrors, expectResult } = expected
  const wrong: string[] = []
  const ofServer = error instanceof MongoServerError
  if ((isClientError ?? false) === ofServer) {
    return [`a ${ofServer ? 'server' : 'client'} error came: ${(error as Error).stack ?? String(error)}`]
  }
  const { message, codeName } = error as MongoServerError
  const code = Number((error as MongoServerError).code) // an Int32 where the reply keeps its types
  if (errorCode !== undefined && code !== errorCode) wrong.push(`expected code ${errorCode}, got ${code}: ${message}`)
  if (errorCodeName !== undefined && codeName !== errorCodeName) {
    wrong.push(`expected ${errorCodeName}, got ${String(codeName)}`)
  }
  if (errorContains !== undefined && !message.toLowerCase().includes(errorContains.toLowerCase())) {
    wrong.push(`expected "${errorContains}" in: ${message}`)
  }
  const response = ofServer ? error.errorResponse : undefined
  if (errorResponse) wrong.push(...mismatches(fromJson(errorResponse), response, { documents: 'root' }, 'response'))
  if (writeErrors || expectResult !== undefined) {
    if (!(error instanceof MongoBulkWriteError)) return [...wrong, `not an error of a bulk write: ${message}`]
    wrong.push(
      ...mismatches(fromJson(expectResult ?? {}), { ...error.result }, { documents: 'root' }, 'partial result')
    )
    const refused = byIndex(error)
    if (writeErrors && Object.keys(refused).join() !== Object.keys(writeErrors).join()) {
      wrong.push(
        `expected the statements ${Object.keys(writeErrors).join()} to be refused, got ${Object.keys(refused).join()}`
      )
    }
    for (const [index, expectation] of Object.entries(writeErrors ?? {})) {
      wrong.push(...mismatches(fromJson(expectation), refused[index], { documents: 'root' }, `writeErrors.${index}`))
    }
  }
  return wrong
}

function byIndex(error: MongoBulkWriteError): Document {
  const all = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors]
  return Object.fromEntries(all.map(({ index, code, errmsg }) => [index, { code, message: errmsg }]))
}
