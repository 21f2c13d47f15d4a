import { DAY_MS } from '../../shared/limits.js'
import { answering, created, fatesOf, HOUR, MINUTE, online } from './fields-stories.js'
import type { Body, Probe, Somebody, World } from './fields-world.js'

/** What each field of a trigger does to when messages come, and whether they do. */

/** With rights for four; tells what became of the messages after the events of `days`. */
function lived(
  trigger: (field: any, event: string) => Body,
  days: (w: World, who: Somebody, event: string) => Promise<void>,
  more: Body = {}
): Probe['story'] {
  return async (w, field) => {
    const event = w.unique('happened')
    const who = await w.somebody({ grants: 4 })
    return online(w, answering(w, event, { ...more, trigger: trigger(field, event) }), async () => {
      await days(w, who, event)
      return fatesOf(w, who)
    })
  }
}

/**
 * A campaign that runs by itself to one person with a grant, looked at after each of `hours`; tells the minutes after
 * which its messages came.
 */
function scheduled(trigger: (w: World, field: any) => Body, hours: number[]) {
  return async (w: World, field: any) => {
    const tag = w.unique('crowd')
    const who = await w.somebody({ grants: 8, tags: { [tag]: true } })
    const rule = { tag, op: 'exists', value: true }
    const { id: audienceId } = await w.ask('POST', '/v1/audiences', { name: tag, rule })
    const began = w.clock.now().getTime()
    const body = { ...answering(w, ''), audienceId, trigger: trigger(w, field) }
    return online(w, body, async () => {
      for (const some of hours) await w.later(some * HOUR)
      return (await w.messages(who)).map(({ sentAt }) => Math.round((Date.parse(sentAt) - began) / MINUTE))
    })
  }
}

/** The clock is put to 09:00 in Shanghai on the next Monday, so that hours can be counted from there. */
export async function monday(w: World): Promise<void> {
  const week = 7 * DAY_MS
  const begin = Date.UTC(2030, 2, 4, 1)
  const now = w.clock.now().getTime()
  await w.later(begin + Math.ceil((now - begin + 1) / week) * week - now)
}
const everyDay = (w: World, more: Body) => ({
  kind: 'recurring',
  from: w.instant(),
  zone: 'Asia/Shanghai',
  every: 'day',
  times: ['10:00'],
  ...more
})
const fromMonday =
  (story: Probe['story']): Probe['story'] =>
  async (w, field) => {
    await monday(w)
    return story(w, field)
  }

const unanswered = (event: string, more: Body = {}) => ({
  kind: 'notFollowed',
  event,
  missing: 'paid',
  withinMs: 30 * MINUTE,
  ...more
})
async function twice(w: World, who: Somebody, event: string): Promise<void> {
  await w.does(who, event)
  await w.later(DAY_MS)
  await w.does(who, event)
}
async function twiceUnanswered(w: World, who: Somebody, event: string): Promise<void> {
  for (let n = 0; n < 2; n++) {
    await w.does(who, event)
    await w.later(DAY_MS)
  }
}

