import { Identify } from '../../../shared/person.js'
import type { ImportFault } from '../../../shared/person.js'
import { nameFaults } from '../write-fields.js'
import type { Column } from './columns.js'
import type { FileRow } from './reading.js'

/** What a row says of whom, or why it cannot be used. */
export type RowVerdict = { row: number; body: Identify } | { row: number; fault: Omit<ImportFault, 'row'> }

/** One row of a file, as `POST /v1/people/identify` takes it. Null: an empty row, which says nothing. Pure. */
export function bodyOf(read: FileRow, columns: Column[] | null, accountId: string | null): RowVerdict | null {
  const { row } = read
  if ('fault' in read) return { row, fault: read.fault }
  const made = 'cells' in read ? ofCells(read.cells, columns!) : { value: read.value }
  if (made === null) return null
  if ('fault' in made) return { row, fault: made.fault }
  const parsed = Identify.safeParse(made.value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    // a record names a bad key in the path's end, an unknown field beside it
    const unknown = issue!.code === 'unrecognized_keys' ? issue!.keys.slice(0, 1) : []
    return { row, fault: fault([...issue!.path, ...unknown].join('.'), issue!.code, issue!.message) }
  }
  const body = parsed.data
  const broken = IDS.find((id) => body[id] !== undefined && CONTROL.test(body[id]))
  if (broken !== undefined) return { row, fault: fault(broken, 'import.control', BROKEN) }
  const [bad] = nameFaults(body)
  if (bad !== undefined) return { row, fault: fault(bad.pointer.slice(1).replace('/', '.'), bad.code, bad.message) }
  if (body.openId !== undefined && body.accountId === undefined && accountId !== null) body.accountId = accountId
  if (body.openId !== undefined && body.accountId === undefined) {
    return { row, fault: fault('accountId', 'people.account-needed', 'an openId needs its accountId') }
  }
  if (body.openId === undefined && body.unionId === undefined && body.externalId === undefined) {
    return { row, fault: fault('', 'people.no-id', 'give at least one of externalId, unionId, openId') }
  }
  return { row, body }
}

const IDS = ['externalId', 'unionId', 'accountId', 'openId'] as const
const CONTROL = /[\u0000-\u001f\u007f]/
/** Quotes that are opened in two rows close one another, and what was between them is taken for an id. */
const BROKEN = 'a line break or control character in an id: is a quote opened here and not closed?'

type Made = { value: Record<string, unknown> } | { fault: Omit<ImportFault, 'row'> } | null

/** An empty cell says nothing. What looks like a formula is text like any other: nothing here computes. */
function ofCells(cells: string[], columns: Column[]): Made {
  const ids: Record<string, string> = {}
  const attributes: Record<string, string | number | boolean> = {}
  const tags: Record<string, string | true> = {}
  let empty = true
  for (const [i, text] of cells.entries()) {
    const cell = text.trim()
    if (cell === '') continue
    empty = false
    const column = columns[i] ?? null
    if (column === null) return { fault: fault('', 'import.columns', 'a cell stands under no column') }
    if (column.field === 'attribute') {
      const value = typed(cell, column.type)
      if (value === undefined)
        return { fault: fault(`attributes.${column.name}`, `import.${column.type}`, NOT[column.type]!) }
      attributes[column.name] = value
    } else if (column.field === 'tag') tags[column.name] = cell === 'true' ? true : cell
    else if (column.field === 'tags') Object.assign(tags, tagsOf(cell))
    else ids[column.field] = cell
  }
  if (empty) return null
  return {
    value: {
      ...ids,
      ...(Object.keys(attributes).length > 0 && { attributes }),
      ...(Object.keys(tags).length > 0 && { tags })
    }
  }
}

const NOT: Record<string, string> = {
  number: 'this is no number',
  boolean: 'this is none of true, false, 1, 0, 是, 否'
}
const TRUTHS: Record<string, boolean> = { true: true, false: false, '1': true, '0': false, 是: true, 否: false }
const NUMBER = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/

function typed(cell: string, type: 'text' | 'number' | 'boolean'): string | number | boolean | undefined {
  if (type === 'text') return cell
  if (type === 'boolean') return Object.hasOwn(TRUTHS, cell.toLowerCase()) ? TRUTHS[cell.toLowerCase()] : undefined
  const value = NUMBER.test(cell) ? Number(cell) : NaN
  return Number.isFinite(value) ? value : undefined
}

/** `新客;等级=金` or with | between them: names, some with a value. */
function tagsOf(cell: string): Record<string, string | true> {
  const out: Record<string, string | true> = Object.create(null)
  for (const part of cell.split(/[;|]/)) {
    const [name = '', ...rest] = part.split('=')
    if (part.trim() !== '') out[name.trim()] = rest.length === 0 ? true : rest.join('=').trim()
  }
  return out
}

const fault = (field: string, rule: string, message: string) => ({ field: field.slice(0, 200), rule, message })
