import t from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import { openStore, roomsOn } from '../campaigns/rooms.js'
import { arranged as arrange, minutes, notFollowed, onEvent, said, told } from './processes.js'

const store = await openStore(t)
type Arranged = Parameters<typeof arrange>
const arranged = (t: Arranged[1], trigger: Arranged[2], more: Partial<CampaignCreate> = {}, people = 3) =>
  arrange(store, t, trigger, more, people)

const MINUTE = 60_000
const HOUR = 60 * MINUTE

t.test('A and not B', async (t) => {
  t.test('becomes one message when the window and its grace are over, with what A brought along', async (t) => {
    const { did, post, at, rows, waits, crowd, id } = await arranged(t, notFollowed())
    await post([did('a', { amount: 120 })])
    t.same(await waits(), ['waiting'])
    await at(30.9)
    t.same(await rows(), [])
    await at(31)
    t.match(await rows(), [
      {
        recipientId: crowd[0]!.id,
        personId: crowd[0]!.personId,
        campaignId: id,
        state: 'planned',
        data: { thing1: { value: '甲的订单' }, amount2: { value: '120' } },
        waitId: String,
        dueAt: told(31),
        notAfter: told(31 + 1440)
      }
    ])
    t.same(await waits(), ['fired'])
    await at(60)
    t.equal((await rows()).length, 1)
  })

  type Story = [
    what: string,
    story: [minute: number, name: string, at?: number, who?: number][],
    ends: string[],
    messages: number
  ]
  const stories: Story[] = [
    [
      'B in the window closes it at once',
      [
        [0, 'a'],
        [10, 'b']
      ],
      ['stopped by b'],
      0
    ],
    [
      'B that arrived before A',
      [
        [5, 'b', 4],
        [6, 'a', 3]
      ],
      ['stopped by b'],
      0
    ],
    [
      'B that happened before A stops nothing',
      [
        [1, 'b'],
        [2, 'a']
      ],
      ['fired'],
      1
    ],
    [
      'B late, within the grace',
      [
        [0, 'a'],
        [30.5, 'b', 29]
      ],
      ['stopped by b'],
      0
    ],
    [
      'B within the grace, but timed after the window',
      [
        [0, 'a'],
        [30.5, 'b', 30.2]
      ],
      ['fired'],
      1
    ],
    [
      'B of somebody else',
      [
        [0, 'a'],
        [10, 'b', 10, 1]
      ],
      ['fired'],
      1
    ],
    [
      'A twice: the later one counts',
      [
        [0, 'a'],
        [20, 'a']
      ],
      ['stopped by a', 'fired'],
      1
    ],
    [
      'A twice, the older one late',
      [
        [20, 'a'],
        [21, 'a', 0]
      ],
      ['stopped by a', 'fired'],
      1
    ],
    [
      'A twice, then B',
      [
        [0, 'a'],
        [20, 'a'],
        [40, 'b']
      ],
      ['stopped by a', 'stopped by b'],
      0
    ],
    [
      'A again after its window',
      [
        [0, 'a'],
        [32, 'a']
      ],
      ['fired', 'fired'],
      2
    ]
  ]
  t.test('is decided by what happened, in whatever order it is heard of', async (t) => {
    const { did, post, at, rows, triggers, crowd } = await arranged(t, notFollowed(), {}, 2 * stories.length)
    const heard = stories.flatMap(([, story], i) => story.map((each) => ({ each, i })))
    for (const { each, i } of heard.sort((one, other) => one.each[0] - other.each[0])) {
      const [minute, name, happened = minute, who = 0] = each
      await at(minute)
      await post([did(name, {}, { at: happened, who: 2 * i + who })])
    }
    await at(200)
    for (const [i, [what, , ends, messages]] of stories.entries()) {
      const { personId } = crowd[2 * i]!
      const found = await triggers.waits.find({ personId }).sort({ aAt: 1 }).toArray()
      t.same(found.map(said), ends, what)
      t.equal((await rows({ personId })).length, messages, what)
    }
  })

  t.test('waits for each key alone, and counts 7 and "7" as one', async (t) => {
    const { did, post, at, rows, waits } = await arranged(t, notFollowed({ key: 'order' }))
    await post([did('a', { order: 7 }), did('a', { order: 8 }), did('a', {}), did('a', { order: 9 })])
    await at(10)
    await post([did('b', { order: '7' }), did('b', { order: 10 })])
    await at(11)
    await post([did('a', { order: 9 })])
    await at(31)
    t.same((await waits()).sort(), ['fired', 'fired', 'stopped by a', 'stopped by b', 'waiting'])
    await at(42)
    t.equal((await rows()).length, 3)
  })

  t.test('asks only for an A that meets the conditions, also where it replaces', async (t) => {
    const { did, post, at, waits } = await arranged(t, notFollowed({ where: { amount: { gte: 100 } } }))
    await post([did('a', { amount: 100 })])
    await at(5)
    await post([did('a', { amount: 99 })])
    await at(40)
    t.same(await waits(), ['fired'])
  })

  t.test('B in time but unheard of until the message is planned takes it back', async (t) => {
    const { did, post, at, rows, waits, messages, triggers } = await arranged(t, notFollowed())
    await post([did('a')])
    await at(31)
    const [row] = await rows()
    t.same(await triggers.waits.countDocuments({ stoppedBy: null }), 1)
    await post([did('b', {}, { at: 29 })])
    t.same(await waits(), ['fired by b'])
    t.match(await messages.rows.findOne({ _id: row!._id }), { state: 'planned' }, 'the gate does it')
  })

  t.test('after an outage over its moment is decided by what happened in time', async (t) => {
    const { did, post, at, rows, waits, clock } = await arranged(t, notFollowed(), { lifeMs: 2 * HOUR })
    await post([did('a'), did('a', {}, { who: 1 }), did('a', {}, { who: 2 })])
    clock.set(minutes(100))
    // B of one was in time and is heard of only now; that of another came after the window
    await post([did('b', {}, { at: 20, who: 1 }), did('b', {}, { at: 31, who: 2 })])
    await at(100)
    t.same((await waits()).sort(), ['fired', 'fired', 'stopped by b'])
    t.match(await rows(), [{ notAfter: told(31 + 120) }, { notAfter: told(31 + 120) }])
  })

  t.test('after a longer outage is dropped as late, and counted', async (t) => {
    const { did, post, at, rows, waits } = await arranged(t, notFollowed(), { lifeMs: 2 * HOUR })
    await post([did('a'), did('a', {}, { who: 1 }), did('b', {}, { who: 1 })])
    await at(31 + 120)
    t.same((await waits()).sort(), ['dropped late', 'stopped by b'])
    t.same(await rows(), [])
  })

  t.test('heard of after its time is decided when it comes, or dropped', async (t) => {
    const { did, post, at, rows, waits } = await arranged(t, notFollowed(), { lifeMs: HOUR })
    await at(80)
    await post([did('a', {}, { at: 0 }), did('a', {}, { at: -20, who: 1 }), did('b', {}, { at: 7, who: 2 })])
    await post([did('a', {}, { at: 5, who: 2 })])
    t.same((await waits()).sort(), ['dropped late', 'fired', 'stopped by b'])
    t.equal((await rows()).length, 1)
  })

  t.test('of phones whose clocks go wrong counts what they say, but never the future', async (t) => {
    const { did, post, at, waits } = await arranged(t, notFollowed())
    // an hour ahead: taken as now
    await post([did('a', {}, { at: 60 })])
    await at(20)
    await post([did('b', {}, { at: 80 })])
    // ten minutes behind: B seems to have come before its A
    await post([did('a', {}, { at: 20, who: 1 })])
    await at(25)
    await post([did('b', {}, { at: 15, who: 1 })])
    await at(60)
    t.same(await waits(), ['stopped by b', 'fired'])
  })

  t.test('with the clocks of two servers minutes apart is one message, or none', async (t) => {
    const world = await arranged(t, notFollowed())
    const { db, clock, did, post, rows, waits } = world
    const ahead = roomsOn({ db, clock: { ...clock, now: () => new Date(clock.now().getTime() + 3 * MINUTE) } })
    await post([did('a'), did('a', {}, { who: 1 })])
    clock.set(minutes(29))
    await ahead.triggers.fireDue() // its clock says 32: too early by ours
    t.equal((await rows()).length, 2)
    await post([did('b', {}, { who: 1 })])
    await world.at(31)
    t.same((await waits()).sort(), ['fired', 'fired by b'], 'what one fired too early the other takes back')
    t.equal((await rows()).length, 2)
  })

  t.test('of persons who turn out to be one is stopped by what either did', async (t) => {
    const { did, post, at, rows, waits, people, crowd, account, clock } = await arranged(t, notFollowed())
    clock.advance(1)
    const young = await people.identify({ externalId: 'y' })
    const younger = await people.identify({ externalId: 'z' })
    const merge = (externalId: string, openId: string) => people.identify({ externalId, accountId: account.id, openId })
    const as = (personId: string, event: ReturnType<typeof did>) => ({ ...event, personId })
    await post([did('a', {}, { who: 1 }), as(young.id, did('b'))])
    await merge('y', 'open-1')
    await at(32)
    t.same(await waits(), ['stopped by b'], 'B before the merge, under an id that is no more')
    await post([as(younger.id, did('a'))])
    await merge('z', 'open-2')
    await at(40)
    await post([did('b', {}, { who: 2 })])
    t.same((await waits()).at(-1), 'stopped by b', 'A before the merge, B after it: closed at once')
    await at(41)
    await post([as(younger.id, did('a'))])
    await at(73)
    t.match(await rows(), [{ recipientId: crowd[2]!.id, personId: crowd[2]!.personId }])
  })

  t.test('decided by three at once is decided once', async (t) => {
    const world = await arranged(t, notFollowed({ reentry: { perDays: 7 } }))
    const { did, post, rows, waits, clock } = world
    await post([0, 1, 2].map((who) => did('a', {}, { who })))
    clock.set(minutes(31))
    const rivals = [world, roomsOn(world), roomsOn(world)]
    await Promise.all(rivals.map(({ triggers }) => triggers.fireDue()))
    t.same(await waits(), ['fired', 'fired', 'fired'])
    t.equal((await rows()).length, 3)
  })

  t.test('and again after somebody who took it up has died, half a minute later', async (t) => {
    const world = await arranged(t, notFollowed())
    await world.post([world.did('a')])
    const dying = roomsOn(world)
    dying.messages.plan = () => Promise.reject(new Error('killed'))
    world.clock.set(minutes(31))
    await t.rejects(dying.triggers.fireDue(), { message: 'killed' })
    t.equal(await world.at(31.4), 0)
    t.equal(await world.at(31.5), 1)
    t.equal((await world.rows()).length, 1)
  })
})

