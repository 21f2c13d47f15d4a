import { failedToParse, MongoError } from '../bson/errors.js'
import { isDoc, typeName, type Doc, type Value } from '../bson/value.js'
import { stageOf } from './document-stages.js'

/** Where a pipeline writes its results. `db` undefined: the pipeline's own database. */
export type Tail =
  | { stage: '$out'; db: string | undefined; collection: string }
  | {
      stage: '$merge'
      db: string | undefined
      collection: string
      /** The fields that identify a document of the target; they need a unique index. */
      on: string[]
      /** What to do with a document already there: an action, or an update pipeline whose $$new is the result. */
      whenMatched: 'replace' | 'keepExisting' | 'merge' | 'fail' | Doc[]
      whenNotMatched: 'insert' | 'discard' | 'fail'
      /** $merge's own variables, as expressions over the result document; undefined means only `new`. */
      let: Doc | undefined
    }

function target(
  name: string,
  value: Value | undefined,
  collectionKey: string
): { db: string | undefined; collection: string } {
  if (typeof value === 'string') return { db: undefined, collection: value }
  if (!isDoc(value))
    throw new MongoError(
      51178,
      `${name} 'into' field must be either a string or an object, but found ${typeName(value)}`
    )
  for (const key of value.keys())
    if (key !== 'db' && key !== collectionKey)
      throw new MongoError(40415, `BSON field '${name}.${key}' is an unknown field.`)
  const [db, collection] = [value.get('db'), value.get(collectionKey)]
  if (typeof collection !== 'string' || collection === '' || (db !== undefined && typeof db !== 'string'))
    throw new MongoError(
      51178,
      `${name} needs the name of its collection, and of its database if that is given, as strings`
    )
  return { db, collection }
}

/** Parses the body of $out or $merge. @throws MongoError 16990, 51178, 40415, 9 */
export function parseTail(name: '$out' | '$merge', spec: Value): Tail {
  if (name === '$out') {
    if (typeof spec !== 'string' && !isDoc(spec))
      throw new MongoError(16990, `$out only supports a string or object argument, but found ${typeName(spec)}`)
    return { stage: '$out', ...target('$out', spec, 'coll') }
  }
  if (typeof spec === 'string') spec = new Map([['into', spec]])
  if (!isDoc(spec))
    throw new MongoError(51182, `$merge requires a string or object argument, but found ${typeName(spec)}`)
  for (const key of spec.keys())
    if (!['into', 'on', 'let', 'whenMatched', 'whenNotMatched'].includes(key))
      throw new MongoError(40415, `BSON field '$merge.${key}' is an unknown field.`)
  const given = spec.get('on') ?? '_id'
  const on = Array.isArray(given) ? given : [given]
  if (on.length === 0 || on.some((field) => typeof field !== 'string'))
    throw new MongoError(51186, "$merge 'on' field must be a string or a non-empty array of strings")
  const matched = spec.get('whenMatched') ?? 'merge'
  const notMatched = spec.get('whenNotMatched') ?? 'insert'
  if (Array.isArray(matched)) matched.forEach(stageOf)
  else if (!['replace', 'keepExisting', 'merge', 'fail'].includes(matched as string))
    throw failedToParse(`Enumeration value for field '$merge.whenMatched' is not a valid value.`)
  if (!['insert', 'discard', 'fail'].includes(notMatched as string))
    throw failedToParse(`Enumeration value for field '$merge.whenNotMatched' is not a valid value.`)
  const variables = spec.get('let')
  if (variables !== undefined && !isDoc(variables))
    throw new MongoError(14, "BSON field '$merge.let' is the wrong type, expected type 'object'")
  if (variables !== undefined && !Array.isArray(matched))
    throw new MongoError(51199, "Cannot use 'let' variables with non-pipeline 'whenMatched' mode")
  return {
    stage: '$merge',
    ...target('$merge', spec.get('into'), 'coll'),
    on: on as string[],
    whenMatched: matched as 'merge',
    whenNotMatched: notMatched as 'insert',
    let: variables
  }
}
