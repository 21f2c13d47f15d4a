import { encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { failedToParse } from '../bson/errors.js'
import type { Filter } from '../bson/match.js'
import type { Updater } from '../bson/update.js'
import type { CollectionEntry } from '../storage/catalog.js'
import type { Store } from '../storage/store.js'
import { Raw } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, docField, flagField, hintField, refuseCollation } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { checkDeadline } from './generic.js'
import { evaluate, firstMatch, letField, select } from './query.js'
import {
  checkFields,
  checkUpdateForm,
  isOrdered,
  parseFilter,
  parseUpdate,
  prepared,
  requireFields,
  runStatements,
  statementsOf,
  updateFound,
  upsert,
  writeErrors
} from './write.js'
import type { Statement, Step } from './write.js'

const STATEMENT_FIELDS = ['q', 'u', 'c', 'multi', 'upsert', 'arrayFilters', 'hint', 'collation']

/** How many documents an update of many keeps between finding and changing them. */
const READ_AT_ONCE = 1_000

async function update(engine: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const vars = letField(command, 'update.let')
  const specs = statementsOf(command, 'updates')
  specs.forEach(checkStatement)
  const statements = specs.map((spec) => prepared(() => statementOf(engine.store, command, collection, spec, vars)))
  const outcome = await runStatements(engine.store, statements, isOrdered(command), command.deadline)
  return {
    n: outcome.n,
    nModified: outcome.modified,
    ...(outcome.upserted.length > 0 ? { upserted: outcome.upserted.map(({ index, id }) => rawPair(index, id)) } : {}),
    ...writeErrors(outcome)
  }
}

const rawPair = (index: number, id: Value) =>
  new Raw(
    encode(
      new Map([
        ['index', index as Value],
        ['_id', id]
      ])
    )
  )

/** What is wrong with the form of one statement refuses the whole command. @throws MongoError */
function checkStatement(spec: Doc): void {
  checkFields(spec, 'update.updates', STATEMENT_FIELDS)
  requireFields(spec, 'update.updates', ['q', 'u'])
  docField(spec, 'update.updates.q')
  checkUpdateForm(spec.get('u'), spec.get('arrayFilters'))
  flagField(spec, 'update.updates.upsert', false)
  flagField(spec, 'update.updates.multi', false)
  hintField(spec)
  refuseCollation(spec)
}

function statementOf(store: Store, command: Command, collection: string, spec: Doc, vars: Doc | undefined): Statement {
  const constants = docField(spec, 'update.updates.c')
  const lets = constants ? new Map([...(vars ?? []), ...evaluate(constants, command.now)]) : vars
  const filter = parseFilter(spec.get('q'), 'update.updates.q', command.now, lets)
  const updater = parseUpdate(spec.get('u'), spec.get('arrayFilters'), command.now, lets)
  const hint = hintField(spec)
  const upserts = flagField(spec, 'update.updates.upsert', false)
  const multi = flagField(spec, 'update.updates.multi', false)
  if (multi && updater.kind === 'replacement')
    throw failedToParse('multi update is not supported for replacement-style update')

  const insertIt = (): Step => ({
    n: 1,
    modified: 0,
    upserted: upsert(store, command.db, collection, filter, updater).get('_id') as Value
  })
  const target = () => store.catalog.find(command.db, collection)

  if (!multi) {
    return () => {
      const entry = target()
      const found = entry && firstMatch(store, entry, { filter, hint, order: null, skip: 0, limit: 1, pauses: false })
      if (entry && found) return { n: 1, modified: updateFound(store, entry, found, filter, updater).changed ? 1 : 0 }
      return upserts ? insertIt() : { n: 0, modified: 0 }
    }
  }
  return (until, resume) => {
    const entry = target()
    // All that match now, before the first is changed: a change may move a document ahead of the scan.
    const targets: Targets = resume
      ? { records: resume as number[], read: [] }
      : entry
        ? matching(store, entry, filter, hint, command.deadline)
        : { records: [], read: [] }
    if (targets.records.length === 0 && resume === undefined && upserts) return insertIt()
    return entry ? updateMany(store, entry, targets, filter, updater, until) : { n: 0, modified: 0 }
  }
}

/** The records to update, and what the first of them were read as in this very transaction. */
type Targets = { records: number[]; read: Buffer[] }

/** @throws MongoError 50 when the time is up before the first is changed */
function matching(
  store: Store,
  entry: CollectionEntry,
  filter: Filter,
  hint: string | Doc | null,
  deadline: number
): Targets {
  const records: number[] = []
  const read: Buffer[] = []
  for (const found of select(store, entry, { filter, hint, order: null, skip: 0, limit: 0, pauses: false }).matches) {
    if (typeof found === 'symbol') continue
    records.push(found.record)
    if (records.length % 256 === 0) checkDeadline(deadline)
    if (read.length < READ_AT_ONCE) read.push(found.raw)
  }
  checkDeadline(deadline)
  return { records, read }
}

function updateMany(
  store: Store,
  entry: CollectionEntry,
  { records, read }: Targets,
  filter: Filter,
  updater: Updater,
  until: number
): Step {
  let n = 0
  let modified = 0
  for (let i = 0; i < records.length; i++) {
    const raw = read[i] ?? store.records.get(entry, records[i])
    if (raw !== undefined && (i < read.length || filter.testRaw(raw))) {
      n++
      if (updateFound(store, entry, { record: records[i], raw }, filter, updater).changed) modified++
    }
    if (i + 1 < records.length && performance.now() > until) return { n, modified, resume: records.slice(i + 1) }
  }
  return { n, modified }
}

export const updateCommands: Record<string, CommandSpec> = {
  update: { run: update, fields: ['updates', 'ordered', 'bypassDocumentValidation', 'let'] }
}
