import type { SubscribeOutcome } from '../types.js'

const PREFIX = 'requestSubscribeMessage:fail'

/** Reads WeChat's answer: one word for each template asked for. A template it did not speak of is left out. */
export function readGrants(templateIds: string[], res: any): SubscribeOutcome {
  const results: Record<string, string> = {}
  for (const id of templateIds) if (res && typeof res[id] === 'string') results[id] = res[id]
  return { results, accepted: acceptedOf(results), always: {}, left: [], errMsg: String((res && res.errMsg) || '') }
}

/**
 * Reads a failure: WeChat's code, or its words where it gives no code, become every template's word, so that none of
 * the asking is lost.
 */
export function readFailure(templateIds: string[], res: any): SubscribeOutcome {
  const given = res && res.errCode
  const errCode = given !== '' && given !== null && isFinite(given) ? Number(given) : undefined
  const words = String((res && res.errMsg) || '').replace(/^requestSubscribeMessage:fail\s*/, '')
  const word = `fail:${errCode === undefined ? words || 'unknown' : errCode}`.slice(0, 200)
  const results: Record<string, string> = {}
  for (const id of templateIds) results[id] = word
  return { results, accepted: [], always: {}, left: [], errMsg: `${PREFIX} ${words}`.trim(), errCode }
}

/** Reads wx.getSetting: item settings hold only templates whose answer the person told WeChat to keep. */
export function readAlways(res: any): Pick<SubscribeOutcome, 'always' | 'mainSwitch'> {
  const found = (res && res.subscriptionsSetting) || {}
  const items = found.itemSettings && typeof found.itemSettings === 'object' ? found.itemSettings : {}
  const always: Record<string, string> = {}
  for (const id of Object.keys(items)) if (typeof items[id] === 'string') always[id] = items[id]
  return typeof found.mainSwitch === 'boolean' ? { always, mainSwitch: found.mainSwitch } : { always }
}

/** `acceptWithAudio` and `acceptWithAlert` exist beside `accept`: whatever begins so is a yes. */
const acceptedOf = (results: Record<string, string>) => Object.keys(results).filter((id) => /^accept/.test(results[id]))
