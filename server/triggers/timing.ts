import { Instant } from '../../shared/instant.js'
import type { EventTrigger, WaitDropReason } from '../../shared/trigger.js'
import { GRACE_MS, longestWaitMs } from '../campaigns/schedule.js'
import type { EventRow } from '../events/events.js'

/** When a wait is decided, what may still stop it, and how long its message may go. */
export type Times = {
  due: Date
  /** What happened up to here stops it: the window of a missing event; else as long as its message may go. */
  end: Date
  notAfter: Date
}

/** Does it own waits? One that answers at once, and that nothing takes back, does not. */
export function waits(trigger: EventTrigger): boolean {
  if (trigger.kind === 'notFollowed') return true
  const { delayMs, before, cancelOn, key } = trigger
  return delayMs !== undefined || before !== undefined || cancelOn !== undefined || key !== undefined
}

/** The events a trigger looks at, by name. */
export function namesOf(trigger: EventTrigger): string[] {
  if (trigger.kind === 'notFollowed') return [trigger.event, trigger.missing]
  return trigger.cancelOn === undefined ? [trigger.event] : [trigger.event, trigger.cancelOn.event]
}

/**
 * The moments of a wait, all told by the event itself: whoever computes them again gets the same. A message that comes
 * before an instant does not come after it. `lifeMs`: how late the message may be.
 */
export function timesOf(
  trigger: EventTrigger,
  event: Pick<EventRow, 'at' | 'receivedAt' | 'properties'>,
  lifeMs: number
): Times | { fault: WaitDropReason } {
  const at = event.at.getTime()
  const later = (from: number, ms: number) => new Date(from + ms)
  if (trigger.kind === 'notFollowed') {
    const end = later(at, trigger.withinMs)
    const due = later(end.getTime(), GRACE_MS)
    return { due, end, notAfter: later(due.getTime(), lifeMs) }
  }
  const { before, delayMs = 0 } = trigger
  if (before === undefined) {
    const notAfter = later(at, delayMs + lifeMs)
    return { due: later(at, delayMs), end: notAfter, notAfter }
  }
  const instant = instantIn(event.properties, before.property)
  if (instant === null) return { fault: 'noInstant' }
  const due = later(instant.getTime(), -before.ms)
  if (due.getTime() - event.receivedAt.getTime() > longestWaitMs(trigger)) return { fault: 'tooFar' }
  const notAfter = new Date(Math.min(due.getTime() + lifeMs, instant.getTime()))
  return { due, end: notAfter, notAfter }
}

/** What an event is about, as text: the number 7 and the text 7 are the same order. null: nothing is said. */
export function keyOf(key: string | undefined, properties: Record<string, unknown>): string | null {
  const value = key === undefined || !Object.hasOwn(properties, key) ? null : properties[key]
  if (value === null || value === undefined) return null
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function instantIn(properties: Record<string, unknown>, name: string): Date | null {
  const read = Instant.safeParse(Object.hasOwn(properties, name) ? properties[name] : undefined)
  return read.success ? read.data : null
}
