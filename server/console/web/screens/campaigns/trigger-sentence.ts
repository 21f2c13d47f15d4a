import type { Trigger } from '../../api/campaigns.js'
import { atMinuteIn, spanExactly } from '../../look/time.js'
import { comparisonsInWords } from '../audiences/look.js'
import { triggerWords } from './trigger-words.js'

type Answer = Extract<Trigger, { kind: 'event' | 'notFollowed' }>
type Recurring = Extract<Trigger, { kind: 'recurring' }>

/** What makes a campaign send, in a sentence that leaves no fact out: when, in which zone, after what, unless what. */
export const triggerInWords = (trigger: Trigger): string => clausesOf(trigger).join(triggerWords.value.clauseMark)

/** The same in a few words, for lists: when or after what. */
export const triggerInShort = (trigger: Trigger): string => clausesOf(trigger)[0]!

function clausesOf(trigger: Trigger): [string, ...string[]] {
  if (trigger.kind === 'once') {
    const zone = trigger.zone ?? 'Asia/Shanghai'
    return [triggerWords.value.onceAt(atMinuteIn(trigger.at, zone), zone)]
  }
  return trigger.kind === 'recurring' ? recurringClauses(trigger) : answerClauses(trigger)
}

function recurringClauses({
  every,
  days = [],
  times,
  zone = 'Asia/Shanghai',
  from,
  until
}: Recurring): [string, ...string[]] {
  const t = triggerWords.value
  const at = [...times].sort().join(t.listMark)
  const on = [...days].sort((a, b) => a - b)
  const when =
    every === 'day'
      ? t.everyDay(at, zone)
      : every === 'week'
        ? t.everyWeek(on.map((day) => t.weekdays[day as 1] ?? '').join(t.listMark), at, zone)
        : t.everyMonth(on.join(t.listMark), at, zone)
  if (from === '') return [when]
  const begins = atMinuteIn(from, zone)
  return [when, until === undefined ? t.since(begins) : t.between(begins, atMinuteIn(until, zone))]
}

function answerClauses(trigger: Answer): [string, ...string[]] {
  const t = triggerWords.value
  const { event, where, key, reentry = 'each' } = trigger
  const stop = trigger.kind === 'event' ? trigger.cancelOn : undefined
  const conditions = (of: Answer['where']) => comparisonsInWords(of ?? {}).join(t.listMark)
  return [
    headOf(trigger),
    ...(where === undefined ? [] : [t.onlyIf(event, conditions(where))]),
    ...(stop === undefined
      ? []
      : [stop.where === undefined ? t.unless(stop.event) : t.unlessWhere(stop.event, conditions(stop.where))]),
    ...(key === undefined ? [] : [t.eachKey(key)]),
    ...(reentry === 'each' ? [] : [reentry === 'once' ? t.onceEach : t.onceInDays(String(reentry.perDays))])
  ]
}

function headOf(trigger: Answer): string {
  const t = triggerWords.value
  const { event } = trigger
  if (trigger.kind === 'notFollowed') return t.notFollowed(event, trigger.missing, spanExactly(trigger.withinMs))
  const { before, delayMs } = trigger
  if (before !== undefined) return t.before(event, before.property, spanExactly(before.ms))
  return delayMs === undefined ? t.onEvent(event) : t.afterEvent(event, spanExactly(delayMs))
}
