import { encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { isDoc, isTruthy } from '../bson/value.js'
import type { CollectionEntry } from '../storage/catalog.js'
import type { Plan } from '../storage/planner.js'
import type { Examined } from '../storage/scan.js'
import { Raw } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { planPipeline, stagesOf } from './aggregate.js'
import { collectionOf, docField, docsField, hintField, wholeField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { countMatches } from './count.js'
import { parseFind } from './find.js'
import { pause } from './pause.js'
import { compileOrder, letField, select } from './query.js'
import type { Selection } from './query.js'
import { parseFilter } from './write.js'

/** What is to be explained: how documents are found, in stages as MongoDB names them, and the work of finding them. */
type Explained = {
  filter: Doc | undefined
  winningPlan: Reply
  examined: Examined
  /** Does the work, writing nothing; resolves to how many documents came of it. */
  run: () => Promise<number>
}

const EXPLAINABLE = ['find', 'count', 'distinct', 'findAndModify', 'update', 'delete', 'aggregate']

/** How a command would be carried out, and, unless only the plan is asked for, what that looked at. Nothing is written. */
async function explain(engine: Engine, command: Command): Promise<Reply> {
  const inner = docField(command.body, 'explain.explain')
  const verbosity = command.body.get('verbosity') ?? 'allPlansExecution'
  if (!inner) throw new MongoError(14, "BSON field 'explain.explain' is the wrong type, expected type 'object'")
  if (typeof verbosity !== 'string' || !['queryPlanner', 'executionStats', 'allPlansExecution'].includes(verbosity)) {
    throw new MongoError(2, 'verbosity string must be one of {queryPlanner, executionStats, allPlansExecution}')
  }
  const name = inner.keys().next().value ?? ''
  if (!EXPLAINABLE.includes(name)) throw new MongoError(59, `Explain failed due to unknown command: ${name}`)
  const asked: Command = { ...command, name, body: inner, sequences: new Map() }
  const collection = collectionOf(asked)
  engine.store.env.refresh()
  const entry = engine.store.catalog.find(command.db, collection)
  const { filter, winningPlan, examined, run } = explainedOf(engine, asked, entry)
  const reply: Reply = {
    explainVersion: '1',
    queryPlanner: {
      namespace: `${command.db}.${collection}`,
      parsedQuery: filter ? new Raw(encode(filter)) : {},
      winningPlan,
      rejectedPlans: []
    }
  }
  if (verbosity === 'queryPlanner') return reply
  const started = performance.now()
  const returned = await run()
  reply.executionStats = {
    executionSuccess: true,
    nReturned: returned,
    executionTimeMillis: Math.round(performance.now() - started),
    totalKeysExamined: examined.keys,
    totalDocsExamined: examined.documents,
    executionStages: winningPlan
  }
  return reply
}

function explainedOf(engine: Engine, asked: Command, entry: CollectionEntry | undefined): Explained {
  const { name, body } = asked
  switch (name) {
    case 'find':
      return explainSelection(engine, asked, entry, docField(body, 'find.filter'), parseFind(asked).selection)
    case 'count':
      return explainCount(engine, asked, entry)
    case 'distinct':
    case 'findAndModify': {
      const filter = docField(body, `${name}.query`)
      const one = name === 'findAndModify'
      const order = one ? docField(body, 'findAndModify.sort') : undefined
      const selection = selectionOf(asked, filter, hintField(body), order, one ? 1 : 0)
      const outer = one ? (isTruthy(body.get('remove')) ? 'DELETE' : 'UPDATE') : undefined
      return explainSelection(engine, asked, entry, filter, selection, outer)
    }
    case 'update':
    case 'delete': {
      const statements = docsField(body, name === 'update' ? 'update.updates' : 'delete.deletes') ?? []
      if (statements.length !== 1) throw new MongoError(16, 'explained write batches must be of size 1')
      const [statement] = statements
      const filter = docField(statement, `${name}.q`)
      const many = name === 'update' ? isTruthy(statement.get('multi')) : !isTruthy(statement.get('limit'))
      const selection = selectionOf(asked, filter, hintField(statement), undefined, many ? 0 : 1)
      return explainSelection(engine, asked, entry, filter, selection, name.toUpperCase())
    }
    default:
      return explainAggregate(engine, asked, entry)
  }
}

function selectionOf(
  asked: Command,
  filter: Doc | undefined,
  hint: string | Doc | null,
  order: Doc | undefined,
  limit: number
): Selection {
  const vars = letField(asked, `${asked.name}.let`)
  const compiled = parseFilter(filter as Value | undefined, `${asked.name}.query`, asked.now, vars)
  return { filter: compiled, hint, order: compileOrder(order), skip: 0, limit, pauses: true }
}

/** `outer` is the stage that does something with the documents found; MongoDB says it around the way to them. */
function explainSelection(
  { store }: Engine,
  asked: Command,
  entry: CollectionEntry | undefined,
  filter: Doc | undefined,
  selection: Selection,
  outer?: string
): Explained {
  const selected = entry ? select(store, entry, selection) : null
  const found = describe(selected?.plan ?? null, selected?.ordered ?? true)
  return {
    filter,
    winningPlan: outer === undefined ? found : { stage: outer, inputStage: found },
    examined: selected?.examined ?? { keys: 0, documents: 0 },
    run: () => countOf(selected?.matches ?? [], asked.deadline)
  }
}

function explainCount({ store }: Engine, asked: Command, entry: CollectionEntry | undefined): Explained {
  const filter = docField(asked.body, 'count.query')
  const skip = wholeField(asked.body, 'count.skip') ?? 0
  const limit = Math.abs(wholeField(asked.body, 'count.limit') ?? 0)
  const selection = selectionOf(asked, filter, hintField(asked.body), undefined, 0)
  const most = limit > 0 ? skip + limit : Infinity
  const examined = { keys: 0, documents: 0 }
  const everything = !filter?.size && selection.hint === null
  const plan = entry ? store.planCount(entry, selection) : null
  const inputStage =
    plan?.kind === 'intersection'
      ? { stage: 'AND_HASH', inputStages: plan.branches.map(scanOf) }
      : plan?.kind === 'index' && plan.exact
        ? { ...scanOf(plan), stage: 'COUNT_SCAN' }
        : access(plan)
  return {
    filter,
    winningPlan: entry && everything ? { stage: 'RECORD_STORE_FAST_COUNT' } : { stage: 'COUNT', inputStage },
    examined,
    async run() {
      if (entry) await countMatches(store, entry, selection, most, examined, asked.deadline)
      return 0 // a count returns no documents
    }
  }
}

function explainAggregate(engine: Engine, asked: Command, entry: CollectionEntry | undefined): Explained {
  const { body, db, now, deadline } = asked
  const stages = stagesOf(body)
  const variables = { now, let: letField(asked, 'aggregate.let') }
  const planned = planPipeline(engine, db, entry, stages, variables, hintField(body))
  const match = stages[0]?.get('$match')
  const { pipeline, source, plan, examined } = planned
  return {
    filter: isDoc(match) ? match : undefined,
    winningPlan: describe(plan, true),
    examined,
    run: () => countOf(pipeline.tail ? source : pipeline.run(source), deadline)
  }
}

async function countOf(results: Iterable<unknown>, deadline: number): Promise<number> {
  let count = 0
  for (const result of results) {
    if (typeof result === 'symbol') await pause(deadline)
    else count++
  }
  return count
}

function describe(plan: Plan | null, ordered: boolean): Reply {
  const found = access(plan)
  return ordered ? found : { stage: 'SORT', inputStage: found }
}

function access(plan: Plan | null): Reply {
  if (!plan) return { stage: 'EOF' }
  if (plan.kind === 'scan') return { stage: 'COLLSCAN', direction: plan.reverse ? 'backward' : 'forward' }
  if (plan.kind === 'union') return { stage: 'OR', inputStages: plan.branches.map(access) }
  return { stage: 'FETCH', inputStage: scanOf(plan) }
}

function scanOf({ index, reverse, spans, exact }: Extract<Plan, { kind: 'index' }>): Reply {
  return {
    stage: 'IXSCAN',
    keyPattern: Object.fromEntries(index.fields.map((field) => [field.path, field.direction])),
    indexName: index.name,
    isMultiKey: index.multikey,
    isUnique: index.unique,
    isSparse: index.sparse,
    isPartial: index.partial !== null,
    direction: reverse ? 'backward' : 'forward',
    ranges: spans.length,
    exact
  }
}

export const explainCommands: Record<string, CommandSpec> = {
  explain: { run: explain, fields: ['verbosity'] }
}
