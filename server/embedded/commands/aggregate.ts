import { compilePipeline } from '../aggregate/pipeline.js'
import type { AggregateContext } from '../aggregate/pipeline.js'
import { decode, decodeFields, encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import type { Filter } from '../bson/match.js'
import { isDoc, isNumber, toInteger } from '../bson/value.js'
import type { CollectionEntry } from '../storage/catalog.js'
import type { Pause, Query } from '../storage/store.js'
import type { Reply } from '../wire/raw.js'
import { writeTail } from './aggregate-tail.js'
import { collectionOf, cursorField, docsField, flagField, hintField, refuseCollation } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { countMatches } from './count.js'
import { compileOrder, letField, MEMORY_LIMIT, select } from './query.js'

type Variables = { now: Date; let?: Doc }

async function aggregate(engine: Engine, command: Command): Promise<Reply> {
  const { store, cursors } = engine
  const { body, db, now, deadline } = command
  if (isNumber(body.get('aggregate'))) {
    throw new MongoError(73, 'no stage of this store reads a whole database: {aggregate: 1} is not supported')
  }
  const collection = collectionOf(command)
  refuseCollation(body)
  if (flagField(body, 'aggregate.explain', false)) {
    throw new MongoError(72, 'the aggregate option explain is not supported by this store: use the explain command')
  }
  const batchSize = cursorField(body, 'aggregate.cursor')
  if (!body.has('cursor'))
    throw new MongoError(9, "The 'cursor' option is required, except for aggregate with the explain argument")
  const variables = { now, let: letField(command, 'aggregate.let') }
  const namespace = `${db}.${collection}`
  const stages = stagesOf(body)
  store.env.refresh()
  const entry = store.catalog.find(db, collection)
  const { pipeline, source, examined, selection } = planPipeline(engine, db, entry, stages, variables, hintField(body))
  if (entry && countsOnly(selection.rest)) {
    const n = await countMatches(store, entry, { ...selection, pauses: true }, Infinity, examined, deadline)
    return cursors.start(namespace, countDoc(selection.rest[0], n).values(), { batchSize })
  }
  const results = pipeline.run(source)
  if (pipeline.tail) {
    await writeTail(engine, command, collection, pipeline.tail, results)
    return cursors.start(namespace, [].values(), { batchSize })
  }
  return cursors.start(namespace, encodeAll(results), { batchSize, deadline })
}

/** @throws MongoError 40414, 14 or 40323 */
export function stagesOf(body: Doc): Doc[] {
  const stages = docsField(body, 'aggregate.pipeline')
  if (!stages) throw new MongoError(40414, "BSON field 'aggregate.pipeline' is missing but a required field")
  for (const stage of stages) {
    if (stage.size !== 1)
      throw new MongoError(40323, 'A pipeline stage specification object must contain exactly one field.')
  }
  return stages
}

/**
 * Splits off what the store does itself: a leading $match by the planner, and a $sort behind it where an index has that
 * order. The rest runs over the documents found.
 */
export function planPipeline(
  engine: Engine,
  db: string,
  entry: CollectionEntry | undefined,
  stages: Doc[],
  variables: Variables,
  hint: string | Doc | null
) {
  const { store } = engine
  const first = stages[0]?.get('$match')
  const filter = compileFilter(isDoc(first) ? first : new Map(), variables)
  let rest = isDoc(first) ? stages.slice(1) : stages
  const sort = rest[0]?.get('$sort')
  const order = isDoc(sort) && sort.size > 0 ? compileOrder(sort) : null
  const wanted = toInteger(rest[1]?.get('$limit')) ?? 0
  const query = { filter, hint, order, skip: 0, limit: 0, wanted, pauses: true }
  const selected = entry ? select(store, entry, query) : null
  const examined = selected?.examined ?? { keys: 0, documents: 0 }
  const sorted = order !== null && selected !== null && selected.ordered
  if (sorted) rest = rest.slice(1)
  const pipeline = compilePipeline(rest, contextOf(engine, db, variables))
  const make = documentsOf(pipeline.fields)
  const source = entry && selected ? store.gather(entry, query, selected.plan, examined, make) : []
  return {
    pipeline,
    plan: selected?.plan ?? null,
    examined,
    selection: { filter, hint, rest },
    source
  }
}

function contextOf({ store }: Engine, db: string, variables: Variables): AggregateContext {
  return {
    ...variables,
    memoryLimit: MEMORY_LIMIT,
    random: Math.random,
    foreign: (name: string, filter: Filter) => {
      const entry = store.catalog.find(db, name)
      if (!entry) return []
      const query: Query = { filter, pauses: true }
      return store.gather(entry, query, store.plan(entry, query), { keys: 0, documents: 0 }, documentsOf(undefined))
    }
  }
}

const documentsOf = (fields: ReadonlySet<string> | undefined) => (raw: Buffer) =>
  fields ? decodeFields(raw, fields) : decode(raw)

function* encodeAll(docs: Iterable<Doc | Pause>): Generator<Uint8Array | Pause> {
  for (const doc of docs) yield typeof doc === 'symbol' ? doc : encode(doc)
}

/** Whether all that is left is a $group by a constant with one { $sum: 1 }: what drivers send to count documents. */
function countsOnly(rest: Doc[]): boolean {
  const group = rest.length === 1 ? rest[0].get('$group') : undefined
  if (!isDoc(group) || group.size !== 2) return false
  const id = group.get('_id')
  if (id !== null && !isNumber(id)) return false
  const sum = [...group].find(([name]) => name !== '_id')?.[1]
  return isDoc(sum) && sum.size === 1 && sum.get('$sum') === 1
}

function countDoc(stage: Doc, n: number): Uint8Array[] {
  if (n === 0) return [] // no document, no group
  const group = stage.get('$group') as Doc
  return [encode(new Map([...group].map(([name, value]): [string, Value] => [name, name === '_id' ? value : n])))]
}

export const aggregateCommands: Record<string, CommandSpec> = {
  aggregate: {
    run: aggregate,
    fields: ['pipeline', 'cursor', 'explain', 'allowDiskUse', 'bypassDocumentValidation', 'hint', 'collation', 'let']
  }
}
