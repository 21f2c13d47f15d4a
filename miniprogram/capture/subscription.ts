import { readAlways, readFailure, readGrants } from './grant.js'
import { swallow } from '../transport.js'
import type { Env, PhoneApi, SubscribeOutcome } from '../types.js'

/** Ids one call may carry: WeChat's document of wx.requestSubscribeMessage (typings 5.2.3); it was 3 for years. */
const IDS_A_CALL = 5
/** Nobody waits longer than this for what the settings say; the catch itself waits for nothing. */
const SETTINGS_MS = 1000

/** The asking for subscriptions. `answered` hears WeChat's word at once, before anything else is looked up. */
export function createSubscriptions(parts: {
  api: () => PhoneApi
  env: Env
  answered: (outcome: SubscribeOutcome, place: unknown) => void
}) {
  const { api, env, answered } = parts
  let most = IDS_A_CALL

  /** Which answers the person told WeChat to keep. Asked after the call only: before it, the tap would be lost. */
  function lookUp(outcome: SubscribeOutcome, resolve: (outcome: SubscribeOutcome) => void): void {
    const timer = env.setTimeout(() => resolve(outcome), SETTINGS_MS)
    const over = (res: any) => {
      env.clearTimeout(timer)
      resolve(Object.assign(outcome, readAlways(res)))
    }
    try {
      // withSubscriptions came with base library 2.10.1; older ones answer without the part we look for
      swallow(api().getSetting!({ withSubscriptions: true, success: over, fail: over }))
    } catch {
      over(null)
    }
  }

  return function request(templateIds: unknown, place?: string): Promise<SubscribeOutcome> {
    const given = (Array.isArray(templateIds) ? templateIds : []).filter((id) => typeof id === 'string' && id)
    const unique = given.filter((id, at) => given.indexOf(id) === at)
    const ids = unique.slice(0, most)
    const left = unique.slice(most)
    return new Promise((resolve) => {
      let over = false
      const finish = (outcome: SubscribeOutcome) => {
        if (over) return
        over = true
        outcome.left = left
        // an older client takes fewer than we thought: the next tap asks for what it takes
        if (outcome.errCode === 20003 && ids.length > 1) most = ids.length > 3 ? 3 : 1
        answered(outcome, place)
        lookUp(outcome, resolve)
      }
      if (!ids.length) return resolve(Object.assign(readFailure([], { errCode: 10001 }), { left }))
      try {
        // nothing may be awaited before this: phones ask for the tap itself ("can only be invoked by user TAP gesture")
        const phone = api()
        if (!phone.requestSubscribeMessage) return finish(readFailure(ids, { errMsg: 'not supported' }))
        swallow(
          phone.requestSubscribeMessage({
            tmplIds: ids,
            success: (res: any) => finish(readGrants(ids, res)),
            fail: (res: any) => finish(readFailure(ids, res))
          })
        )
      } catch (error) {
        finish(readFailure(ids, { errMsg: String(error) }))
      }
    })
  }
}
