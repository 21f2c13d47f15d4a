import type { AccountKind } from '../../shared/account.js'
import type { Open } from '../../shared/template.js'

type Fault = { pointer: string; code: string; message: string }

/**
 * What is wrong with where a card leads: a mini-program's opens its own pages, a service account's a linked mini-program
 * or a url, and no page starts with a slash (WeChat answers 40165 or opens the front page).
 */
export function openFaults(kind: AccountKind, open: Open | null | undefined): Fault[] {
  if (open === null || open === undefined) return []
  const faults: Fault[] = []
  const fault = (field: string, code: string, message: string) =>
    faults.push({ pointer: `/open/${field}`, code, message })
  if (kind === 'miniprogram') {
    if (open.url !== undefined) fault('url', 'open.url', 'a mini-program message opens a page, not a url')
    if (open.miniprogram !== undefined)
      fault('miniprogram', 'open.miniprogram', 'a mini-program message opens its own page')
  } else if (open.page !== undefined) {
    fault('page', 'open.page', 'a service account opens { miniprogram: { appId, page } } or { url }')
  }
  if (open.page?.startsWith('/')) fault('page', 'open.slash', 'a page does not start with a slash')
  if (open.miniprogram?.page?.startsWith('/'))
    fault('miniprogram/page', 'open.slash', 'a page does not start with a slash')
  return faults
}
