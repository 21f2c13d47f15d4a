import { Query } from 'mingo'
import { update as change, updateOne as changeByPipeline } from 'mingo/updater'

export type Doc = Record<string, any>

/** A stored document: never changed in place, and the same object whenever it says the same. */
export type Kept = { readonly id: number; readonly doc: Doc }

/** All collections of a model store: by name, then by `_id`. Never changed in place. */
export type Docs = { readonly [collection: string]: { readonly [id: string]: Kept } }

/** One command a program gave. */
export type Command = {
  collection: string
  op: 'find' | 'findOne' | 'insertOne' | 'insertMany' | 'updateOne' | 'updateMany' | 'bulkWrite'
  filter?: Doc
  write?: Write
  documents?: Doc[]
  writes?: Write[]
  sort?: Doc
  limit?: number
}
export type Write =
  { collection: string; many: boolean; filter: Doc; update: Doc | Doc[]; upsert: boolean } | { insert: Doc }

/** What a command is told. `keep`: what a find found, not copied yet. */
export type Told = { found: Kept[] } | { matched: number; modified: number; errors: { index: number; code: number }[] }

/** Fields nothing is decided by: they would only make worlds differ that are the same. */
const IDLE_FIELDS: Record<string, Doc> = {
  messages: { log: [], settledAt: null },
  credentials: { history: [] }
}
/** Fields that name a document apart from its `_id`. */
const UNIQUE: Record<string, string[]> = { credentials: ['accountId', 'recipientId', 'hash'] }

const kept = new Map<string, Kept>()

/** The stored form of a document. Equal documents are one object. */
export function keep(collection: string, given: Doc): Kept {
  const doc: Doc = {}
  for (const name of Object.keys(given).sort()) doc[name] = given[name]
  for (const [name, value] of Object.entries(IDLE_FIELDS[collection] ?? {})) if (name in doc) doc[name] = value
  const text = JSON.stringify(doc)
  const known = kept.get(text)
  if (known !== undefined) return known
  const fresh = { id: kept.size, doc }
  kept.set(text, fresh)
  return fresh
}

/** A copy programs may write to. */
export function copyOf<T>(value: T): T {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Date) return new Date(value) as T
  if (Array.isArray(value)) return value.map(copyOf) as T
  const copy: Doc = {}
  for (const name in value) copy[name] = copyOf(value[name])
  return copy as T
}

/** What a filter or an update makes of a document is asked once: commands and documents meet again and again. */
function remembered<Asked extends object, T>(make: (asked: Asked) => (row: Kept) => T): (asked: Asked, row: Kept) => T {
  const known = new WeakMap<Asked, { ask: (row: Kept) => T; answers: Map<number, T> }>()
  return (asked, row) => {
    let entry = known.get(asked)
    if (entry === undefined) known.set(asked, (entry = { ask: make(asked), answers: new Map() }))
    let answer = entry.answers.get(row.id)
    if (answer === undefined) entry.answers.set(row.id, (answer = entry.ask(row)))
    return answer
  }
}

const matches = remembered((filter: Doc) => {
  const query = new Query(filter)
  return ({ doc }: Kept) => query.test(doc)
})

const compared = (a: any, b: any): number => (a === b ? 0 : a === undefined || a === null || a < b ? -1 : a > b ? 1 : 0)

function find(docs: Docs, { collection, filter = {}, sort = {}, limit = 0 }: Command): Kept[] {
  const found = Object.values(docs[collection] ?? {}).filter((row) => matches(filter, row))
  const order = Object.entries(sort)
  found.sort((a, b) => {
    for (const [path, way] of order) {
      const by = compared(+a.doc[path] || a.doc[path], +b.doc[path] || b.doc[path]) * Number(way)
      if (by !== 0) return by
    }
    return compared(a.doc._id, b.doc._id)
  })
  return limit > 0 ? found.slice(0, limit) : found
}

