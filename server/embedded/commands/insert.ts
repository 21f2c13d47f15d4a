import { decode, encode } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { withTimestamps } from '../bson/timestamp.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, docsField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { checkCount, isOrdered, prepared, runStatements, withId, writeErrors } from './write.js'

async function insert({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const statements = documentsOf(command).map(({ raw, doc }) =>
    prepared(() => {
      const whole = withTimestamps(withId(doc), command.now)
      const bytes = whole === doc && raw ? raw : encode(whole)
      return () => {
        store.records.insert(store.ensure(command.db, collection), bytes, whole)
        return { n: 1, modified: 0 }
      }
    })
  )
  const outcome = await runStatements(store, statements, isOrdered(command), command.deadline)
  return { n: outcome.n, ...writeErrors(outcome) }
}

function documentsOf(command: Command) {
  const sequence = command.sequences.get('documents')
  const documents = sequence
    ? sequence.map((raw) => ({ raw: raw as Buffer | null, doc: decode(raw) }))
    : docsField(command.body, 'insert.documents')?.map((doc) => ({ raw: null, doc }))
  if (!documents) throw new MongoError(40414, "BSON field 'insert.documents' is missing but a required field")
  checkCount(documents.length)
  return documents
}

export const insertCommands: Record<string, CommandSpec> = {
  insert: { run: insert, fields: ['documents', 'ordered', 'bypassDocumentValidation'] }
}