t.test('a delay', async (t) => {
  t.test('fires that much later', async (t) => {
    const { did, post, at, rows } = await arranged(t, onEvent({ delayMs: 2 * HOUR }))
    await post([did('a')])
    await at(119.9)
    t.same(await rows(), [])
    await at(120)
    t.match(await rows(), [{ dueAt: told(120), notAfter: told(120 + 1440) }])
  })

  t.test('is cancelled by what cancels, under its conditions, however it is ordered', async (t) => {
    const cancelOn = { event: 'c', where: { ok: true } }
    const { did, post, at, waits, rows } = await arranged(t, onEvent({ delayMs: HOUR, cancelOn }))
    await post([did('c', { ok: true }, { at: 0 }), did('a', {}, { at: -1 })])
    await post([did('a', {}, { who: 1 }), did('a', {}, { who: 2 })])
    await at(10)
    await post([did('c', { ok: true }, { who: 1 }), did('c', { ok: false }, { who: 2 })])
    await at(70)
    t.same((await waits()).sort(), ['fired', 'stopped by c', 'stopped by c'])
    t.equal((await rows()).length, 1)
  })

  t.test('of nothing answers at once, and can be taken back while its message waits', async (t) => {
    const { did, post, at, waits, rows } = await arranged(t, onEvent({ cancelOn: { event: 'c' } }))
    await post([did('a'), did('a', {}, { who: 1 })])
    t.same(await waits(), ['fired', 'fired'])
    t.equal((await rows()).length, 2)
    await at(60)
    await post([did('c')])
    t.same((await waits()).sort(), ['fired', 'fired by c'])
  })
})
