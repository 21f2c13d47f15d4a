import type { Heard } from '../breakers/breakers.js'
import type { MessageRow } from './model.js'

/** A person who blocks service notices is told by receipt, without a code; this is the code that says the same. */
const BLOCKED = 48002

/** What a row has been answered since it was last looked at; `heard` names all lines of its log by their lease. */
export type Hearing = { codes: number[]; heard: number[]; takenBack: boolean }

/**
 * Answers of a row that breakers have not heard of; null: there are none. A receipt takes back the answer before it. By
 * name and not by number: an answer may be stored after a later one.
 */
export function hearingOf(
  row: Pick<MessageRow, 'log' | 'heard' | 'state' | 'by' | 'reason' | 'code'>,
  moved: boolean
): Hearing | null {
  const named = row.log.filter((line) => line.n !== undefined)
  const fresh = named.filter((line) => row.heard?.includes(line.n!) !== true)
  const codes = fresh.map(({ code }) => code).filter((code) => code !== null)
  const refused = moved && row.state === 'failed' && row.by === 'receipt'
  const byReceipt = refused ? (row.code ?? (row.reason === 'userBlock' ? BLOCKED : null)) : null
  if (byReceipt !== null) codes.push(byReceipt)
  if (fresh.length === 0 && codes.length === 0) return null
  return { codes, heard: named.map((line) => line.n!), takenBack: byReceipt !== null }
}

/** The batch's answers by template and code. */
export function heardOf(
  entries: { template: string; codes?: number[]; takenBack?: boolean; test?: boolean }[]
): Heard[] {
  const sums = new Map<string, Heard>()
  const add = (templateId: string, code: number, n: number) => {
    const key = `${code} ${templateId}`
    const known = sums.get(key)
    if (known === undefined) sums.set(key, { templateId, code, n })
    else known.n += n
  }
  for (const { template, codes = [], takenBack, test } of entries) {
    if (test === true) continue
    for (const code of codes) add(template, code, 1)
    if (takenBack === true) add(template, 0, -1)
  }
  return [...sums.values()].filter(({ n }) => n !== 0)
}
