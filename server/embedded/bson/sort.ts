import { compareValues } from './compare.js'
import { badValue } from './errors.js'
import { MongoError } from './errors.js'
import { indexValues } from './index-values.js'
import { isNumber, toNumber, type Doc, type Value } from './value.js'

/** A sort specification, ready to order documents as MongoDB does (missing as null, arrays by their least or greatest). */
export type Sort = {
  paths: string[]
  directions: (1 | -1)[]
  /** The values a document sorts by. @throws MongoError 2 on parallel arrays. */
  key(doc: Doc): Value[]
  /** Order of two such keys: negative, 0 or positive. */
  compare(a: readonly Value[], b: readonly Value[]): number
}

/** Parses `{ a: 1, 'b.c': -1 }`. @throws MongoError 2 or 15974ff on a bad specification; $meta is refused. */
export function compileSort(spec: Doc): Sort {
  const paths: string[] = []
  const directions: (1 | -1)[] = []
  for (const [path, order] of spec) {
    if (path === '') throw new MongoError(40352, 'FieldPath cannot be constructed with empty string')
    if (path.startsWith('$'))
      throw new MongoError(
        16410,
        `FieldPath field names may not start with '$'. Consider using $getField or $setField.`
      )
    if (path.split('.').includes('')) throw new MongoError(15998, 'FieldPath field names may not be empty strings.')
    if (!isNumber(order)) throw new MongoError(15974, `Illegal key in $sort specification: ${path}`)
    const n = toNumber(order)
    if (n !== 1 && n !== -1)
      throw new MongoError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)')
    paths.push(path)
    directions.push(n)
  }
  if (paths.length > 32) throw badValue('too many sort keys: the limit is 32')
  const compare = (a: readonly Value[], b: readonly Value[]) => {
    for (let i = 0; i < directions.length; i++) {
      const order = compareValues(a[i], b[i])
      if (order !== 0) return directions[i] === 1 ? order : -order
    }
    return 0
  }
  return {
    paths,
    directions,
    compare,
    key(doc) {
      let tuples: Value[][]
      try {
        ;({ tuples } = indexValues(doc, paths))
      } catch (error) {
        if (error instanceof MongoError && error.code === 171)
          throw badValue(
            'Executor error during find command :: caused by :: cannot sort with keys that are parallel arrays'
          )
        throw error
      }
      let best = tuples[0]!
      for (let i = 1; i < tuples.length; i++) if (compare(tuples[i]!, best) < 0) best = tuples[i]!
      return best
    }
  }
}
