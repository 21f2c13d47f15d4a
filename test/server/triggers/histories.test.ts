import t from 'tap'
import type { EventTrigger } from '../../../shared/trigger.js'
import { eventId } from '../../../server/events/event-id.js'
import type { EventInput } from '../../../server/events/events.js'
import { openStore, roomsOn } from '../campaigns/rooms.js'
import { seeded } from '../messages/crash-world.js'
import { arranged, minutes, mortal, notFollowed, onEvent, type Process } from './processes.js'

/** Random lives of many people, against processes that die; HONGYAN_WAIT_SEED and HONGYAN_WAIT_PEOPLE explore further. */
const SEED = Number(process.env.HONGYAN_WAIT_SEED ?? 1)
const PEOPLE = Number(process.env.HONGYAN_WAIT_PEOPLE ?? 600)

const store = await openStore(t)
const MINUTE = 60_000
const DAY = 1440 * MINUTE
const ORIGIN = { kind: 'key' as const, id: 'k' }
/** Things happen within the first hour, are heard of up to 45 minutes later, and are over by then. */
const HOUR = 60
const LAGS = [0, 0, 0, 0, 1, 1, 5, 20, 45]

/** Something that happened: minutes since nine. `met`: does it meet the conditions? */
type Fact = { id: string; name: 'a' | 'b'; at: number; heard: number[]; order: string; met: boolean }
type Chance = ReturnType<typeof seeded>

const below = (chance: Chance, n: number) => Math.floor(chance() * n)
const pick = <T>(chance: Chance, list: readonly T[]): T => list[below(chance, list.length)]!

function history(chance: Chance, who: number): Fact[] {
  return Array.from({ length: 1 + below(chance, 5) }, (_, i) => {
    const at = 5 * below(chance, HOUR / 5)
    const heard = [at + pick(chance, LAGS), ...(chance() < 0.2 ? [at + pick(chance, LAGS)] : [])]
    const name = chance() < 0.6 ? ('a' as const) : ('b' as const)
    return { id: `${who}-${i}`, name, at, heard, order: pick(chance, ['x', 'x', 'y']), met: chance() < 0.85 }
  })
}

/** Said in other words than the code's: which of these stop A's wait? All of one person. */
function stoppers(trigger: EventTrigger, a: Fact, facts: Fact[]): Fact[] {
  const stored = ({ id }: Fact) => eventId(null, ORIGIN, id)
  return facts.filter((x) => {
    if (x === a || (trigger.key !== undefined && x.order !== a.order)) return false
    const minutesAfter = x.at - a.at
    if (minutesAfter < 0) return false
    if (trigger.kind === 'notFollowed') {
      if (minutesAfter > 30) return false
      return x.name === 'b' || (x.met && (minutesAfter > 0 || stored(x) > stored(a)))
    }
    if (x.name === 'b') return trigger.cancelOn !== undefined && x.met && minutesAfter <= 30 + 1440
    if (!x.met || (minutesAfter === 0 && stored(x) < stored(a))) return false
    return minutesAfter <= (trigger.key === undefined ? 30 : 30 + 1440)
  })
}

const where = { met: true }
const TRIGGERS: [string, EventTrigger][] = [
  ['A and not B', notFollowed({ where })],
  ['A and not B of one order', notFollowed({ where, key: 'order' })],
  ['A with a delay', onEvent({ where, delayMs: 30 * MINUTE })],
  [
    'A of one order with a delay, cancelled by B',
    onEvent({ where, delayMs: 30 * MINUTE, key: 'order', cancelOn: { event: 'b', where } })
  ]
]

