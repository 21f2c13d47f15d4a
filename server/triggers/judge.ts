import type { EventTrigger } from '../../shared/trigger.js'
import type { EventRow } from '../events/events.js'
import { meets } from '../events/where.js'
import type { WaitRow } from './model.js'
import { keyOf } from './timing.js'

export type Waiting = Pick<WaitRow, 'eventId' | 'key' | 'aAt' | 'due' | 'end'>
export type Seen = Pick<EventRow, '_id' | 'name' | 'at' | 'properties'>

/**
 * Does this event of the same person stop the wait? By when things happened, never by when they arrived: either it is what
 * was to be missing or cancels, or it is a newer event of the kind that waits, about the same thing.
 */
export function stops(trigger: EventTrigger, wait: Waiting, event: Seen): boolean {
  if (event._id === wait.eventId || event.at < wait.aAt) return false
  if (keyOf(trigger.key, event.properties) !== wait.key) return false
  return ends(trigger, wait, event) || renews(trigger, wait, event)
}

/** The first of these events that stops the wait; null when it may go on. */
export function stopperOf<E extends Seen>(trigger: EventTrigger, wait: Waiting, events: Iterable<E>): E | null {
  let first: E | null = null
  for (const event of events) {
    if (stops(trigger, wait, event) && (first === null || isLater(first, event))) first = event
  }
  return first
}

function ends(trigger: EventTrigger, wait: Waiting, { name, at, properties }: Seen): boolean {
  if (at > wait.end) return false
  if (trigger.kind === 'notFollowed') return name === trigger.missing
  return name === trigger.cancelOn?.event && meets(trigger.cancelOn.where, properties)
}

function renews(trigger: EventTrigger, wait: Waiting, event: Seen): boolean {
  const until = renewableUntil(trigger, wait)
  return (
    until !== null &&
    event.name === trigger.event &&
    event.at <= until &&
    isLater(event, { at: wait.aAt, _id: wait.eventId }) &&
    meets(trigger.where, event.properties)
  )
}

/**
 * Until when a newer event takes the wait's place. With a key both are about the same thing, so also while its message is
 * on its way; without one only what still waits gives way, and what is answered at once never does.
 */
function renewableUntil(trigger: EventTrigger, wait: Waiting): Date | null {
  if (trigger.kind === 'notFollowed' || trigger.key !== undefined) return wait.end
  return trigger.delayMs === undefined && trigger.before === undefined ? null : wait.due
}

/** Of two that happened at the same instant the ids decide, the same way for everybody. */
const isLater = (a: Pick<Seen, '_id' | 'at'>, b: Pick<Seen, '_id' | 'at'>): boolean =>
  a.at.getTime() === b.at.getTime() ? a._id > b._id : a.at > b.at
