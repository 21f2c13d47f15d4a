import { isDoc, isNumber, isTruthy, type Value } from '../bson/value.js'

const top = (path: string) => path.split('.')[0]!

/** Adds the top-level fields an expression reads to `into`; false when it may read any field. */
export function addReferences(spec: Value, into: Set<string>): boolean {
  if (typeof spec === 'string') {
    if (spec.startsWith('$$')) {
      const [name, field] = spec.slice(2).split('.')
      if (name !== 'ROOT' && name !== 'CURRENT') return true
      if (field === undefined) return false
      into.add(field)
    } else if (spec.startsWith('$')) into.add(top(spec.slice(1)))
    return true
  }
  if (Array.isArray(spec)) return spec.every((item) => addReferences(item, into))
  if (!isDoc(spec)) return true
  for (const [key, value] of spec) {
    if (key === '$literal' || key === '$const') continue
    if (key === '$getField') return false
    if (!addReferences(value, into)) return false
  }
  return true
}

/** Adds the top-level fields a filter reads; false when it may read any. */
export function addFilterFields(filter: Value, into: Set<string>): boolean {
  if (!isDoc(filter)) return false
  for (const [key, value] of filter) {
    if (key === '$expr') {
      if (!addReferences(value, into)) return false
    } else if (key.startsWith('$')) {
      if (Array.isArray(value) && !value.every((part) => addFilterFields(part, into))) return false
    } else into.add(top(key))
  }
  return true
}

/**
 * The top-level fields a pipeline can read of its source documents, or undefined when it may pass whole documents on.
 * Sources may then decode only these (`decodeFields`).
 */
export function neededFields(stages: readonly Value[]): ReadonlySet<string> | undefined {
  const fields = new Set<string>()
  for (const stage of stages) {
    if (!isDoc(stage)) return undefined
    const [name, spec] = stage.entries().next().value ?? ['', null]
    switch (name) {
      case '$match':
        if (!addFilterFields(spec, fields)) return undefined
        break
      case '$sort':
        if (!isDoc(spec)) return undefined
        for (const key of spec.keys()) fields.add(top(key))
        break
      case '$limit':
      case '$skip':
      case '$sample':
        break
      case '$unwind':
        if (!addReferences(isDoc(spec) ? (spec.get('path') ?? null) : spec, fields)) return undefined
        break
      case '$set':
      case '$addFields':
        if (!addReferences(spec, fields)) return undefined
        if (isDoc(spec)) for (const key of spec.keys()) fields.add(top(key))
        break
      case '$group':
      case '$sortByCount':
      case '$bucket':
        return addReferences(spec, fields) ? fields : undefined
      case '$count':
        return fields
      case '$project': {
        if (!isDoc(spec)) return undefined
        const excludes = [...spec].some(
          ([key, value]) => key !== '_id' && (isNumber(value) || typeof value === 'boolean') && !isTruthy(value)
        )
        if (excludes || (spec.size === 1 && spec.has('_id')) || nestedExclusion(spec)) return undefined
        fields.add('_id')
        for (const key of spec.keys()) fields.add(top(key))
        return addReferences(spec, fields) ? fields : undefined
      }
      default:
        return undefined
    }
  }
  return undefined
}

const nestedExclusion = (spec: Value): boolean =>
  isDoc(spec) &&
  [...spec.values()].some(
    (value) =>
      isDoc(value) && ([...value.values()].some((inner) => inner === false || inner === 0) || nestedExclusion(value))
  )
