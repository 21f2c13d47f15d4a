import type { SubscribeOutcome } from '../types.js'

/** Reads WeChat's answer: one word for each template asked for. A template it did not speak of is left out. */
export function readGrants(templateIds: string[], res: any): SubscribeOutcome {
  const results: Record<string, string> = {}
  for (const id of templateIds) if (res && typeof res[id] === 'string') results[id] = res[id]
  return { results, accepted: acceptedOf(results), errMsg: String((res && res.errMsg) || '') }
}

/** Reads a failure: WeChat's code becomes every template's word, so that none of the asking is lost. */
export function readFailure(templateIds: string[], res: any): SubscribeOutcome {
  const code = res && typeof res.errCode === 'number' ? res.errCode : undefined
  const results: Record<string, string> = {}
  for (const id of templateIds) results[id] = `fail:${code === undefined ? 'unknown' : code}`
  return { results, accepted: [], errMsg: String((res && res.errMsg) || 'requestSubscribeMessage:fail'), errCode: code }
}

/** `acceptWithAudio` and `acceptWithAlert` exist beside `accept`: whatever begins so is a yes. */
const acceptedOf = (results: Record<string, string>) => Object.keys(results).filter((id) => /^accept/.test(results[id]))
