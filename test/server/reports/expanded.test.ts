import t from 'tap'
import { createVerify } from '../../../server/reports/verify.js'
import { silentLog } from '../../../server/platform/log.js'
import { arranged, work } from '../campaigns/arranged.js'
import { openStore } from '../campaigns/rooms.js'

const store = await openStore(t)

t.test('a run that is expanded is compared once its messages are told of, and not before', async (t) => {
  const { campaigns, messages, clock, db, jobs, id, at, accountId } = await arranged(store, t, 60)
  const verify = createVerify({ clock, log: silentLog(), messages })
  await campaigns.activate(id)
  clock.set(at)
  await campaigns.tick()
  const [run] = await messages.runs.ofCampaign(id)
  await work({ db, jobs })
  t.equal((await verify.run(run!._id)).state, 'busy', 'its messages are planned, and counted nowhere')
  await messages.follower.drain(accountId)
  t.match(await verify.run(run!._id), { state: 'equal', rows: 60 })
  t.match(await messages.runs.counts(run!._id), { total: 60, byState: { open: 60 } })
  t.equal((await messages.follower.standing([accountId])).get(accountId)?.n.open, 60)
  await messages.counters.updateOne({ runId: run!._id }, { $inc: { 'n.open': -4 } })
  t.match(await verify.run(run!._id, { mend: true }), { state: 'different', differences: { open: -4 } })
  t.match(await messages.runs.counts(run!._id), { total: 60, byState: { open: 60 } })
})
