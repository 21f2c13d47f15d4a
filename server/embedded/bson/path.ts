import { isDoc, type Doc, type Value } from './value.js'

/** Splits a dotted path. */
export const segmentsOf = (path: string): string[] => path.split('.')

/** The array position a path segment names, or -1: digits only, without leading zeros. */
export const indexOf = (segment: string): number => (/^(0|[1-9]\d{0,8})$/.test(segment) ? Number(segment) : -1)

/** The value at a dotted path through documents, and through arrays by numeric segments only; undefined when missing. */
export function getPath(doc: Doc, path: string | string[]): Value | undefined {
  let value: Value | undefined = doc
  for (const segment of typeof path === 'string' ? segmentsOf(path) : path) {
    if (isDoc(value)) value = value.get(segment)
    else if (Array.isArray(value)) value = indexOf(segment) < 0 ? undefined : value[indexOf(segment)]
    else return undefined
  }
  return value
}

/** A deep copy that shares only immutable values. */
export function cloneValue(value: Value): Value {
  if (isDoc(value)) return cloneDoc(value)
  return Array.isArray(value) ? value.map(cloneValue) : value
}

/** A deep copy of a document. */
export function cloneDoc(doc: Doc): Doc {
  const copy: Doc = new Map()
  for (const [key, value] of doc) copy.set(key, cloneValue(value))
  return copy
}
