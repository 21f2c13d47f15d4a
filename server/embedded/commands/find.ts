import { MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { compileProjection } from '../bson/project.js'
import { toInteger } from '../bson/value.js'
import type { Reply } from '../wire/raw.js'
import {
  collectionOf,
  countField,
  docField,
  flagField,
  hintField,
  refuseCollation,
  textField,
  wholeField
} from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { compileOrder, findMatches, letField, project } from './query.js'
import type { Selection } from './query.js'

/** A find command's selection and projection. @throws MongoError for whatever is not carried out as MongoDB would */
export function parseFind(command: Command): {
  selection: Selection
  projection: ReturnType<typeof compileProjection> | null
} {
  const { body, now } = command
  refuseCollation(body)
  for (const field of ['tailable', 'awaitData', 'oplogReplay', 'returnKey', 'showRecordId'] as const) {
    if (flagField(body, `find.${field}`, false))
      throw new MongoError(72, `the find option ${field} is not supported by this store`)
  }
  for (const field of ['min', 'max'] as const) {
    const bound = docField(body, `find.${field}`)
    if (bound && bound.size > 0) throw new MongoError(72, `the find option ${field} is not supported by this store`)
  }
  const env = { now, let: letField(command, 'find.let') }
  const filter = compileFilter(docField(body, 'find.filter') ?? new Map(), env)
  const spec = docField(body, 'find.projection')
  return {
    selection: {
      filter,
      order: compileOrder(docField(body, 'find.sort')),
      skip: countField(body, 'find.skip') ?? 0,
      limit: countField(body, 'find.limit') ?? 0,
      hint: hintField(body),
      pauses: true
    },
    projection: spec && spec.size > 0 ? compileProjection(spec, { filter, ...env }) : null
  }
}

async function find(engine: Engine, command: Command): Promise<Reply> {
  const { body, db } = command
  const name = collectionOf(command)
  const { selection, projection } = parseFind(command)
  const batchSize = countField(body, 'find.batchSize')
  const single = flagField(body, 'find.singleBatch', false)
  const eternal = flagField(body, 'find.noCursorTimeout', false)
  engine.store.env.refresh()
  const entry = engine.store.catalog.find(db, name)
  const matches = entry ? findMatches(engine.store, entry, selection) : []
  const results = project(matches, projection, selection.filter)
  return engine.cursors.start(`${db}.${name}`, results, { batchSize, single, eternal, deadline: command.deadline })
}

async function getMore(engine: Engine, command: Command): Promise<Reply> {
  const { body, db } = command
  const id = body.get('getMore')
  const collection = textField(body, 'getMore.collection') ?? ''
  if (typeof id !== 'bigint' && !(typeof id === 'number' && Number.isInteger(id)))
    throw new MongoError(14, "BSON field 'getMore.getMore' is the wrong type, expected type 'long'")
  if (command.deadline !== Infinity)
    throw new MongoError(2, 'cannot set maxTimeMS on getMore command for a non-awaitData cursor')
  const batchSize = wholeField(body, 'getMore.batchSize')
  return engine.cursors.more(BigInt(id), `${db}.${collection}`, batchSize && batchSize > 0 ? batchSize : undefined)
}

function killCursors(engine: Engine, { body }: Command): Reply {
  const ids = body.get('cursors')
  if (!Array.isArray(ids))
    throw new MongoError(14, "BSON field 'killCursors.cursors' is the wrong type, expected type 'array'")
  const killed: bigint[] = []
  const unknown: bigint[] = []
  for (const id of ids) {
    const cursor = typeof id === 'bigint' ? id : BigInt(toInteger(id) ?? 0)
    ;(engine.cursors.kill(cursor) ? killed : unknown).push(cursor)
  }
  return { cursorsKilled: killed, cursorsNotFound: unknown, cursorsAlive: [], cursorsUnknown: [] }
}

export const findCommands: Record<string, CommandSpec> = {
  find: {
    run: find,
    fields: [
      ...[
        'filter',
        'sort',
        'projection',
        'hint',
        'skip',
        'limit',
        'batchSize',
        'singleBatch',
        'noCursorTimeout',
        'let'
      ],
      ...[
        'collation',
        'allowDiskUse',
        'allowPartialResults',
        'min',
        'max',
        'returnKey',
        'showRecordId',
        'tailable',
        'awaitData',
        'oplogReplay'
      ]
    ]
  },
  getMore: { run: getMore, fields: ['collection', 'batchSize'] },
  killCursors: { run: killCursors, fields: ['cursors'] }
}
