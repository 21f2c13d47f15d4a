import { CHANNELS } from '../../shared/channels.js'
import { LEGACY_KEYWORDS, SUBSCRIBE_KEYWORDS } from '../../shared/limits.js'
import type { TemplateCreate } from '../../shared/template.js'
import type { Fault } from '../platform/errors.js'

/** Titles of this range take no keywords (documentation of addtemplate). */
const NEWER_TITLES = { from: 10_000_000, below: 20_000_000 }
/** ours; WeChat shows no more than ten fields. */
const SERVICE_KEYWORDS = 10

/** Why WeChat would refuse to add this template, known without asking it. Empty: ask. */
export function creationFaults(accountKind: 'miniprogram' | 'service', body: TemplateCreate): Fault[] {
  const wanted = CHANNELS[accountKind]
  if (!wanted.includes(body.kind)) {
    const message = `this account can have templates of kind ${wanted.join(' or ')}`
    return [{ pointer: '/kind', code: 'templates.kind', message }]
  }
  const faults: Fault[] = []
  const { keywordIds, keywordNames, sceneDesc, titleId } = body
  if (body.kind === 'service') {
    if (keywordIds !== undefined)
      faults.push(needless('/keywordIds', 'keywords of a service account go by name: keywordNames'))
    faults.push(...serviceFaults(titleId, keywordNames ?? []))
  } else {
    if (keywordNames !== undefined)
      faults.push(needless('/keywordNames', 'keywords of a mini-program go by id: keywordIds'))
    faults.push(...keywordFaults(body.kind, titleId, keywordIds ?? []))
  }
  if (sceneDesc !== undefined && body.kind !== 'subscribe') {
    faults.push(needless('/sceneDesc', 'only a subscribe template has a scene'))
  }
  return faults
}

function keywordFaults(kind: 'legacy' | 'subscribe', titleId: string, ids: number[]): Fault[] {
  const pointer = '/keywordIds'
  if (kind === 'subscribe') {
    if (!/^\d{1,10}$/.test(titleId)) {
      return [{ pointer: '/titleId', code: 'templates.title', message: 'a subscribe title is named by its number' }]
    }
    const number = Number(titleId)
    if (number >= NEWER_TITLES.from && number < NEWER_TITLES.below) {
      return ids.length === 0 ? [] : [needless(pointer, 'this title takes no keywords')]
    }
  }
  const { min, max } = kind === 'legacy' ? LEGACY_KEYWORDS : SUBSCRIBE_KEYWORDS
  if (ids.length < min || ids.length > max) {
    const message = `choose ${min} to ${max} keywords, in the order they are to be shown`
    return [{ pointer, code: 'templates.keyword-count', message }]
  }
  if (new Set(ids).size < ids.length) {
    return [{ pointer, code: 'templates.keyword-twice', message: 'a keyword is named twice' }]
  }
  return []
}

/** Which of the chosen keywords the library's title does not have. */
export function keywordFaultsIn(ids: readonly number[], keywords: readonly { id: number; name: string }[]): Fault[] {
  const offered = keywords.map(({ id, name }) => `${id} ${name}`).join(', ')
  return ids.flatMap((id, i) =>
    keywords.some((keyword) => keyword.id === id)
      ? []
      : [
          {
            pointer: `/keywordIds/${i}`,
            code: 'templates.keyword-unknown',
            message: `the title has no keyword ${id}; it has ${offered}`
          }
        ]
  )
}

function serviceFaults(titleId: string, names: string[]): Fault[] {
  const pointer = '/keywordNames'
  const numeric = /^\d+$/.test(titleId)
  if (!numeric && !/^(TM|OPENTM)\d+$/.test(titleId)) {
    const message = 'a library number is TM… or OPENTM… (industry), or digits (category)'
    return [{ pointer: '/titleId', code: 'templates.title', message }]
  }
  if (!numeric) return names.length === 0 ? [] : [needless(pointer, 'an industry template has fixed keywords')]
  if (names.length === 0 || names.length > SERVICE_KEYWORDS) {
    const message = `name 1 to ${SERVICE_KEYWORDS} keywords of the title, in the order they are to be shown`
    return [{ pointer, code: 'templates.keyword-count', message }]
  }
  if (new Set(names).size < names.length) {
    return [{ pointer, code: 'templates.keyword-twice', message: 'a keyword is named twice' }]
  }
  return []
}

const needless = (pointer: string, message: string): Fault => ({ pointer, code: 'templates.not-taken', message })
