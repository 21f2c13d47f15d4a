import type { LedgerRow } from '../ledger.js'
import type { App } from '../world.js'

/** A message as a phone shows it. */
export interface Notice {
  seq: number
  /** Sandbox time, milliseconds since 1970. */
  at: number
  channel: LedgerRow['channel']
  from: { appid: string; name: string; kind: App['kind'] }
  title: string
  /** In the template's order. An empty label: the text stands on a line of its own. `large`: the enlarged keyword. */
  fields: { label: string; value: string; large?: true }[]
  /** Where a tap leads; null for a message that leads nowhere. */
  opens: { appid: string; page: string } | { url: string } | null
}

/** Characters of a service account's field that are shown. */
const SHOWN = 20
/** Pictures, what changes their skin or gender, flags, keys, and the joints in between. */
const PICTURES =
  /[\p{Emoji_Presentation}\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Regional_Indicator}\u200d\u20e3\ufe0e\ufe0f\u{e0020}-\u{e007f}]/gu
const PART = /\{\{(\w+)\.DATA\}\}/

/** The parts of a template's text, in order: what stands before each value, and the value's key. */
export function partsOf(content: string): { label: string; key: string }[] {
  return content.split('\n').flatMap((line) => {
    const found = PART.exec(line)
    if (found === null) return []
    const label = line.slice(0, found.index).trim()
    return [{ label: label.replace(/[:：]$/, ''), key: found[1]! }]
  })
}

/** What the person sees of a message. A value its template does not name is not shown, as on a phone. */
export function noticeOf(row: LedgerRow, app: App | undefined): Notice {
  const template = app?.templates.get(row.templateId)
  const values = valuesOf(row.data)
  const isService = row.channel === 'service'
  const parts = template ? partsOf(template.content) : Object.keys(values).map((key) => ({ label: '', key })) // deleted since, or a one-time subscription
  return {
    seq: row.seq,
    at: row.at,
    channel: row.channel,
    from: { appid: row.appid, name: app?.name ?? row.appid, kind: app?.kind ?? 'miniprogram' },
    title: template?.title ?? '服务通知',
    fields: parts.flatMap(({ label, key }) => {
      const value = isService ? asServiceAccountsShow(key, values[key]) : values[key]
      if (value === undefined || value === '') return []
      return [{ label, value, ...(row.emphasis === key && { large: true as const }) }]
    }),
    opens: opensOf(row)
  }
}

/**
 * What is left of a service account's value since 2023-05-04: nothing of the lines before and after the fields, and of a
 * field its first 20 characters on one line, without pictures.
 */
function asServiceAccountsShow(key: string, value: string | undefined): string | undefined {
  if (value === undefined || key === 'first' || key === 'remark') return undefined
  const line = value
    .replace(PICTURES, '')
    .split(/\s*\n\s*/)
    .join(' ')
  return Array.from(line).slice(0, SHOWN).join('')
}

function opensOf({ miniprogram, page, url, appid }: LedgerRow): Notice['opens'] {
  const to = miniprogram as { appid?: unknown; pagepath?: unknown; page?: unknown } | undefined
  if (typeof to?.appid === 'string') return { appid: to.appid, page: String(to.pagepath ?? to.page ?? '') }
  if (url !== undefined && url !== '') return { url }
  if (page === undefined || page === '') return null
  return /^https?:/.test(page) ? { url: page } : { appid, page } // subscription notices of service accounts link to the web
}

/** `{ key: { value } }` as all of WeChat's calls have it, flattened. */
function valuesOf(data: unknown): Record<string, string> {
  if (data === null || typeof data !== 'object') return {}
  return Object.fromEntries(
    Object.entries(data).flatMap(([key, part]) => {
      const value = (part as { value?: unknown } | null)?.value
      return value === undefined || value === null ? [] : [[key, String(value)]]
    })
  )
}
