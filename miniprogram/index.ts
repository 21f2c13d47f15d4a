import { current, remember } from './current.js'
import { createKit } from './kit.js'
import type { Kit, Options } from './types.js'

export { createKit }
export type {
  Env,
  FormEvent,
  HostSession,
  Kit,
  Options,
  PaymentAnswer,
  PaymentOptions,
  PhoneApi,
  Preferences,
  Settings,
  Status,
  SubscribeOutcome
} from './types.js'

/** Call once when the app starts. From then on the components and the functions below catch and hand in. */
export function install(options: Options): Kit {
  if (!options || !options.server) console.warn('[hongyan] install needs { server }: catches are kept, not handed in')
  const kit = createKit(options)
  remember(kit)
  return kit
}

/** See {@link Kit.captureSubmit}. */
export const captureSubmit: Kit['captureSubmit'] = (event, place) => current().captureSubmit(event, place)
/** See {@link Kit.requestPayment}. */
export const requestPayment: Kit['requestPayment'] = (options) => current().requestPayment(options)
/** See {@link Kit.requestSubscribe}. */
export const requestSubscribe: Kit['requestSubscribe'] = (ids, place) => current().requestSubscribe(ids, place)
/** See {@link Kit.track}. */
export const track: Kit['track'] = (name, properties) => current().track(name, properties)
/** See {@link Kit.reportOpen}. */
export const reportOpen: Kit['reportOpen'] = (options) => current().reportOpen(options)
/** See {@link Kit.preferences}. */
export const preferences: Kit['preferences'] = (wish) => current().preferences(wish)
/** See {@link Kit.templatesFor}. */
export const templatesFor: Kit['templatesFor'] = (scene) => current().templatesFor(scene)
/** See {@link Kit.status}. */
export const status: Kit['status'] = () => current().status()
/** See {@link Kit.flush}. */
export const flush: Kit['flush'] = () => current().flush()