for (const [round, [what, trigger]] of TRIGGERS.entries()) {
  t.test(`${what}, in random lives, comes to what a look at all of it says`, async (t) => {
    const chance = seeded(SEED * 1000 + round)
    const world = await arranged(store, t, trigger, { lifeMs: DAY })
    const { clock, db, account, people, rows, triggers, events } = world
    const crowd = await people.recipients(
      account.id,
      Array.from({ length: PEOPLE }, (_, i) => `life-${i}`)
    )
    await people.models.people.updateMany({}, { $set: { 'attributes.name': '众人' } })
    const lives = crowd.map((recipient, who) => ({ personId: recipient.personId, facts: history(chance, who) }))

    const fresh = () => {
      const line = mortal(db, { at: 1 + below(chance, 30), seen: chance() < 0.5 })
      return { ...line, process: roomsOn({ db: line.db, clock }) }
    }
    const slots = [fresh(), fresh()]
    let deaths = 0
    /** Asks a process; when it dies of that, the next has its place. @returns did it live? */
    async function ask(slot: number, what: (process: Process) => Promise<unknown>): Promise<boolean> {
      await what(slots[slot]!.process).catch((error: unknown) => {
        if (!slots[slot]!.isDead()) throw error
      })
      if (!slots[slot]!.isDead()) return true
      deaths += 1
      slots[slot] = fresh()
      return false
    }

    const heard = new Map<number, EventInput[]>()
    for (const { personId, facts } of lives) {
      for (const { id, name, at, order, met, heard: times } of facts) {
        const input = { id, name, at: minutes(at), properties: { order, met }, personId, recipientId: null }
        for (const time of times) heard.set(time, [...(heard.get(time) ?? []), input])
      }
    }
    for (let minute = 0; minute <= HOUR + 45; minute++) {
      clock.set(minutes(minute))
      const items = (heard.get(minute) ?? []).sort(() => chance() - 0.5)
      for (let from = 0; from < items.length; from += 40) {
        const part = items.slice(from, from + 40)
        // whoever is not answered posts again
        while (
          !(await ask(below(chance, 2), async ({ events }) => {
            await events.intake(ORIGIN, null, part)
            await events.idle()
          }))
        );
      }
      // at times nobody is there for minutes, at times two at once
      if (chance() < 0.3) await ask(below(chance, 2), ({ events }) => events.sweep())
      const both = chance() < 0.3
      if (chance() < 0.5) {
        await Promise.all(
          (both ? [0, 1] : [below(chance, 2)]).map((slot) => ask(slot, (rooms) => rooms.triggers.fireDue()))
        )
      }
    }
    for (let i = 0; i < 10; i++) {
      clock.set(minutes(HOUR + 45 + 40 + i))
      await events.sweep()
      await triggers.fireDue()
    }

    const waits = new Map((await triggers.waits.find().toArray()).map((wait) => [wait.eventId, wait]))
    const messages = new Map<string, number>()
    for (const { waitId } of await rows()) messages.set(waitId!, (messages.get(waitId!) ?? 0) + 1)
    const wrong: object[] = []
    let [sent, takenBack] = [0, 0]
    for (const { facts } of lives) {
      for (const a of facts) {
        const wait = waits.get(eventId(null, ORIGIN, a.id))
        if (a.name !== 'a' || !a.met) {
          if (wait !== undefined) wrong.push({ a, why: 'it waits, and should not' })
          continue
        }
        const stopped = stoppers(trigger, a, facts)
        const count = wait === undefined ? -1 : (messages.get(wait._id) ?? 0)
        const goes = count === 1 && wait!.state === 'fired' && wait!.stoppedBy === null
        if (goes !== (stopped.length === 0)) wrong.push({ a, facts, wait, count, why: 'goes, or goes not' })
        const known = Math.min(...stopped.map((x) => Math.min(...x.heard)))
        const decided = Math.max(a.at + (trigger.kind === 'notFollowed' ? 31 : 30), Math.min(...a.heard))
        if (count > (known < decided ? 0 : 1))
          wrong.push({ a, facts, wait, count, why: 'planned in spite of what was known' })
        if (goes) sent += 1
        else if (count === 1) takenBack += 1
      }
    }
    t.same(wrong.slice(0, 3), [], `${wrong.length} wrong`)
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
    t.ok(sent > PEOPLE / 5 && takenBack > 0 && deaths > 15, 'enough happened')
    t.comment(`${PEOPLE} lives, ${waits.size} waits, ${sent} sent, ${takenBack} taken back, ${deaths} deaths`)
  })
}
