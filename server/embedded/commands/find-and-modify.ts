import { decode, encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { failedToParse } from '../bson/errors.js'
import { compileProjection } from '../bson/project.js'
import { Raw } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, docField, flagField, hintField, refuseCollation } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { compileOrder, firstMatch, letField, projectOne } from './query.js'
import { parseFilter, parseUpdate, updateFound, upsert } from './write.js'

type Answer = { value: Uint8Array | null; n: number; updatedExisting?: boolean; upserted?: Value }

async function findAndModify({ store }: Engine, command: Command): Promise<Reply> {
  const { body, db, now } = command
  const collection = collectionOf(command)
  refuseCollation(body)
  const vars = letField(command, 'findAndModify.let')
  const removes = flagField(body, 'findAndModify.remove', false)
  const upserts = flagField(body, 'findAndModify.upsert', false)
  const wantsNew = flagField(body, 'findAndModify.new', false)
  const change = body.get('update')
  if (removes && change !== undefined) throw failedToParse('Cannot specify both an update and remove=true')
  if (removes && upserts) throw failedToParse('Cannot specify both upsert=true and remove=true')
  if (removes && wantsNew)
    throw failedToParse("Cannot specify both new=true and remove=true; 'remove' always returns the deleted document")
  if (!removes && change === undefined) throw failedToParse('Either an update or remove=true must be specified')

  const filter = parseFilter(body.get('query'), 'findAndModify.query', now, vars)
  const updater = removes ? null : parseUpdate(change, body.get('arrayFilters'), now, vars)
  const spec = docField(body, 'findAndModify.fields')
  const projection = spec && spec.size > 0 ? compileProjection(spec, { filter, now, let: vars }) : null
  const order = compileOrder(docField(body, 'findAndModify.sort'))
  const selection = { filter, hint: hintField(body), order, skip: 0, limit: 1, pauses: false }

  const answer = await store.env.write((): Answer => {
    const entry = store.catalog.find(db, collection)
    const found = entry && firstMatch(store, entry, selection)
    if (!entry || !found) {
      if (!updater || !upserts) return { value: null, n: 0, ...(updater ? { updatedExisting: false } : {}) }
      const made = upsert(store, db, collection, filter, updater)
      const id = made.get('_id') as Value
      return { value: wantsNew ? encode(made) : null, n: 1, updatedExisting: false, upserted: id }
    }
    if (!updater) {
      store.records.remove(entry, found.record, { raw: found.raw, doc: decode(found.raw) })
      return { value: found.raw, n: 1 }
    }
    const { after } = updateFound(store, entry, found, filter, updater)
    return { value: wantsNew ? after : found.raw, n: 1, updatedExisting: true }
  })

  const { value } = answer
  const shown = value && projection ? encode(projectOne(projection, filter, decode(value))) : value
  const last: Doc = new Map([['n', answer.n as Value]])
  if (answer.updatedExisting !== undefined) last.set('updatedExisting', answer.updatedExisting)
  if (answer.upserted !== undefined) last.set('upserted', answer.upserted)
  return { lastErrorObject: new Raw(encode(last)), value: shown ? new Raw(shown) : null }
}

export const findAndModifyCommands: Record<string, CommandSpec> = {
  findAndModify: {
    run: findAndModify,
    fields: [
      ...['query', 'sort', 'remove', 'update', 'new', 'fields', 'upsert', 'arrayFilters', 'hint', 'collation', 'let'],
      'bypassDocumentValidation'
    ]
  }
}
