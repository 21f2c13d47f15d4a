import { parse } from 'csv-parse/sync'
import { InvalidInput, type Fault } from '../../platform/errors.js'

/** What a cell of a column says; null: a column without a name, whose cells have to be empty. */
export type Column =
  | { field: 'externalId' | 'unionId' | 'accountId' | 'openId' | 'tags' }
  | { field: 'attribute'; name: string; type: 'text' | 'number' | 'boolean' }
  | { field: 'tag'; name: string }
  | null

/** How a CSV file is read: its columns, what parts them, and where its second line starts (bytes, spreadsheet row). */
export type Sheet = { delimiter: string; columns: Column[]; start: number; row: number }

const DELIMITERS = [',', ';', '\t']
const IDS = ['externalId', 'unionId', 'accountId', 'openId'] as const
const ATTRIBUTE = /^attributes\.([A-Za-z_][A-Za-z0-9_]{0,63})(?::(text|number|boolean))?$/
const TAG = /^tags\.(.{1,64})$/s
/** The line some spreadsheets put before the header to say what parts the cells. */
const SEPARATOR = /^sep=(.)\r?\n/i
/** A header is looked for in this much of a file. */
export const HEAD_CHARACTERS = 64 * 1024

/**
 * Reads the header of a CSV file from its beginning. @throws InvalidInput saying of each column what is wrong, for what
 * is no table, and when no column tells who a line is about
 */
export function readHeader(head: string, accountGiven: boolean): Sheet {
  const said = SEPARATOR.exec(head)
  const skipped = said?.[0] ?? ''
  const text = head.slice(skipped.length)
  const delimiter = said?.[1] ?? delimiterOf(text)
  const { cells, bytes } = firstRecord(text, delimiter)
  const columns = cells.map((cell) => columnOf(cell.trim()))
  const faults = columns.flatMap((column, i) => faultOf(column, cells, i))
  if (faults.length === 0) faults.push(...missingIn(columns as Column[], accountGiven))
  if (faults.length > 0) {
    throw new InvalidInput('the header of the file cannot be used', { code: 'import.header', errors: faults })
  }
  return {
    delimiter,
    columns: columns as Column[],
    start: Buffer.byteLength(skipped) + bytes,
    row: skipped === '' ? 1 : 2
  }
}

function firstRecord(text: string, delimiter: string): { cells: string[]; bytes: number } {
  let records: { record: string[]; info: { bytes: number } }[]
  try {
    records = parse(text, { delimiter, to: 1, info: true, relax_quotes: true }) as never
  } catch {
    throw refused('the first line is no header: a quote is opened in it and not closed', 'header')
  }
  const [first] = records
  if (first === undefined) throw refused('the file is empty', 'empty')
  if (first.info.bytes >= HEAD_CHARACTERS) throw refused('the first line is too long for a header', 'header')
  return { cells: first.record, bytes: first.info.bytes }
}

/** The one that parts the header in most cells; ids and attribute names hold none of them. */
function delimiterOf(text: string): string {
  const line = text.slice(0, text.search(/\r|\n|$/))
  const times = (delimiter: string) => line.split(delimiter).length
  return DELIMITERS.reduce((best, each) => (times(each) > times(best) ? each : best))
}

/** undefined: a name we do not know. */
function columnOf(name: string): Column | undefined {
  if (name === '') return null
  if ((IDS as readonly string[]).includes(name)) return { field: name as (typeof IDS)[number] }
  if (name === 'tags') return { field: 'tags' }
  const attribute = ATTRIBUTE.exec(name)
  if (attribute !== null) return { field: 'attribute', name: attribute[1]!, type: (attribute[2] ?? 'text') as 'text' }
  const tag = TAG.exec(name)
  if (tag !== null && !/[.$\0]/.test(tag[1]!)) return { field: 'tag', name: tag[1]! }
  return undefined
}

function faultOf(column: Column | undefined, cells: string[], index: number): Fault[] {
  const name = cells[index]!.trim()
  const pointer = `/columns/${index}`
  if (column === undefined) {
    const message = `“${name.slice(0, 80)}” is no column of people: externalId, unionId, accountId, openId, tags, tags.<name>, attributes.<name>[:number|:boolean]`
    return [{ pointer, code: 'import.column', message }]
  }
  const bare = (text: string) => text.trim().replace(/^(attributes\..*):.*$/, '$1')
  const first = column === null ? index : cells.findIndex((cell) => bare(cell) === bare(name))
  if (first === index) return []
  return [{ pointer, code: 'import.column-twice', message: `“${name}” is there twice` }]
}

function missingIn(columns: Column[], accountGiven: boolean): Fault[] {
  const has = (field: string) => columns.some((column) => column?.field === field)
  if (!has('externalId') && !has('unionId') && !has('openId')) {
    const message = 'one of the columns externalId, unionId, openId is needed'
    return [{ pointer: '/columns', code: 'import.no-id', message }]
  }
  if (has('openId') && !has('accountId') && !accountGiven) {
    const message = 'a column openId needs a column accountId, or accountId in the query'
    return [{ pointer: '/columns', code: 'import.account-needed', message }]
  }
  return []
}

const refused = (message: string, word: string) =>
  new InvalidInput(message, {
    code: `import.${word}`,
    errors: [{ pointer: '', code: `import.${word}`, message }]
  })
