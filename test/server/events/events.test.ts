import t from 'tap'
import { eventId } from '../../../server/events/event-id.js'
import { resolvePersons } from '../../../server/events/resolve.js'
import type { EventRow } from '../../../server/events/events.js'
import { openStore } from '../campaigns/rooms.js'

const store = await openStore(t)
const backend = { kind: 'key' as const, id: 'k' }
const at = new Date('2026-03-02T00:59:00Z')
const item = (id: string, more: object = {}) => ({ id, name: 'bought', at, personId: 'p', recipientId: null, ...more })

t.test('an event', async (t) => {
  t.test('is stored once, whoever repeats it', async (t) => {
    const { events } = await store.rooms(t)
    const first = await events.intake(backend, 'a', [item('1'), item('2'), item('1')])
    t.same(
      first.map(({ verdict }) => verdict),
      ['stored', 'stored', 'duplicate']
    )
    const again = await events.intake(backend, 'a', [item('2'), item('3')])
    t.same(again, [
      { id: '2', verdict: 'duplicate' },
      { id: '3', verdict: 'stored' }
    ])
    t.equal(await events.rows.countDocuments(), 3)
  })

  t.test('of a phone cannot occupy the id of a backend', async (t) => {
    const { events } = await store.rooms(t)
    await events.intake({ kind: 'phone', id: 'r' }, 'a', [item('1')])
    t.match(await events.intake(backend, 'a', [item('1')]), [{ verdict: 'stored' }])
    t.not(eventId('a', backend, 'bc'), eventId('a', { kind: 'key', id: 'kb' }, 'c'))
    t.not(eventId(null, backend, '1'), eventId('a', backend, '1'))
  })

  t.test('happened when it was said to, but never after it came', async (t) => {
    const { events, clock } = await store.rooms(t)
    const ahead = new Date(clock.now().getTime() + 60_000)
    await events.intake(backend, null, [item('1'), item('2', { at: ahead })])
    const [first, second] = await events.rows.find().sort({ at: 1 }).toArray()
    t.same([first!.at, second!.at], [at, clock.now()])
    t.ok(first!.expireAt.getTime() > clock.now().getTime() + 365 * 86_400_000)
  })

  t.test('of ten thousand years ago happened in 1970, so that lists can show it', async (t) => {
    const { events } = await store.rooms(t)
    await events.intake(backend, null, [item('1', { at: new Date('-005947-01-20T02:49:35Z') })])
    t.same((await events.rows.findOne())!.at, new Date(0))
  })

  t.test('leaves its name behind, unless it is the system’s own', async (t) => {
    const { events } = await store.rooms(t)
    await events.intake(backend, null, [item('1'), item('2', { name: '$paid' })])
    t.same(await events.names.distinct('_id'), ['bought'])
  })
})

