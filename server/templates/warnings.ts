import type { Content } from '../../shared/template.js'
import type { Fault } from '../platform/errors.js'
import type { Language } from '../platform/language.js'
import type { ListedWord } from '../../shared/words.js'
import { lintTemplate, type LintProblem } from './lint.js'
import type { Drift, TemplateRow } from './model.js'

type Judged = Pick<TemplateRow, 'title' | 'fields' | 'example'>

/**
 * What an operator should hear before sending with this template: that it changed on WeChat under them, and what the
 * audit rules hold against it and against the texts to be sent. None of it stops a send.
 */
export function templateWarnings(
  template: Judged & { drift: Drift | null },
  content: Content = {},
  marketing?: readonly ListedWord[]
): Fault[] {
  const more = { content: valuesOf(content), ...(marketing !== undefined && { marketing }) }
  const found = lintMirrored(template, more).filter(({ severity }) => severity === 'error')
  return [
    ...driftWarnings(template),
    ...found.map(({ rule, pointer, message }) => ({
      pointer: pointer.startsWith('/content') ? pointer : '/templateId',
      code: `lint.${rule}`,
      message
    }))
  ]
}

/** The alarm that stands for a template, in words; empty when none does. */
export function driftWarnings({ drift }: { drift: Drift | null }): Fault[] {
  if (drift === null) return []
  const at = drift.at.toISOString()
  const pointer = '/templateId'
  if (drift.kind === 'gone') {
    return [{ pointer, code: 'templates.gone', message: `WeChat has not had this template since ${at}` }]
  }
  const parts = drift.changes.map(({ part, before, after }) => `${part}: ${quoted(before)} is now ${quoted(after)}`)
  const message = `the template changed on WeChat, seen at ${at} (${parts.join('; ')}): look at the content again`
  return [{ pointer, code: 'templates.changed', message }]
}

/** What the audit rules say of a template as it lives on WeChat. */
export function lintMirrored(
  template: Judged,
  more: {
    otherTitles?: readonly string[]
    content?: Record<string, string>
    language?: Language
    marketing?: readonly ListedWord[]
  } = {}
): LintProblem[] {
  const { language, ...rest } = more
  const fields = template.fields.filter(({ key }) => key !== 'first' && key !== 'remark')
  const keywords = fields.map(({ name }) => ({ name, example: exampleOf(template.example, name) }))
  return lintTemplate({ title: template.title, keywords, ...rest }, language)
}

/** The sample value WeChat shows behind a label; null when its example does not name the label. */
function exampleOf(example: string, name: string): string | null {
  for (const line of example.split('\n')) {
    const bare = line.trim()
    if (bare.startsWith(name) && /^[:：]/.test(bare.slice(name.length)))
      return bare.slice(name.length + 1).trim() || null
  }
  return null
}

const valuesOf = (content: Content) =>
  Object.fromEntries(
    Object.entries(content).map(([key, given]) => [key, typeof given === 'string' ? given : given.value])
  )

const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text)
