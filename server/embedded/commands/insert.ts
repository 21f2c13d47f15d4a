import { decode, decodeNew, encode } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { withTimestamps } from '../bson/timestamp.js'
import { fieldsOfNew } from '../storage/records.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, docsField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { checkCount, isOrdered, prepared, runStatements, withId, writeErrors } from './write.js'
import type { Statement } from './write.js'

async function insert({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const entry = store.catalog.find(command.db, collection)
  const fields = entry ? fieldsOfNew(entry) : null
  const sequence = command.sequences.get('documents')
  const documents = sequence ?? docsField(command.body, 'insert.documents')
  if (!documents) throw new MongoError(40414, "BSON field 'insert.documents' is missing but a required field")
  checkCount(documents.length)

  /** A document that comes as bytes, is stored as those bytes, and is decoded no further than the indexes ask. */
  const asItIs =
    (raw: Buffer, part: Doc): Statement =>
    () => {
      const current = store.ensure(command.db, collection)
      withId(part)
      store.records.insert(current, raw, fieldsOfNew(current) === fields ? part : decode(raw))
      return { n: 1, modified: 0 }
    }
  const whole = (given: Doc, raw: Buffer | null) =>
    prepared(() => {
      const doc = withTimestamps(withId(given), command.now)
      const bytes = doc === given && raw ? raw : encode(doc)
      return () => {
        store.records.insert(store.ensure(command.db, collection), bytes, doc)
        return { n: 1, modified: 0 }
      }
    })
  const statements = documents.map((document) => {
    if (document instanceof Map) return whole(document, null)
    const part = fields && decodeNew(document, fields)
    return part ? asItIs(document, part) : whole(decode(document), document)
  })
  const outcome = await runStatements(store, statements, isOrdered(command), command.deadline)
  return { n: outcome.n, ...writeErrors(outcome) }
}

export const insertCommands: Record<string, CommandSpec> = {
  insert: { run: insert, fields: ['documents', 'ordered', 'bypassDocumentValidation'] }
}
