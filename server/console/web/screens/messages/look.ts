import type { Message } from '../../api/messages.js'
import type { Mood } from '../../parts/state-tag.vue'
import { whyWords } from './why-words.js'

const MOODS: Record<Message['state'], Mood> = {
  planned: 'calm',
  held: 'calm',
  sending: 'calm',
  accepted: 'good',
  delivered: 'good',
  failed: 'bad',
  unknown: 'bad',
  skipped: 'warn',
  expired: 'warn'
}
export const moodOf = ({ state }: Pick<Message, 'state'>): Mood => MOODS[state]
export const isOver = ({ state }: Pick<Message, 'state'>): boolean => !['planned', 'held', 'sending'].includes(state)

/** A reason as the API tells it: `noCredential`, `43101`, `receipt 43101`, `invalidValue: …`, `errcode 45009`. */
export type Why = { what: string; todo: string }

/** What a reason is and what to do about it; null: there is nothing to say. */
export function whyOf(reason: string | null, code: number | null = null): Why | null {
  const said = reason ?? (code === null || code === 0 ? null : String(code))
  if (said === null) return null
  const t = whyWords.value
  const names: Readonly<Record<string, string>> = t.what
  const todos: Readonly<Record<string, string>> = t.todo
  const receipt = /^receipt (.*)$/.exec(said)
  if (receipt !== null) {
    const inner = whyOf(receipt[1]!)!
    return { what: t.receipt(inner.what), todo: inner.todo }
  }
  const [head = '', detail] = said.split(/: (.*)/s)
  const known = names[head] ?? names[head.replace(/^errcode /, '')]
  const key = head.replace(/^errcode /, '')
  if (known === undefined) return { what: /^\d+$/.test(key) ? t.other(key) : said, todo: t.otherTodo }
  const numbered = /^\d+$/.test(key) ? `${known} (${key})` : known
  return { what: detail === undefined ? numbered : `${numbered} · ${detail}`, todo: todos[key] ?? t.otherTodo }
}
