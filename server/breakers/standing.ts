import type { MessageRow } from '../messages/model.js'
import type { BreakerRow } from './model.js'

/** A message as far as breakers look at it. */
export type Guarded = Pick<MessageRow, 'templateId' | 'lane' | 'campaignId' | 'test'>

/** The breakers of an account that are not closed, as read lately. */
export type Standing = readonly Pick<BreakerRow, '_id' | 'templateId' | 'state' | 'until' | 'probesLeft' | 'strict'>[]

/**
 * Which of them stand in this message's way: those of its template and of its account. A campaign's messages and bulk
 * ones stop; a single transactional one (somebody's order was shipped) goes on unless WeChat punishes the account. Tests
 * are how an operator finds out what is wrong.
 */
export function guardsOf(standing: Standing, row: Guarded): Standing {
  if (standing.length === 0 || row.test) return []
  const stops = row.lane === 'bulk' || row.campaignId !== null
  return standing.filter(
    ({ templateId, strict }) => (templateId === null || templateId === row.templateId) && (stops || strict)
  )
}

/** As long as a breaker is not closed, a refusal may be no word of the person's: their rights are not burned for it. */
export function isSuspect(standing: Standing, templateId: string): boolean {
  return standing.some((each) => each.templateId === null || each.templateId === templateId)
}