/** Probes of what makes a campaign send. */
export const triggerProbes: readonly Probe[] = [
  {
    field: 'trigger(once).at',
    story: scheduled((w, hours) => ({ kind: 'once', at: w.instant(hours * HOUR) }), [1, 1]),
    said: 2,
    instead: 1,
    gives: [[120], [60]]
  },
  {
    field: 'trigger(once).zone',
    // An instant needs none; it is the operator's, and kept as the one they think in.
    story: async (w, zone) => {
      const trigger = { kind: 'once', at: w.instant(HOUR), zone }
      return (await created(w, answering(w, '', { trigger }))).trigger.zone
    },
    said: 'Europe/Paris',
    gives: ['Europe/Paris', 'Asia/Shanghai']
  },
  {
    field: 'trigger(recurring).from',
    story: fromMonday(scheduled((w, ms) => everyDay(w, { from: w.instant(ms), times: ['10:00', '12:00'] }), [1, 2])),
    said: 2 * HOUR,
    instead: 0,
    gives: [[180], [60, 180]]
  },
  {
    field: 'trigger(recurring).until',
    story: fromMonday(
      scheduled((w, ms) => everyDay(w, { times: ['10:00', '12:00'], ...(ms && { until: w.instant(ms) }) }), [1, 2])
    ),
    said: 2 * HOUR,
    gives: [[60], [60, 180]]
  },
  {
    field: 'trigger(recurring).zone',
    story: fromMonday(scheduled((w, zone) => everyDay(w, { zone, times: ['12:00'] }), [2, 1])),
    said: 'Asia/Tokyo',
    instead: 'Asia/Shanghai',
    gives: [[120], [180]]
  },
  {
    field: 'trigger(recurring).every',
    story: fromMonday(scheduled((w, every) => everyDay(w, { every, ...(every !== 'day' && { days: [2] }) }), [1, 24])),
    said: 'week',
    instead: 'day',
    gives: [[1500], [60, 1500]]
  },
  {
    field: 'trigger(recurring).days',
    story: fromMonday(scheduled((w, days) => everyDay(w, { every: 'week', days }), [1, 24])),
    said: [1],
    instead: [2],
    gives: [[60], [1500]]
  },
  {
    field: 'trigger(recurring).times',
    story: fromMonday(scheduled((w, times) => everyDay(w, { times }), [1, 1, 1])),
    said: ['11:00', '12:00'],
    instead: ['10:00'],
    gives: [[120, 180], [60]]
  },

  {
    field: 'trigger(event).event',
    story: lived(
      (event, other) => ({ kind: 'event', event: event ?? other }),
      (w, who, event) => w.does(who, event).then(() => {})
    ),
    said: 'somethingElse',
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).where',
    story: lived(
      (where, event) => ({ kind: 'event', event, where }),
      async (w, who, event) => {
        await w.does(who, event, { amount: 99 })
      }
    ),
    said: { amount: { gte: 100 } },
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).key',
    story: lived(
      (key, event) => ({ kind: 'event', event, key, delayMs: HOUR }),
      async (w, who, event) => {
        await w.does(who, event, { order: 1 })
        await w.does(who, event, { order: 2 }, -1_000)
        await w.later(HOUR + MINUTE)
      }
    ),
    said: 'order',
    gives: [['accepted', 'accepted'], ['accepted']]
  },
  {
    field: 'trigger(event).reentry',
    story: lived((reentry, event) => ({ kind: 'event', event, reentry }), twice),
    said: 'once',
    gives: [['accepted'], ['accepted', 'accepted']]
  },
  {
    field: 'trigger(event).reentry.perDays',
    story: lived((perDays, event) => ({ kind: 'event', event, reentry: { perDays } }), twice),
    said: 2,
    instead: 0.5,
    gives: [['accepted'], ['accepted', 'accepted']]
  },
  {
    field: 'trigger(event).delayMs',
    story: lived(
      (delayMs, event) => ({ kind: 'event', event, delayMs }),
      async (w, who, event) => {
        await w.does(who, event)
      }
    ),
    said: HOUR,
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).before.property',
    story: lived(
      (property, event) => ({ kind: 'event', event, before: { property, ms: HOUR } }),
      async (w, who, event) => {
        await w.does(who, event, { opensAt: w.instant(2 * HOUR), startsAt: w.instant(5 * HOUR) })
        await w.later(HOUR)
      }
    ),
    said: 'startsAt',
    instead: 'opensAt',
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).before.ms',
    story: lived(
      (ms, event) => ({ kind: 'event', event, before: { property: 'startsAt', ms } }),
      async (w, who, event) => {
        await w.does(who, event, { startsAt: w.instant(3 * HOUR) })
        await w.later(HOUR)
      }
    ),
    said: HOUR,
    instead: 2 * HOUR,
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).cancelOn.event',
    story: lived(
      (cancel, event) => ({ kind: 'event', event, delayMs: HOUR, cancelOn: { event: cancel } }),
      async (w, who, event) => {
        await w.does(who, event)
        await w.does(who, 'calledOff')
        await w.later(HOUR + MINUTE)
      }
    ),
    said: 'calledOff',
    instead: 'neverHappens',
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(event).cancelOn.where',
    story: lived(
      (where, event) => ({ kind: 'event', event, delayMs: HOUR, cancelOn: { event: 'calledOff', where } }),
      async (w, who, event) => {
        await w.does(who, event)
        await w.does(who, 'calledOff', { by: 'shop' })
        await w.later(HOUR + MINUTE)
      }
    ),
    said: { by: 'customer' },
    gives: [['accepted'], []]
  },
  {
    field: 'trigger(notFollowed).event',
    story: lived(
      (event, other) => unanswered(event ?? other),
      async (w, who, event) => {
        await w.does(who, event)
        await w.later(HOUR)
      }
    ),
    said: 'somethingElse',
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(notFollowed).where',
    story: lived(
      (where, event) => unanswered(event, { where }),
      async (w, who, event) => {
        await w.does(who, event, { amount: 99 })
        await w.later(HOUR)
      }
    ),
    said: { amount: { gte: 100 } },
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(notFollowed).key',
    story: lived(
      (key, event) => unanswered(event, { key }),
      async (w, who, event) => {
        await w.does(who, event, { order: 1 })
        await w.does(who, 'paid', { order: 2 })
        await w.later(HOUR)
      }
    ),
    said: 'order',
    gives: [['accepted'], []]
  },
  {
    field: 'trigger(notFollowed).reentry',
    story: lived((reentry, event) => unanswered(event, { reentry }), twiceUnanswered),
    said: 'once',
    gives: [['accepted'], ['accepted', 'accepted']]
  },
  {
    field: 'trigger(notFollowed).reentry.perDays',
    story: lived((perDays, event) => unanswered(event, { reentry: { perDays } }), twiceUnanswered),
    said: 2,
    instead: 0.5,
    gives: [['accepted'], ['accepted', 'accepted']]
  },
  {
    field: 'trigger(notFollowed).missing',
    story: lived(
      (missing, event) => unanswered(event, { missing }),
      async (w, who, event) => {
        await w.does(who, event)
        await w.does(who, 'paid')
        await w.later(HOUR)
      }
    ),
    said: 'paid',
    instead: 'shipped',
    gives: [[], ['accepted']]
  },
  {
    field: 'trigger(notFollowed).withinMs',
    story: lived(
      (withinMs, event) => unanswered(event, { withinMs }),
      async (w, who, event) => {
        await w.does(who, event)
        await w.later(HOUR)
      }
    ),
    said: 2 * HOUR,
    instead: 30 * MINUTE,
    gives: [[], ['accepted']]
  }
]
