import { setImmediate as turn } from 'node:timers/promises'
import { encode } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { isDoc } from '../bson/value.js'
import type { Plan } from '../storage/planner.js'
import type { Examined } from '../storage/scan.js'
import { Raw } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { planPipeline, stagesOf } from './aggregate.js'
import { collectionOf, docField, docsField, hintField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { parseFind } from './find.js'
import { letField, select } from './query.js'
import { parseFilter } from './write.js'

/** How a command would be carried out, and, unless only the plan is asked for, what that looked at. Nothing is written. */
async function explain(engine: Engine, command: Command): Promise<Reply> {
  const { store } = engine
  const inner = docField(command.body, 'explain.explain')
  const verbosity = command.body.get('verbosity') ?? 'allPlansExecution'
  if (!inner) throw new MongoError(14, "BSON field 'explain.explain' is the wrong type, expected type 'object'")
  if (typeof verbosity !== 'string' || !['queryPlanner', 'executionStats', 'allPlansExecution'].includes(verbosity)) {
    throw new MongoError(2, 'verbosity string must be one of {queryPlanner, executionStats, allPlansExecution}')
  }
  const name = inner.keys().next().value ?? ''
  const asked: Command = { ...command, name, body: inner, sequences: new Map() }
  const collection = collectionOf(asked)
  const entry = store.catalog.find(command.db, collection)
  const filterDoc = filterOf(name, inner)
  const parsed =
    name === 'find'
      ? parseFind(asked).selection
      : {
          filter: parseFilter(filterDoc, 'explain', command.now, undefined),
          hint: hintField(inner),
          order: null,
          skip: 0,
          limit: 0,
          pauses: true
        }
  store.env.refresh()
  let plan: Plan | null = null
  let ordered = true
  let examined: Examined = { keys: 0, documents: 0 }
  let results: Iterable<unknown> = []
  if (name === 'aggregate') {
    const planned = planPipeline(
      engine,
      command.db,
      entry,
      stagesOf(inner),
      { now: command.now, let: letField(asked, 'aggregate.let') },
      hintField(inner)
    )
    ;({ plan, examined } = planned)
    results = planned.pipeline.tail ? planned.source : planned.pipeline.run(planned.source)
  } else if (entry) {
    const selected = select(store, entry, parsed)
    ;({ plan, ordered, examined } = selected)
    results = selected.matches
  }
  const namespace = `${command.db}.${collection}`
  const winning = describe(plan, ordered)
  const reply: Reply = {
    explainVersion: '1',
    queryPlanner: {
      namespace,
      parsedQuery: filterDoc ? new Raw(encode(filterDoc)) : {},
      winningPlan: winning,
      rejectedPlans: []
    }
  }
  if (verbosity === 'queryPlanner') return reply
  const started = performance.now()
  let returned = 0
  for (const result of results) {
    if (typeof result === 'symbol') await turn()
    else returned++
  }
  reply.executionStats = {
    executionSuccess: true,
    nReturned: returned,
    executionTimeMillis: Math.round(performance.now() - started),
    totalKeysExamined: examined.keys,
    totalDocsExamined: examined.documents,
    executionStages: winning
  }
  return reply
}

function filterOf(name: string, inner: Doc): Doc | undefined {
  switch (name) {
    case 'find':
      return docField(inner, 'find.filter')
    case 'count':
    case 'distinct':
    case 'findAndModify':
      return docField(inner, `${name}.query`)
    case 'update':
    case 'delete': {
      const q = docsField(inner, name === 'update' ? 'update.updates' : 'delete.deletes')?.[0]?.get('q')
      return isDoc(q) ? q : undefined
    }
    case 'aggregate': {
      const match = stagesOf(inner)[0]?.get('$match')
      return isDoc(match) ? match : undefined
    }
    default:
      throw new MongoError(59, `Explain failed due to unknown command: ${name}`)
  }
}

function describe(plan: Plan | null, ordered: boolean): Reply {
  const found = access(plan)
  return ordered ? found : { stage: 'SORT', inputStage: found }
}

function access(plan: Plan | null): Reply {
  if (!plan) return { stage: 'EOF' }
  if (plan.kind === 'scan') return { stage: 'COLLSCAN', direction: plan.reverse ? 'backward' : 'forward' }
  if (plan.kind === 'union') return { stage: 'OR', inputStages: plan.branches.map(access) }
  const { index } = plan
  const scan: Reply = {
    stage: 'IXSCAN',
    keyPattern: Object.fromEntries(index.fields.map((field) => [field.path, field.direction])),
    indexName: index.name,
    isMultiKey: index.multikey,
    isUnique: index.unique,
    isSparse: index.sparse,
    isPartial: index.partial !== null,
    direction: plan.reverse ? 'backward' : 'forward',
    ranges: plan.spans.length,
    exact: plan.exact
  }
  return { stage: 'FETCH', inputStage: scan }
}

export const explainCommands: Record<string, CommandSpec> = {
  explain: { run: explain, fields: ['verbosity'] }
}
