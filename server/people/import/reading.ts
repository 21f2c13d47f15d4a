import { parse } from 'csv-parse'

/** One row as it stands in the file: `row` as a spreadsheet counts (or the line, of NDJSON), `end` its last byte's successor. */
export type FileRow = { row: number; end: number } & (
  { cells: string[] } | { value: unknown } | { fault: { field: string; rule: string; message: string } }
)

/** Opens the file's bytes from a place on. */
export type Opening = (from: number) => AsyncIterable<Buffer>

export type Start = { position: number; row: number }

/** No row of people is a tenth of this. */
export const ROW_BYTES = 64 * 1024

const flaw = (rule: string, message: string) => ({ fault: { field: '', rule: `import.${rule}`, message } })
const UNCLOSED = flaw('quote', 'a quote is opened here and not closed, or the row is longer than 64 KB')

/**
 * The rows of a CSV file from `start` on, a piece of the file at a time. Behind a quote that is not closed the reading
 * starts anew with the next line, so that one bad row costs itself alone. That happens once in 64 KB, but for the last
 * of them, so that no file takes long.
 */
export async function* readCsv(open: Opening, delimiter: string, start: Start): AsyncGenerator<FileRow[]> {
  let at = start
  for (;;) {
    const end: { at: Start; torn: boolean } = { at, torn: false }
    for await (const rows of untilTorn(open, delimiter, end)) yield rows
    if (!end.torn) return
    const next = await lineAfter(open, end.at.position)
    at = { position: next, row: end.at.row + 1 }
    yield [{ row: at.row, end: next, ...UNCLOSED }]
  }
}

/** Rows up to the end or to what cannot be read; `end` tells which, and where the last good row ended. */
async function* untilTorn(
  open: Opening,
  delimiter: string,
  end: { at: Start; torn: boolean }
): AsyncGenerator<FileRow[]> {
  const from = end.at.position
  let rows: FileRow[] = []
  // By callback: what a failing stream holds back for its reader is lost, and these rows are good.
  const parser = parse({
    delimiter,
    relax_quotes: true,
    relax_column_count: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: ROW_BYTES,
    on_record: (cells: string[], { bytes }) => {
      end.at = { position: from + bytes, row: end.at.row + 1 }
      rows.push({ row: end.at.row, end: end.at.position, cells })
      return null
    }
  })
  // told by the callbacks below, which come before the event
  parser.on('error', () => {}).resume()
  const told = (give: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve) =>
      give((error) => {
        if (error != null) end.torn = true
        resolve()
      })
    )
  for await (const piece of open(from)) {
    await told((done) => parser.write(piece, done))
    const read = rows
    rows = []
    if (read.length > 0) yield read
    if (end.torn) return
  }
  await told((done) => parser.end(done))
  if (rows.length > 0) yield rows
}

/** Where the line after the one that starts at `from` starts. */
async function lineAfter(open: Opening, from: number): Promise<number> {
  let at = from
  for await (const piece of open(from)) {
    const found = piece.indexOf(0x0a)
    if (found >= 0) return at + found + 1
    at += piece.length
  }
  return at
}

/** The rows of a file of one JSON object a line. */
export async function* readNdjson(open: Opening, start: Start): AsyncGenerator<FileRow[]> {
  let { position, row } = start
  let rest: Buffer = Buffer.alloc(0)
  /** Bytes of a line that is too long, let go of already. */
  let dropped = 0
  const take = (line: Buffer, length: number): FileRow => {
    row += 1
    position += length
    if (dropped > 0) {
      position += dropped
      dropped = 0
      return { row, end: position, ...flaw('too-long', 'the line is longer than 64 KB') }
    }
    return { row, end: position, ...valueOf(line) }
  }
  for await (const piece of open(start.position)) {
    const rows: FileRow[] = []
    const buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    let from = 0
    for (let to = buffer.indexOf(0x0a); to >= 0; to = buffer.indexOf(0x0a, from)) {
      rows.push(take(buffer.subarray(from, to), to + 1 - from))
      from = to + 1
    }
    rest = buffer.subarray(from)
    if (rest.length > ROW_BYTES) {
      dropped += rest.length
      rest = Buffer.alloc(0)
    }
    if (rows.length > 0) yield rows
  }
  if (rest.length > 0 || dropped > 0) yield [take(rest, rest.length)]
}

function valueOf(line: Buffer): { value: unknown } | { cells: string[] } | ReturnType<typeof flaw> {
  const text = line.toString('utf8').trim()
  // an empty line says nothing, like an empty row of a table
  if (text === '') return { cells: [] }
  if (line.length > ROW_BYTES) return flaw('too-long', 'the line is longer than 64 KB')
  // What reaches an object's prototype is no name of a field, and later checks would not see it.
  if (text.includes('"__proto__"')) return flaw('json', '__proto__ is no name for a field')
  try {
    return { value: JSON.parse(text) }
  } catch {
    return flaw('json', 'the line is not JSON')
  }
}
