import type { EventTrigger } from '../../shared/trigger.js'
import type { EventRow } from '../events/events.js'
import { meets } from '../events/where.js'
import { waits } from './timing.js'

type Told = Pick<EventRow, 'name' | 'properties'>

/** Is it an event this trigger answers, by an immediate message or by a wait? */
export const isAnswered = (trigger: EventTrigger, { name, properties }: Told): boolean =>
  name === trigger.event && meets(trigger.where, properties)

/** May it stop a wait of this trigger, as far as the event alone tells? */
export function mayStop(trigger: EventTrigger, event: Told): boolean {
  if (!waits(trigger)) return false
  if (isAnswered(trigger, event)) return true
  if (trigger.kind === 'notFollowed') return event.name === trigger.missing
  return event.name === trigger.cancelOn?.event && meets(trigger.cancelOn.where, event.properties)
}

/** Which events any of these triggers does something with. Most happenings are no campaign's business. */
export function interestOf(triggers: EventTrigger[]): (event: Told) => boolean {
  const byName = new Map<string, EventTrigger[]>()
  for (const trigger of triggers) {
    const { kind, event } = trigger
    const other = kind === 'notFollowed' ? trigger.missing : trigger.cancelOn?.event
    for (const name of new Set([event, other ?? event])) byName.set(name, [...(byName.get(name) ?? []), trigger])
  }
  return (event) => (byName.get(event.name) ?? []).some((each) => isAnswered(each, event) || mayStop(each, event))
}
