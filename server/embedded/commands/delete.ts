import { decode } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import type { Store } from '../storage/store.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, docField, hintField, refuseCollation } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { firstMatch, letField, select } from './query.js'
import {
  checkFields,
  isOne,
  isOrdered,
  parseFilter,
  prepared,
  requireFields,
  runStatements,
  statementsOf,
  writeErrors
} from './write.js'
import type { Statement } from './write.js'

async function remove(engine: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const vars = letField(command, 'delete.let')
  const specs = statementsOf(command, 'deletes')
  specs.forEach(checkStatement)
  const statements = specs.map((spec) => prepared(() => statementOf(engine.store, command, collection, spec, vars)))
  const outcome = await runStatements(engine.store, statements, isOrdered(command), command.deadline)
  return { n: outcome.n, ...writeErrors(outcome) }
}

/** What is wrong with the form of one statement refuses the whole command. @throws MongoError */
function checkStatement(spec: Doc): void {
  checkFields(spec, 'delete.deletes', ['q', 'limit', 'hint', 'collation'])
  requireFields(spec, 'delete.deletes', ['q', 'limit'])
  docField(spec, 'delete.deletes.q')
  isOne(spec.get('limit'))
  hintField(spec)
  refuseCollation(spec)
}

function statementOf(store: Store, command: Command, collection: string, spec: Doc, vars: Doc | undefined): Statement {
  const filter = parseFilter(spec.get('q'), 'delete.deletes.q', command.now, vars)
  const selection = { filter, hint: hintField(spec), order: null, skip: 0, limit: 0, pauses: false }
  const one = isOne(spec.get('limit'))
  return (until) => {
    const entry = store.catalog.find(command.db, collection)
    if (!entry) return { n: 0, modified: 0 }
    if (one) {
      const found = firstMatch(store, entry, selection)
      if (found) store.records.remove(entry, found.record, { raw: found.raw, doc: decode(found.raw) })
      return { n: found ? 1 : 0, modified: 0 }
    }
    let n = 0
    const victims = []
    let more = false
    for (const found of select(store, entry, selection).matches) {
      if (typeof found === 'symbol') continue
      victims.push(found)
      // The rest is found again by the next step: what is deleted no longer matches.
      if (victims.length === 1_000) {
        more = true
        break
      }
    }
    for (const { record, raw } of victims) {
      store.records.remove(entry, record, { raw, doc: decode(raw) })
      n++
      if (n < victims.length && performance.now() > until) {
        more = true
        break
      }
    }
    return { n, modified: 0, ...(more ? { resume: true } : {}) }
  }
}

export const deleteCommands: Record<string, CommandSpec> = {
  delete: { run: remove, fields: ['deletes', 'ordered', 'let'] }
}
