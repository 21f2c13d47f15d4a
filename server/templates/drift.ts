import type { Drift, TemplateRow } from './model.js'
import type { ReadTemplate } from './read.js'

type Known = Pick<TemplateRow, 'title' | 'content' | 'grantType' | 'choices' | 'syncedAt'>

/**
 * How a template differs from what was last read of it; null when it does not. A row whose text was never read
 * (`content` empty) has nothing to differ from.
 */
export function changeOf(before: Known, after: ReadTemplate, at: Date): Drift | null {
  if (before.content === '') return null
  const parts = {
    title: [before.title, after.title],
    content: [before.content, after.content],
    grantType: [before.grantType ?? '', after.grantType ?? ''],
    choices: [inWords(before.choices), inWords(after.choices)]
  } as const
  const changes = Object.entries(parts)
    .filter(([, [was, is]]) => was !== is)
    .map(([part, [was, is]]) => ({ part: part as Drift['changes'][number]['part'], before: was, after: is }))
  return changes.length === 0 ? null : { kind: 'changed', at, lastSeenAt: before.syncedAt, changes, readAt: null }
}

/** A template WeChat does not name any more, though nobody deleted it here. */
export function goneSince({ syncedAt }: Pick<TemplateRow, 'syncedAt'>, at: Date): Drift {
  return { kind: 'gone', at, lastSeenAt: syncedAt, changes: [], readAt: null }
}

/** Enumerated values as one text, the same whatever order WeChat names the fields in. */
function inWords(choices: Record<string, string[]> | undefined): string {
  return Object.entries(choices ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, values]) => `${key}: ${values.join(', ')}`)
    .join('\n')
}
