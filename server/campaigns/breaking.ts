import type { Collection } from 'mongodb'
import type { Breakers } from '../breakers/breakers.js'
import type { BreakerRow } from '../breakers/model.js'
import { isSuspect, type Standing } from '../breakers/standing.js'
import { AppError } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import type { CampaignRow } from './model.js'

const PREFIX = 'breaker '

/** Why a campaign is paused that a breaker stopped, and only it: whoever touches the campaign meanwhile decides about it. */
export const isByBreaker = ({ state, stateReason }: Pick<CampaignRow, 'state' | 'stateReason'>): boolean =>
  state === 'paused' && stateReason?.startsWith(PREFIX) === true

/** Does an open breaker stand in the way of this campaign? One that tries does not: it lets through what it wants. */
export const openBreakers = (standing: Standing, templateId: string): Standing =>
  standing.filter((each) => each.state === 'open' && isSuspect([each], templateId))

/**
 * Campaigns follow breakers: paused when one opens, online again when it tries or closes. Repeatable, and of two
 * breakers in the way both must be out of it.
 */
export function createBreaking({
  rows,
  log,
  breakers,
  pause,
  resume
}: {
  rows: Collection<CampaignRow>
  log: Log
  breakers: Pick<Breakers, 'standing'>
  pause: (campaignId: string, reason: string) => Promise<void>
  resume: (campaignId: string) => Promise<unknown>
}) {
  return async function follow({ _id, accountId, templateId, state }: BreakerRow): Promise<void> {
    const which = { accountId, ...(templateId !== null && { templateId }) }
    if (state === 'open') {
      for (const each of await rows.find({ ...which, state: 'online' }).toArray()) await pause(each._id, PREFIX + _id)
      return
    }
    const standing = await breakers.standing(accountId)
    const paused = (await rows.find({ ...which, state: 'paused' }).toArray()).filter(isByBreaker)
    for (const each of paused) {
      if (openBreakers(standing, each.templateId).length > 0) continue
      await resume(each._id).catch((error: unknown) => {
        if (!(error instanceof AppError)) throw error
        log.warn({ err: error, campaignId: each._id }, 'a campaign a breaker had paused stays paused')
      })
    }
  }
}
