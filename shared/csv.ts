/** Cells of CSV: quoted, and nothing a spreadsheet would run. */
export function csvOf(rows: readonly (readonly (string | number | boolean | null)[])[]): string {
  const cell = (value: string | number | boolean | null) => {
    const text = value === null ? '' : String(value)
    // Also as full-width signs, which some spreadsheets read alike; and no separator of any country opens a new cell.
    const tame = typeof value === 'string' && /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text
    return /[",;\t\n\r]/.test(tame) ? `"${tame.replaceAll('"', '""')}"` : tame
  }
  return rows.map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n'
}