t.test('a consumer', async (t) => {
  t.test('is given new events of its name at once, and they are done', async (t) => {
    const { events } = await store.rooms(t)
    const seen: Record<string, string[]> = { bought: [], '*': [] }
    for (const name of ['bought', '*']) {
      events.consume(name, async (batch) => void seen[name]!.push(...batch.map((each) => each.name)))
    }
    await events.intake(backend, null, [item('1'), item('2', { name: 'left' })])
    await events.intake(backend, null, [item('1')])
    await events.idle()
    t.same(seen, { bought: ['bought'], '*': ['bought', 'left'] })
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
  })

  t.test('is spared what it has no interest in, which is done from the start', async (t) => {
    const { events, start, clock } = await store.rooms(t)
    const seen: string[] = []
    const handler = async (batch: EventRow[]) => void seen.push(...batch.map(({ name }) => name))
    events.consume(
      'bought',
      handler,
      async () =>
        ({ properties }) =>
          properties.dear === true
    )
    events.consume('left', handler)
    const dear = { properties: { dear: true } }
    await events.intake(backend, null, [item('1'), item('2', dear), item('3', { name: 'left' })])
    await events.stop()
    t.same(seen, ['bought', 'left'])
    await events.intake(backend, null, [item('4'), item('5', dear), item('6', { ...dear, name: 'seen' })])
    const todo = await events.rows.distinct('_id', { todo: true })
    t.same(todo, [eventId(null, backend, '5')], 'nobody is there now: only what somebody wants waits for the sweep')
    const next = start()
    next.events.consume('bought', handler)
    clock.advance(2_000)
    t.equal(await next.events.sweep(), 1)
    t.same(seen, ['bought', 'left', 'bought'])
  })

  t.test('that dies before its events are done gets them again from the next process', async (t) => {
    const { events, start, clock } = await store.rooms(t)
    events.consume('bought', async () => void t.fail('it is dead'))
    await events.stop() // as if killed right after storing
    await events.intake(backend, null, [item('1')])
    const next = start()
    const seen: string[] = []
    next.events.consume('bought', async (batch) => void seen.push(...batch.map(({ _id }) => _id)))
    t.equal(await next.events.sweep(), 0, 'not while the first may still be at it')
    clock.advance(2_000)
    t.equal(await next.events.sweep(), 1)
    t.same(seen, [eventId(null, backend, '1')])
    clock.advance(60_000)
    t.equal(await next.events.sweep(), 0)
  })

  t.test('that fails on one event gets the others done, and that one again, later and later', async (t) => {
    const { events, clock } = await store.rooms(t)
    let broken = true
    const done: string[] = []
    events.consume('bought', async (batch: EventRow[]) => {
      if (broken && batch.some(({ properties }) => properties.bad)) throw new Error('cannot')
      done.push(...batch.map(({ _id }) => _id))
    })
    await events.intake(backend, null, [item('1'), item('2', { properties: { bad: true } }), item('3')])
    await events.idle()
    t.same(
      done,
      ['1', '3'].map((id) => eventId(null, backend, id))
    )
    clock.advance(2_000)
    t.equal(await events.sweep(), 1)
    clock.advance(2_000)
    t.equal(await events.sweep(), 0, 'waits twice as long after the second failure')
    broken = false
    clock.advance(2_000)
    t.equal(await events.sweep(), 1)
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
    t.equal(done.length, 3)
  })

  t.test('gets an event from two sweepers at once, at most from both, and it is done', async (t) => {
    const { events, start, clock } = await store.rooms(t)
    events.consume('*', async () => void t.fail('it is dead'))
    await events.stop()
    await events.intake(
      backend,
      null,
      Array.from({ length: 20 }, (_, i) => item(String(i)))
    )
    clock.advance(5_000)
    const seen = new Set<string>()
    const rivals = [start(), start()]
    for (const { events } of rivals) {
      events.consume('*', async (batch) => batch.forEach(({ _id }) => seen.add(_id)))
    }
    await Promise.all(rivals.map(({ events }) => events.sweep()))
    t.equal(seen.size, 20)
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
  })
})

t.test('the person of a posted event', async (t) => {
  const { people, account } = await store.rooms(t)
  const { id } = await account()
  const known = await people.identify({ externalId: 'e1' })
  const post = (more: object) => ({ id: 'x', name: 'bought', at, ...more })
  const whose = await resolvePersons(people, id, [
    post({ openId: 'o1' }),
    post({ openId: 'o1' }),
    post({ externalId: 'e1' }),
    post({ externalId: 'e2' }),
    post({ personId: known.id }),
    post({ personId: 'nobody' }),
    post({}),
    post({ openId: 'o1', externalId: 'e1' })
  ])
  const recipient = await people.recipient(id, 'o1')
  const e2 = await people.find({ externalId: 'e2' })
  const mine = { personId: recipient.personId, recipientId: recipient.id }
  t.same(whose, [
    mine,
    mine,
    { personId: known.id, recipientId: null },
    { personId: e2!.id, recipientId: null },
    { personId: known.id, recipientId: null },
    { refused: 'unknownPerson' },
    { refused: 'noPerson' },
    { refused: 'ambiguous' }
  ])
  t.same(await resolvePersons(people, null, [post({ openId: 'o1' })]), [{ refused: 'accountNeeded' }])
})

t.test('an erased person leaves events of nobody', async (t) => {
  const { events, people, account } = await store.rooms(t)
  const { id } = await account()
  const { personId, id: recipientId } = await people.recipient(id, 'o1')
  await events.intake(backend, id, [
    item('1', { personId, properties: { city: '上海' } }),
    item('2', { name: '$push', personId: null, recipientId }),
    item('3', { personId: 'other' })
  ])
  await people.erase(personId)
  const left = await events.rows.find({ personId: null, recipientId: null, properties: {} }).toArray()
  t.equal(left.length, 2)
})
