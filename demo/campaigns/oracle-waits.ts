import { whereHolds } from './oracle-time.js'
import { MINUTE_MS, type Happening, type Plan } from './story.js'

/** Waits as the oracle sees them (docs/ledger.md G). */

/** What was to be missing may be told of this much after its window. */
const GRACE_MS = MINUTE_MS

/** Something a person did that was told of; `id` tells two alike apart. */
export type Seen = Happening & { id: number }
/** Between an event and its message. */
export type Wait = {
  plan: Plan
  event: Seen
  key: string | null
  due: number
  end: number
  notAfter: number
  state: 'waiting' | 'fired' | 'stopped' | 'dropped'
  reason: string | null
  stopped: boolean
}

/** The wait an event becomes; null: this plan answers at once. One whose moment nobody can tell is dropped. */
export function waitOf(plan: Plan, event: Seen): Wait | null {
  const { timing, lifeMs } = plan
  if (timing.kind !== 'event' && timing.kind !== 'notFollowed') return null
  const { happened, properties } = event
  const said = timing.key === undefined ? undefined : properties[timing.key]
  const key = said === undefined ? null : String(said)
  const wait = (due: number, end: number, notAfter: number): Wait => {
    const base = { plan, event, key, due, end, notAfter, stopped: false }
    return { ...base, state: 'waiting', reason: null }
  }
  if (timing.kind === 'notFollowed') {
    const end = happened + timing.withinMs
    return wait(end + GRACE_MS, end, end + GRACE_MS + lifeMs)
  }
  const { delayMs, before, cancelOn } = timing
  if (before !== undefined) {
    const instant = Date.parse(String(properties[before.property]))
    if (Number.isNaN(instant)) return { ...wait(happened, happened, happened), state: 'dropped', reason: 'noInstant' }
    const due = instant - before.ms
    const notAfter = Math.min(due + lifeMs, instant)
    return wait(due, notAfter, notAfter)
  }
  if (delayMs === undefined && cancelOn === undefined && timing.key === undefined) return null
  const due = happened + (delayMs ?? 0)
  return wait(due, due + lifeMs, due + lifeMs)
}

/** Does this event of the same person stop the wait? By when things happened, whatever the order they were told in. */
export function stops({ plan, event: own, key, due, end }: Wait, event: Seen): boolean {
  const { timing } = plan
  if (timing.kind !== 'event' && timing.kind !== 'notFollowed') return false
  if (event.id === own.id || event.happened < own.happened) return false
  const said = timing.key === undefined ? undefined : event.properties[timing.key]
  if ((said === undefined ? null : String(said)) !== key) return false
  const undone = timing.kind === 'notFollowed' ? timing.missing : timing.cancelOn?.event
  if (event.name === undone && event.happened <= end) return true
  if (event.name !== timing.event || !whereHolds(timing.where, event.properties)) return false
  if (event.happened === own.happened) return false // the story never tells two of one instant
  if (timing.kind === 'notFollowed' || timing.key !== undefined) return event.happened <= end
  return (timing.delayMs !== undefined || timing.before !== undefined) && event.happened <= due
}
