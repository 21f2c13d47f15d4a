import type { Collection, Db, Document, FindCursor } from 'mongodb'

/** Replies keep BSON's own types, so that an int32 and a double can be told apart. */
export const AS_STORED = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true } as const

/** What an operation may be called on. */
export type Entity = Db | Collection | FindCursor

type Arguments = Record<string, any>

type Runnable<Target> = {
  /** Every argument it takes; any other is an error of the test file. */
  takes: readonly string[]
  run: (target: Target, args: Arguments) => unknown
  /** `stored`: gives documents as they are stored, compared field by field; otherwise a reply, which may say more. */
  gives: 'stored' | 'reply'
  /** It leaves the database as it was. */
  reads?: true | ((args: Arguments) => boolean)
}

const FIND = [
  'filter',
  'projection',
  'sort',
  'skip',
  'limit',
  'batchSize',
  'hint',
  'let',
  'min',
  'max',
  'collation',
  'comment'
]
const WRITE = ['hint', 'let', 'comment', 'collation']
const UPDATE = ['filter', 'update', 'upsert', 'arrayFilters', ...WRITE]
const MODIFY = ['projection', 'sort', 'returnDocument', ...WRITE]

const moment = (word: string | undefined) => ({
  returnDocument: (word ?? 'Before').toLowerCase() as 'before' | 'after'
})

/** A driver's reply without the fields it fills with null. */
function spoken(result: Document): Document {
  return Object.fromEntries(Object.entries({ ...result }).filter(([, value]) => value !== null))
}

async function reply(work: Promise<unknown>): Promise<Document> {
  return spoken((await work) as Document)
}

const ON_COLLECTION: Record<string, Runnable<Collection>> = {
  insertOne: {
    takes: ['document', 'comment'],
    gives: 'reply',
    run: (on, { document, ...rest }) => reply(on.insertOne(document, rest))
  },
  insertMany: {
    takes: ['documents', 'ordered', 'comment'],
    gives: 'reply',
    run: (on, { documents, ...rest }) => reply(on.insertMany(documents, rest))
  },
  find: {
    takes: FIND,
    gives: 'stored',
    reads: true,
    run: (on, { filter, ...rest }) => on.find(filter, { ...rest, ...AS_STORED }).toArray()
  },
  findOne: {
    takes: FIND,
    gives: 'stored',
    reads: true,
    run: (on, { filter, ...rest }) => on.findOne(filter, { ...rest, ...AS_STORED })
  },
  createFindCursor: {
    takes: FIND,
    gives: 'stored',
    reads: true,
    run: (on, { filter, ...rest }) => on.find(filter, { ...rest, ...AS_STORED })
  },
  updateOne: {
    takes: UPDATE,
    gives: 'reply',
    run: (on, { filter, update, ...rest }) => reply(on.updateOne(filter, update, rest))
  },
  updateMany: {
    takes: UPDATE,
    gives: 'reply',
    run: (on, { filter, update, ...rest }) => reply(on.updateMany(filter, update, rest))
  },
  replaceOne: {
    takes: ['filter', 'replacement', 'upsert', ...WRITE],
    gives: 'reply',
    run: (on, { filter, replacement, ...rest }) => reply(on.replaceOne(filter, replacement, rest))
  },
  deleteOne: {
    takes: ['filter', ...WRITE],
    gives: 'reply',
    run: (on, { filter, ...rest }) => reply(on.deleteOne(filter, rest))
  },
  deleteMany: {
    takes: ['filter', ...WRITE],
    gives: 'reply',
    run: (on, { filter, ...rest }) => reply(on.deleteMany(filter, rest))
  },
  findOneAndUpdate: {
    takes: [...UPDATE, ...MODIFY],
    gives: 'stored',
    run: (on, { filter, update, returnDocument, ...rest }) =>
      on.findOneAndUpdate(filter, update, { ...rest, ...moment(returnDocument), ...AS_STORED })
  },
  findOneAndReplace: {
    takes: ['filter', 'replacement', 'upsert', ...MODIFY],
    gives: 'stored',
    run: (on, { filter, replacement, returnDocument, ...rest }) =>
      on.findOneAndReplace(filter, replacement, { ...rest, ...moment(returnDocument), ...AS_STORED })
  },
  findOneAndDelete: {
    takes: ['filter', 'projection', 'sort', ...WRITE],
    gives: 'stored',
    run: (on, { filter, ...rest }) => on.findOneAndDelete(filter, { ...rest, ...AS_STORED })
  },
  bulkWrite: {
    takes: ['requests', 'ordered', 'let', 'comment'],
    gives: 'reply',
    run: (on, { requests, ...rest }) => reply(on.bulkWrite(requests, rest))
  },
  distinct: {
    takes: ['fieldName', 'filter', 'hint', 'collation', 'comment'],
    gives: 'stored',
    reads: true,
    run: (on, { fieldName, filter, ...rest }) => on.distinct(fieldName, filter, { ...rest, ...AS_STORED } as never)
  },
  countDocuments: {
    takes: ['filter', 'skip', 'limit', 'hint', 'collation', 'comment'],
    gives: 'stored',
    reads: true,
    run: (on, { filter, ...rest }) => on.countDocuments(filter, rest)
  },
  estimatedDocumentCount: { takes: [], gives: 'stored', reads: true, run: (on) => on.estimatedDocumentCount() },
  aggregate: {
    takes: ['pipeline', 'batchSize', 'allowDiskUse', 'hint', 'let', 'collation', 'comment'],
    gives: 'stored',
    reads: ({ pipeline }) => !(pipeline as Document[]).some((stage) => '$out' in stage || '$merge' in stage),
    run: (on, { pipeline, ...rest }) => on.aggregate(pipeline, { ...rest, ...AS_STORED }).toArray()
  },
  createIndex: {
    takes: ['keys', 'name', 'unique', 'sparse', 'partialFilterExpression', 'expireAfterSeconds', 'collation', 'hidden'],
    gives: 'stored',
    run: (on, { keys, ...rest }) => on.createIndex(keys, rest)
  },
  dropIndex: { takes: ['name'], gives: 'reply', run: (on, { name }) => on.dropIndex(name) },
  listIndexes: { takes: [], gives: 'stored', reads: true, run: (on) => on.listIndexes(AS_STORED as Document).toArray() }
}