/** `holds.$` is the place of what the filter asked for. */
function placed(update: Doc, filter: Doc, doc: Doc): Doc {
  const out: Doc = {}
  for (const [op, fields] of Object.entries(update)) {
    if (op === '$setOnInsert') continue
    out[op] = {}
    for (const [path, value] of Object.entries(fields as Doc)) {
      const list = path.endsWith('.$') ? path.slice(0, -2) : null
      const dotted = path.indexOf('.')
      // a server refuses to make a field inside null
      if (dotted > 0 && doc[path.slice(0, dotted)] === null) throw new Error(`cannot create ${path} in null`)
      out[op][list === null ? path : `${list}.${doc[list].indexOf(filter[list])}`] = value
    }
  }
  return out
}

type Update = { collection: string; filter: Doc; update: Doc | Doc[] }

const changed = remembered(({ collection, filter, update }: Update) => (old: Kept) => {
  const doc = copyOf(old.doc)
  if (Array.isArray(update)) {
    const box = [doc]
    changeByPipeline(box, {}, update as any)
    return keep(collection, box[0]!)
  }
  change(doc, placed(copyOf(update), filter, doc) as any)
  return keep(collection, doc)
})

function born(write: { filter: Doc; update: Doc | Doc[] }): Doc {
  const doc: Doc = {}
  for (const [name, value] of Object.entries(write.filter)) {
    const asks = typeof value === 'object' && value !== null && Object.keys(value).some((key) => key.startsWith('$'))
    if (!asks && !name.startsWith('$') && !name.includes('.')) doc[name] = copyOf(value)
  }
  const { $setOnInsert = {}, ...rest } = copyOf(write.update) as Doc
  change(doc, { ...rest, $set: { ...rest.$set, ...$setOnInsert } } as any)
  return doc
}

const DUPLICATE = 11000

function insert(docs: Docs, collection: string, doc: Doc): Docs | null {
  const rows = docs[collection] ?? {}
  const unique = UNIQUE[collection]
  if (rows[doc._id] !== undefined) return null
  if (unique !== undefined && Object.values(rows).some((row) => unique.every((name) => row.doc[name] === doc[name])))
    return null
  return { ...docs, [collection]: { ...rows, [doc._id]: keep(collection, copyOf(doc)) } }
}

function write(docs: Docs, collection: string, one: Write): { docs: Docs; matched: number; code: number | null } {
  if ('insert' in one) {
    const next = insert(docs, collection, one.insert)
    return next === null ? { docs, matched: 0, code: DUPLICATE } : { docs: next, matched: 0, code: null }
  }
  const found = find(docs, { collection, op: 'find', filter: one.filter, limit: one.many ? 0 : 1 })
  if (found.length === 0 && one.upsert) {
    const next = insert(docs, collection, born(one))
    return next === null ? { docs, matched: 0, code: DUPLICATE } : { docs: next, matched: 0, code: null }
  }
  if (found.length === 0) return { docs, matched: 0, code: null }
  const rows = { ...docs[collection] }
  for (const old of found) rows[old.doc._id] = changed(one, old)
  return { docs: { ...docs, [collection]: rows }, matched: found.length, code: null }
}

/** The single writes a command is made of: between any two of them something else may happen. */
export function writesOf(command: Command): Write[] | null {
  switch (command.op) {
    case 'find':
    case 'findOne':
      return null
    case 'insertOne':
    case 'insertMany':
      return command.documents!.map((doc) => ({ insert: doc }))
    case 'bulkWrite':
      return command.writes!
    default: {
      return [command.write!]
    }
  }
}

/** Carries out a read, or the write at `place` of a command; `so far` is what the writes before it were told. */
export function carryOut(
  docs: Docs,
  command: Command,
  place: number,
  soFar: Exclude<Told, { found: Kept[] }>
): { docs: Docs; told: Told } {
  const writes = writesOf(command)
  if (writes === null) return { docs, told: { found: find(docs, command) } }
  const one = writes[place]
  if (one === undefined) return { docs, told: soFar }
  const { docs: next, matched, code } = write(docs, command.collection, one)
  return {
    docs: next,
    told: {
      matched: soFar.matched + matched,
      modified: soFar.modified + (next === docs ? 0 : matched),
      errors: code === null ? soFar.errors : [...soFar.errors, { index: place, code }]
    }
  }
}
