import { decodeFields, encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { memoryExceeded, MongoError } from '../bson/errors.js'
import { encodeKey } from '../bson/keys.js'
import { indexOf, segmentsOf } from '../bson/path.js'
import { isDoc } from '../bson/value.js'
import type { CollectionEntry } from '../storage/catalog.js'
import type { Examined } from '../storage/scan.js'
import { countCommon } from '../storage/intersection.js'
import { countEntries } from '../storage/scan.js'
import type { Query, Store } from '../storage/store.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, hintField, refuseCollation, textField, wholeField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { pause } from './pause.js'
import { MEMORY_LIMIT } from './query.js'
import { parseFilter } from './write.js'

/** How many documents match; off the index alone where its bounds say everything. */
export async function countMatches(
  store: Store,
  entry: CollectionEntry,
  query: Query,
  most: number,
  examined: Examined,
  deadline: number
): Promise<number> {
  const { node } = query.filter
  if (node.op === 'and' && node.children.length === 0 && !query.hint) return Math.min(entry.count, most)
  const plan = store.planCount(entry, query)
  const numbers: Iterable<unknown> =
    plan.kind === 'intersection'
      ? countCommon(store.env, plan.branches, examined)
      : plan.kind === 'index' && plan.exact
        ? countEntries(store.env, plan, examined)
        : store.gather(entry, query, plan, examined, () => 1)
  let count = 0
  for (const item of numbers) {
    if (typeof item === 'symbol') {
      await pause(deadline)
      continue
    }
    count += typeof item === 'number' ? item : 1
    if (count >= most) return most
  }
  return count
}

async function count({ store }: Engine, command: Command): Promise<Reply> {
  const { body, db, now } = command
  const collection = collectionOf(command)
  refuseCollation(body)
  const filter = parseFilter(body.get('query'), 'count.query', now, undefined)
  const hint = hintField(body)
  const skip = wholeField(body, 'count.skip') ?? 0
  const limit = Math.abs(wholeField(body, 'count.limit') ?? 0)
  if (skip < 0) throw new MongoError(51024, `BSON field 'skip' value must be >= 0, actual value '${skip}'`)
  store.env.refresh()
  const entry = store.catalog.find(db, collection)
  if (!entry) return { n: 0 }
  const most = limit > 0 ? skip + limit : Infinity
  const n = await countMatches(
    store,
    entry,
    { filter, hint, pauses: true },
    most,
    { keys: 0, documents: 0 },
    command.deadline
  )
  return { n: Math.max(0, n - skip) }
}

async function distinct({ store }: Engine, command: Command): Promise<Reply> {
  const { body, db, now, deadline } = command
  const collection = collectionOf(command)
  refuseCollation(body)
  const key = textField(body, 'distinct.key')
  if (key === undefined) throw new MongoError(40414, "BSON field 'distinct.key' is missing but a required field")
  const query: Query = {
    filter: parseFilter(body.get('query'), 'distinct.query', now, undefined),
    hint: hintField(body),
    pauses: true
  }
  store.env.refresh()
  const entry = store.catalog.find(db, collection)
  const values = new Map<string, Value>()
  let bytes = 0
  if (entry) {
    const segments = segmentsOf(key)
    const fields = new Set([segments[0]])
    const plan = store.plan(entry, query)
    const read = (raw: Buffer) => decodeFields(raw, fields)
    for (const doc of store.gather(entry, query, plan, { keys: 0, documents: 0 }, read)) {
      if (typeof doc === 'symbol') {
        await pause(deadline)
        continue
      }
      gather(doc, segments, 0, (value) => {
        const name = encodeKey([value], [1]).toString('latin1')
        if (values.has(name)) return
        values.set(name, value)
        bytes += name.length
        if (bytes > MEMORY_LIMIT) throw memoryExceeded('distinct', MEMORY_LIMIT)
      })
    }
  }
  // Keys sort as their values do.
  const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)
  const document = encode(new Map([['values', sorted as Value]]))
  if (document.length > 16 * 1024 * 1024) throw new MongoError(17217, 'distinct too big, 16mb cap')
  return { values: sorted as Reply[string] }
}

/** Every value at a path, elements of arrays one by one; what is missing is not given. */
function gather(value: Value | undefined, segments: string[], at: number, take: (value: Value) => void): void {
  if (value === undefined) return
  if (at === segments.length) {
    if (Array.isArray(value)) for (const item of value) take(item)
    else take(value)
    return
  }
  if (isDoc(value)) return gather((value as Doc).get(segments[at]), segments, at + 1, take)
  if (!Array.isArray(value)) return
  const position = indexOf(segments[at])
  if (position >= 0) gather(value[position], segments, at + 1, take)
  for (const item of value) if (isDoc(item)) gather(item, segments, at, take)
}

export const countCommands: Record<string, CommandSpec> = {
  count: { run: count, fields: ['query', 'limit', 'skip', 'hint', 'collation', 'fields'] },
  distinct: { run: distinct, fields: ['key', 'query', 'hint', 'collation'] }
}