const ON_DATABASE: Record<string, Runnable<Db>> = {
  runCommand: {
    takes: ['command', 'commandName'],
    gives: 'reply',
    run: (on, { command, commandName }) => {
      if (Object.keys(command)[0] !== commandName) throw new Error(`the command is not ${commandName}`)
      return on.command(command, { ...AS_STORED })
    }
  },
  aggregate: {
    takes: ['pipeline'],
    gives: 'stored',
    run: (on, { pipeline }) => on.aggregate(pipeline, AS_STORED).toArray()
  },
  createCollection: {
    takes: ['collection', 'capped', 'size', 'viewOn', 'pipeline', 'validator'],
    gives: 'reply',
    run: async (on, { collection, ...rest }) => void (await on.createCollection(collection, rest))
  },
  dropCollection: {
    takes: ['collection'],
    gives: 'stored',
    run: (on, { collection }) => on.dropCollection(collection)
  },
  listCollections: {
    takes: ['filter'],
    gives: 'reply',
    run: (on, { filter }) => on.listCollections(filter, AS_STORED).toArray()
  }
}

const ON_CURSOR: Record<string, Runnable<FindCursor>> = {
  iterateUntilDocumentOrError: { takes: [], gives: 'stored', reads: true, run: (on) => on.next() },
  close: { takes: [], gives: 'reply', reads: true, run: (on) => on.close() }
}

/**
 * The operation called `name` on an entity, ready to run.
 * @throws Error when there is no such operation there, or it does not take one of the arguments.
 */
export function operationOn(
  entity: Entity,
  name: string,
  args: Arguments
): { run: () => Promise<unknown>; gives: string; reads: boolean } {
  const table: Record<string, Runnable<any>> = 'bulkWrite' in entity
    ? ON_COLLECTION
    : 'listCollections' in entity
      ? ON_DATABASE
      : ON_CURSOR
  if (!Object.hasOwn(table, name)) throw new Error(`unknown operation ${name}`)
  const { takes, gives, run, reads = false } = table[name]
  for (const argument of Object.keys(args)) {
    if (!takes.includes(argument)) throw new Error(`${name} takes no argument ${argument}`)
  }
  return { gives, run: async () => run(entity, args), reads: typeof reads === 'function' ? reads(args) : reads }
}
