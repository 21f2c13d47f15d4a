import type { Value } from './value.js'

/** Operators that look at one path and one operand. */
export type Comparison =
  | '$eq'
  | '$ne'
  | '$gt'
  | '$gte'
  | '$lt'
  | '$lte'
  | '$in'
  | '$nin'
  | '$exists'
  | '$type'
  | '$regex'
  | '$mod'
  | '$size'
  | '$bitsAllSet'
  | '$bitsAllClear'
  | '$bitsAnySet'
  | '$bitsAnyClear'

/**
 * A parsed filter, for planners. `cmp` operands: $in/$nin an array (its regexes match as patterns), $exists a boolean,
 * $type an array of type numbers, $regex a BSONRegExp, $mod [divisor, remainder]. `not` negates its child for the whole
 * document. `elemMatch` with `value: true` tests the elements themselves (their path is ''), else fields of them.
 * `expr` may carry `implied`: a cmp that every document passing the expression also passes (for choosing an index only).
 */
export type FilterNode =
  | { op: 'and' | 'or' | 'nor'; children: FilterNode[] }
  | { op: 'cmp'; path: string; cmp: Comparison; value: Value }
  | { op: 'not'; child: FilterNode }
  | { op: 'elemMatch'; path: string; child: FilterNode; value: boolean }
  | { op: 'expr'; expression: Value; implied: FilterNode[] }

/** Every dotted path a filter looks at, relative to the document. */
export function pathsOf(node: FilterNode): string[] {
  switch (node.op) {
    case 'and':
    case 'or':
    case 'nor':
      return node.children.flatMap(pathsOf)
    case 'not':
      return pathsOf(node.child)
    case 'cmp':
    case 'elemMatch':
      return [node.path]
    default:
      return []
  }
}
