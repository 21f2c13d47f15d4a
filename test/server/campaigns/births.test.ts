import t from 'tap'
import { classOf } from '../../../server/messages/runs.js'
import { arranged, work } from './arranged.js'
import { openStore, type Rooms } from './rooms.js'

const store = await openStore(t)

/** What the counters say of a run, and what its rows are, by class; the follower has been through. */
async function both({ messages, accountId }: Pick<Rooms, 'messages'> & { accountId: string }, runId: string) {
  await messages.follower.drain(accountId)
  await messages.follower.drain(accountId) // what the first one found out in the end is counted by the next
  const said: Record<string, number> = {}
  for (const { n } of await messages.runs.countersOf(runId)) {
    for (const [name, count] of Object.entries(n)) said[name] = (said[name] ?? 0) + count
  }
  for (const name of Object.keys(said)) if (said[name] === 0) delete said[name]
  const are: Record<string, number> = {}
  for (const row of await messages.rows.find({ runId }).toArray()) are[classOf(row)] = (are[classOf(row)] ?? 0) + 1
  const totals = (await messages.follower.standing([accountId])).get(accountId)?.n ?? {}
  return { said, are, totals }
}

t.test('what an expansion plans', async (t) => {
  t.test('is counted by its run, not row by row', async (t) => {
    const arrangement = await arranged(store, t, 1_200)
    const { campaigns, clock, id, at, messages, accountId } = arrangement
    await campaigns.activate(id)
    clock.set(at)
    await work(arrangement)
    await campaigns.tick()
    await work(arrangement)
    const { runId } = await campaigns.get(id)
    t.equal(await messages.rows.countDocuments({ runId: runId!, todo: true }), 0, 'no row waits to be counted')
    const seen = await both(arrangement, runId!)
    t.same(seen.said, { open: 1_200 })
    t.same(seen.said, seen.are)
    t.equal(seen.totals.open, 1_200)
    t.match(await messages.runs.get(runId!), { born: 1_200, told: 1_200 })
    t.equal((await messages.runs.get(runId!))!.telling, undefined)
    t.equal(await messages.follower.drain(accountId), 0, 'and there is nothing more to tell')
  })

  t.test('is counted once when the follower dies at any of its writes', async (t) => {
    const arrangement = await arranged(store, t, 3)
    const { campaigns, clock, id, at, messages, accountId } = arrangement
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick()
    await work(arrangement)
    const { runId } = await campaigns.get(id)
    const { told } = messages.runs.births
    messages.runs.births.told = () => Promise.reject(new Error('killed'))
    await t.rejects(messages.follower.drain(accountId), { message: 'killed' }, 'after the counters, before the mark')
    messages.runs.births.told = async (N, births) => {
      await told(N, births)
      throw new Error('killed')
    }
    await t.rejects(messages.follower.drain(accountId), { message: 'killed' }, 'after the mark, before the end')
    messages.runs.births.told = told
    const { said, totals } = await both(arrangement, runId!)
    t.same(said, { open: 3 })
    t.equal(totals.open, 3)
  })

  t.test('is counted exactly in the end, whoever left the audience while nobody expanded it', async (t) => {
    const arrangement = await arranged(store, t, 1_500)
    const { campaigns, clock, id, at, messages, people, start, audiences, audience } = arrangement
    await audiences.patch(audience.id, { rule: { attribute: 'name', op: 'exists' } })
    await campaigns.activate(id)
    clock.set(at)
    const { checkpoint } = messages.runs
    messages.runs.checkpoint = () => Promise.reject(new Error('killed'))
    await campaigns.tick()
    const { runId } = await campaigns.get(id)
    await t.rejects(campaigns.expand(runId!), { message: 'killed' })
    messages.runs.checkpoint = checkpoint
    const planned = await messages.rows.find({ runId: runId! }).limit(200).toArray()
    await people.models.people.updateMany(
      { _id: { $in: planned.map(({ personId }) => personId!) } },
      { $unset: { 'attributes.name': '' } }
    )
    await start().campaigns.expand(runId!)
    t.equal(await messages.rows.countDocuments({ runId: runId! }), 1_500)
    t.equal((await messages.runs.get(runId!))!.recount, true)
    // the run itself knows of fewer: those of the first try who left are in no batch of the second
    t.ok((await messages.runs.get(runId!))!.born! < 1_500)
    const seen = await both(arrangement, runId!)
    t.same(seen.said, { open: 1_500 }, 'the last look puts it right')
    await messages.cancelRuns(id)
    const over = await both(arrangement, runId!)
    t.same(over.said, { 'skipped:cancelled': 1_500 })
    t.same(over.said, over.are)
    t.equal(over.totals['skipped:cancelled'], 1_500)
  })

  t.test('is counted exactly when several expand at once', async (t) => {
    const arrangement = await arranged(store, t, 2_600)
    const { campaigns, clock, id, at, start } = arrangement
    await campaigns.activate(id)
    clock.set(at)
    const rivals = [campaigns, start().campaigns, start().campaigns]
    await Promise.all(rivals.map((each) => each.tick()))
    const { runId } = await campaigns.get(id)
    await Promise.all(rivals.map((each) => each.expand(runId!)))
    const seen = await both(arrangement, runId!)
    t.same(seen.said, { open: 2_600 })
    t.same(seen.said, seen.are)
  })

  t.test('that was known not to go is counted by its own row', async (t) => {
    const arrangement = await arranged(store, t, 2, {
      content: { thing1: '{{ user.nobody }}', amount2: '9' }
    })
    const { campaigns, clock, id, at } = arrangement
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick()
    await work(arrangement)
    const { runId } = await campaigns.get(id)
    const seen = await both(arrangement, runId!)
    t.same(seen.said, seen.are)
    t.equal(seen.said['skipped:missingVariable'], 2)
  })
})
