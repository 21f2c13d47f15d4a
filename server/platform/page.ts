import { InvalidInput } from './errors.js'
import type { PageQuery } from '../../shared/page.js'

/** What listPage needs of a collection; mongoose's `model.collection` and the driver's collections have it. */
export type Listable = {
  find(filter: any, options?: any): { sort(sort: any): { limit(count: number): { toArray(): Promise<any[]> } } }
  countDocuments(filter: any, options?: any): Promise<number>
}

export type PageOptions = {
  filter: Record<string, unknown>
  query: Pick<PageQuery, 'limit' | 'cursor' | 'sort' | 'count'>
  /** Fields a caller may sort by. Each must be set and of one type on every row, since a keyset walks on its values. */
  sortable: readonly string[]
  /** `createdAt`, or `-createdAt` for newest first. `id` sorts by _id. */
  defaultSort: string
  projection?: Record<string, unknown>
}

export type Page<View> = {
  data: View[]
  page: { nextCursor: string | null; total?: number; estimated?: boolean }
}

/** Counting stops here; beyond it a total is an estimate (a lower bound). */
const COUNT_LIMIT = 100_000

/**
 * One page of rows, walked by (sort field, _id) so that rows added meanwhile are neither repeated nor skipped.
 * @throws InvalidInput when the sort field is not offered, or the cursor is not one this list gave out
 */
export async function listPage<Row extends { _id: any }, View>(
  collection: Listable,
  { filter, query, sortable, defaultSort, projection }: PageOptions,
  view: (row: Row) => View | Promise<View>
): Promise<Page<View>> {
  const sort = query.sort ?? defaultSort
  const descending = sort.startsWith('-')
  const name = descending ? sort.slice(1) : sort
  if (query.sort !== undefined && !sortable.includes(name)) {
    throw invalid('sort', 'sort.unknown', `sort by one of: ${sortable.join(', ')}`)
  }
  const field = name === 'id' ? '_id' : name
  const limit = query.limit
  const after = query.cursor === undefined ? null : readCursor(query.cursor, sort)
  const from = after === null ? filter : { $and: [filter, beyond(field, descending, after)] }
  const direction = descending ? -1 : 1
  const rows: Row[] = await collection
    .find(from, projection === undefined ? undefined : { projection })
    .sort(field === '_id' ? { _id: direction } : { [field]: direction, _id: direction })
    .limit(limit + 1)
    .toArray()
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const nextCursor =
    rows.length > limit && last !== undefined ? writeCursor(sort, fieldOf(last, field), last._id) : null
  const page: Page<View>['page'] = { nextCursor }
  if (query.count === 'true') {
    page.total = await collection.countDocuments(filter, { limit: COUNT_LIMIT })
    page.estimated = page.total === COUNT_LIMIT
  }
  return { data: await Promise.all(shown.map(view)), page }
}

type Position = { value: unknown; id: unknown }

function beyond(field: string, descending: boolean, { value, id }: Position): Record<string, unknown> {
  const past = descending ? '$lt' : '$gt'
  if (field === '_id') return { _id: { [past]: id } }
  // The first condition says nothing new; it is what an index in this order can be entered by.
  const within = { [field]: { [`${past}e`]: value } }
  return { ...within, $or: [{ [field]: { [past]: value } }, { [field]: value, _id: { [past]: id } }] }
}

function writeCursor(sort: string, value: unknown, id: unknown): string {
  return Buffer.from(JSON.stringify([sort, typed(value), typed(id)])).toString('base64url')
}

/** A cursor is data from outside: only plain values may come out of it, never an operator. */
function readCursor(cursor: string, sort: string): Position {
  try {
    const [madeFor, value, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (madeFor !== sort) throw new Error('made for another order')
    return { value: untyped(value), id: untyped(id) }
  } catch {
    throw invalid('cursor', 'cursor.invalid', 'not a cursor this list gave out for this order')
  }
}

function typed(value: unknown): unknown {
  return value instanceof Date ? { at: value.toISOString() } : (value ?? null)
}

function untyped(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null)
    return value
  const at = new Date((value as { at: string }).at)
  if (Number.isNaN(at.getTime())) throw new Error('not a value')
  return at
}

function fieldOf(row: any, path: string): unknown {
  return path.split('.').reduce((value, name) => value?.[name], row)
}

function invalid(parameter: string, code: string, message: string): InvalidInput {
  return new InvalidInput(message, { errors: [{ pointer: `/${parameter}`, code, message }] })
}
