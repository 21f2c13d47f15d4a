import t from 'tap'
import type { Test } from 'tap'
import { openStore, roomsOn } from '../campaigns/rooms.js'
import { arranged, minutes, mortal, notFollowed, onEvent, type Process } from './processes.js'

const store = await openStore(t)
const HOUR = 3_600_000

/**
 * A story told again and again, whose process dies each time one write later (before the store sees that write, or after)
 * and is followed by another. What comes of it must be the same as if nobody had died.
 */
async function whoeverDies(
  t: Test,
  world: Awaited<ReturnType<typeof arranged>>,
  tell: (who: number, first: Process, last: () => Process) => Promise<void>,
  outcome: (who: number) => Promise<unknown>,
  expected: unknown
) {
  let deaths = 0
  for (let who = 0; who < world.crowd.length; who++) {
    const death = { at: Math.floor(who / 2) + 1, seen: who % 2 === 1 }
    const line = mortal(world.db, death)
    await tell(who, roomsOn({ db: line.db, clock: world.clock }), () => roomsOn(world))
    t.same(await outcome(who), expected, `dead at write ${death.at}, ${death.seen ? 'after' : 'before'} it`)
    if (line.isDead()) deaths += 1
  }
  return deaths
}

t.test('a process that dies between any two writes', async (t) => {
  t.test('while A arrives leaves one wait, and one message', async (t) => {
    const world = await arranged(store, t, notFollowed({ reentry: { perDays: 1 } }), {}, 24)
    const { did, triggers, rows, crowd, clock } = world
    const deaths = await whoeverDies(
      t,
      world,
      async (who, first, next) => {
        clock.advance(48 * HOUR)
        const a = did('a', {}, { who })
        await first.events.intake({ kind: 'key', id: 'k' }, null, [a]).catch(() => {})
        await first.events.idle()
        const second = next()
        await second.events.intake({ kind: 'key', id: 'k' }, null, [a]) // whom nobody answered posts again
        await second.events.idle()
        clock.advance(5_000)
        await second.events.sweep()
        clock.advance(HOUR)
        await next().triggers.fireDue()
      },
      async (who) => [
        (await triggers.waits.find({ personId: crowd[who]!.personId }).toArray()).map(({ state }) => state),
        (await rows({ personId: crowd[who]!.personId })).length
      ],
      [['fired'], 1]
    )
    t.ok(deaths >= 6, `${deaths} deaths`)
  })

  t.test('while it is decided leaves one message, entry and run', async (t) => {
    const world = await arranged(store, t, onEvent({ delayMs: HOUR, reentry: { perDays: 1 } }), {}, 24)
    const { did, post, triggers, rows, crowd, clock, messages, id } = world
    const deaths = await whoeverDies(
      t,
      world,
      async (who, first, next) => {
        clock.advance(48 * HOUR)
        await post([did('a', {}, { who })])
        clock.advance(HOUR)
        await first.triggers.fireDue().catch(() => {})
        clock.advance(31_000)
        await next().triggers.fireDue()
      },
      async (who) => [
        (await triggers.waits.find({ personId: crowd[who]!.personId }).toArray()).map(({ state }) => state),
        (await rows({ personId: crowd[who]!.personId })).map(({ state }) => state)
      ],
      [['fired'], ['planned']]
    )
    t.ok(deaths >= 10, `${deaths} deaths`)
    t.equal((await messages.runs.ofCampaign(id)).length, crowd.length, 'a run a day')
  })

  t.test('while B closes it leaves it stopped', async (t) => {
    const world = await arranged(store, t, notFollowed(), {}, 12)
    const { did, post, triggers, rows, crowd, clock } = world
    const deaths = await whoeverDies(
      t,
      world,
      async (who, first, next) => {
        await post([did('a', {}, { who })])
        clock.advance(60_000)
        const b = did('b', {}, { who })
        await first.events.intake({ kind: 'key', id: 'k' }, null, [b]).catch(() => {})
        await first.events.idle()
        clock.advance(20_000)
        await next().events.intake({ kind: 'key', id: 'k' }, null, [b])
        clock.advance(HOUR)
        await next().triggers.fireDue()
      },
      async (who) => [
        (await triggers.waits.find({ personId: crowd[who]!.personId }).toArray()).map(({ state }) => state),
        (await rows({ personId: crowd[who]!.personId })).length
      ],
      [['stopped'], 0]
    )
    t.ok(deaths >= 4, `${deaths} deaths`)
  })

  t.test('while it says what was stopped when due leaves it stopped', async (t) => {
    const world = await arranged(store, t, notFollowed(), {}, 6)
    const { did, triggers, crowd, clock, events, rows } = world
    const deaths = await whoeverDies(
      t,
      world,
      async (who, first, next) => {
        // nobody applied B yet: only the event is there
        await events.intake({ kind: 'key', id: 'k' }, null, [did('a', {}, { who })])
        await events.idle()
        const { personId } = crowd[who]!
        await world.db.collection('events').insertOne({
          _id: `b-${who}` as never,
          name: 'b',
          personId,
          recipientId: null,
          at: new Date(clock.now().getTime() + 60_000),
          properties: {},
          todo: false
        })
        clock.advance(HOUR)
        await first.triggers.fireDue().catch(() => {})
        clock.advance(31_000)
        await next().triggers.fireDue()
      },
      async (who) => [
        (await triggers.waits.find({ personId: crowd[who]!.personId }).toArray()).map(({ state }) => state),
        (await rows()).length
      ],
      [['stopped'], 0]
    )
    t.ok(deaths >= 3, `${deaths} deaths`)
  })

  t.test('after the message, before the mark: B that comes then takes the message back', async (t) => {
    const world = await arranged(store, t, notFollowed())
    const { did, post, triggers, rows, clock, waits, at, messages } = world
    await post([did('a')])
    clock.set(minutes(31))
    const dying = roomsOn(world)
    const plan = dying.messages.plan
    dying.messages.plan = async (inputs) => {
      await plan(inputs)
      throw new Error('killed')
    }
    await t.rejects(dying.triggers.fireDue())
    t.same(await waits(), ['waiting'])
    await post([did('b', {}, { at: 30 })])
    await at(60)
    t.same(await waits(), ['stopped by b'])
    const [row] = await rows()
    t.equal((await triggers.waits.find({ _id: row!.waitId!, stoppedBy: { $ne: null } }).toArray()).length, 1)
    t.equal(await messages.rows.countDocuments(), 1)
  })
})
