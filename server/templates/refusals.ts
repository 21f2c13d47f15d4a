import { AppError, Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import type { TemplateKind } from '../../shared/template.js'

/** What WeChat refuses about a field of the request, by its code (documentation of the calls of each kind). */
const FIELDS: Readonly<Record<number, { pointer: string; code: string }>> = {
  40037: { pointer: '/titleId', code: 'templates.title-unknown' },
  200014: { pointer: '/titleId', code: 'templates.title-unknown' },
  200013: { pointer: '/titleId', code: 'templates.title-banned' },
  45027: { pointer: '/titleId', code: 'templates.industry' },
  45075: { pointer: '/keywordIds', code: 'templates.keyword-unknown' },
  45100: { pointer: '/keywordIds', code: 'templates.keyword-count' },
  200020: { pointer: '/keywordIds', code: 'templates.keyword-unknown' },
  40246: { pointer: '/keywordNames', code: 'templates.keyword-unknown' },
  200021: { pointer: '/sceneDesc', code: 'templates.scene' },
  200018: { pointer: '/categoryIds', code: 'templates.category-unknown' },
  200019: { pointer: '/categoryIds', code: 'templates.category-unknown' }
}

/** Too many templates (legacy and service, subscribe). */
const FULL = new Set<unknown>([45026, 200012])

/** WeChat's refusal as the caller's fault, with its field; any other error as it came. */
export function namingField(error: unknown): unknown {
  if (!(error instanceof AppError)) return error
  const { errcode } = error.facts
  const { message, facts } = error
  if (FULL.has(errcode)) {
    return new Conflict('the account has as many templates as WeChat allows: delete one that is not used', {
      code: 'templates.too-many',
      facts
    })
  }
  const field = FIELDS[errcode as number]
  if (field === undefined) return error
  return new InvalidInput(message, { code: field.code, facts, errors: [{ ...field, message }] })
}

/** As `namingField`, where the title is in the path: one that is not there is not found. */
export function namingTitle(error: unknown, kind: TemplateKind, titleId: string): unknown {
  const named = namingField(error)
  if (!(named instanceof InvalidInput) || named.code !== 'templates.title-unknown') return named
  return new NotFound(`WeChat's ${kind} library has no title ${titleId}`, { code: 'templates.title-unknown' })
}
