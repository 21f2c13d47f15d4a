import t from 'tap'
import type { Trigger } from '../../../shared/trigger.js'
import { arranged, work } from './arranged.js'
import { openStore } from './rooms.js'

const store = await openStore(t)

t.test('a campaign', async (t) => {
  t.test('is a draft until it is activated, then cannot be changed', async (t) => {
    const { campaigns, id, accountId } = await arranged(store, t, 1)
    t.match(await campaigns.get(id), { state: 'draft', accountId, nextAt: null })
    const online = await campaigns.activate(id)
    t.match(online, { state: 'online', runId: null })
    await t.rejects(campaigns.patch(id, { name: 'x' }), { code: 'campaigns.state' })
    await t.rejects(campaigns.activate(id), { code: 'campaigns.state' })
    await t.rejects(campaigns.resume(id), { code: 'campaigns.state' })
    await t.rejects(campaigns.remove(id), { code: 'campaigns.state' })
    t.match(await campaigns.pause(id), { state: 'paused' })
    t.match(await campaigns.patch(id, { name: 'x' }), { name: 'x', state: 'paused' })
    t.match(await campaigns.resume(id), { state: 'online', name: 'x' })
    t.match(await campaigns.cancel(id), { state: 'cancelled', nextAt: null })
    for (const verb of ['pause', 'resume', 'cancel', 'activate'] as const) {
      await t.rejects(campaigns[verb](id), { code: 'campaigns.state' })
    }
    t.match(await campaigns.duplicate(id), { state: 'draft', name: 'x (2)', runId: null })
  })

  t.test('changes only for who saw it last', async (t) => {
    const { campaigns, id } = await arranged(store, t, 1)
    const { rev } = await campaigns.get(id)
    const changed = await campaigns.patch(id, { name: 'new' }, `"${rev}"`)
    t.equal(changed.rev, rev + 1)
    await t.rejects(campaigns.patch(id, { name: 'newer' }, `"${rev}"`), { code: 'request.changed' })
    await t.rejects(campaigns.activate(id, `"${rev}"`), { code: 'request.changed' })
    await t.rejects(campaigns.remove(id, `"${rev}"`), { code: 'request.changed' })
    await campaigns.remove(id, `"${rev + 1}"`)
    await t.rejects(campaigns.get(id), { code: 'campaigns.not-found' })
  })

  t.test('null takes a setting back, and of the audience means everybody', async (t) => {
    const { campaigns, id } = await arranged(store, t, 1)
    const asked = { topic: 'news', lifeMs: 60_000, caps: { perPersonPerDay: 1 }, open: { page: 'pages/a' } }
    t.match(await campaigns.patch(id, asked), asked)
    const bare = await campaigns.patch(id, { topic: null, lifeMs: null, caps: null, open: null, audienceId: null })
    t.match(bare, { open: null, audienceId: null })
    for (const name of ['topic', 'lifeMs', 'caps']) t.notOk(name in bare, name)
  })

  t.test('names a template and an audience that are there', async (t) => {
    const { campaigns, id, wanted, audience, account, db } = await arranged(store, t, 1)
    const refused = (asked: Promise<unknown>, pointers: string[]) =>
      t.rejects(asked, { status: 422, errors: pointers.map((pointer) => ({ pointer })) })
    await refused(campaigns.create({ ...wanted, templateId: 'nope', audienceId: 'gone' }), [
      '/templateId',
      '/audienceId'
    ])
    await refused(campaigns.patch(id, { audienceId: 'gone' }), ['/audienceId'])
    await refused(campaigns.patch(id, { templateId: 'nope' }), ['/templateId'])
    const other = await account()
    await db.collection('templates').deleteOne({ accountId: other.id })
    await refused(campaigns.patch(id, { accountId: other.id }), ['/templateId'])
    t.match(await campaigns.get(id), { templateId: 'T', audienceId: audience.id, rev: 1 })
    await campaigns.rows.updateOne({ _id: id }, { $set: { audienceId: 'gone' } })
    t.match(await campaigns.patch(id, { name: 'x' }), { name: 'x' }, 'what is not named anew is not asked for')
  })

  t.test('that cannot work is refused with every problem, and stays a draft', async (t) => {
    const { campaigns, id, accounts, accountId, clock, wanted } = await arranged(store, t, 1)
    t.match(await campaigns.check(id), { ready: true, problems: [], forecast: { matched: 1, reachableNow: 0 } })
    await t.rejects(campaigns.create({ ...wanted, open: { url: 'https://a.cn' } }), {
      errors: [{ pointer: '/open/url' }]
    })
    await t.rejects(campaigns.create({ ...wanted, accountId: 'wx0000000000000000' }), { code: 'accounts.not-found' })
    const past = new Date(clock.now().getTime() - 61 * 60_000)
    await campaigns.rows.updateOne({ _id: id }, { $set: { audienceId: 'gone' } })
    await campaigns.patch(id, {
      trigger: { kind: 'once', at: past, zone: 'Asia/Shanghai' },
      content: { thing1: '{{ user.name', amount2: 'viel', extra3: 'x' },
      open: { page: 'a?b={{ nobody.x }}' }
    })
    await accounts.settle(accountId, { state: 'disabled', disabledReason: 'wrong secret', functions: {} })
    const { problems, ready } = await campaigns.check(id)
    t.equal(ready, false)
    t.same(problems.map(({ code }) => code).sort(), [
      'accounts.disabled',
      'audiences.not-found',
      'content.amount',
      'content.liquid',
      'content.unknown-field',
      'content.unknown-variable',
      'trigger.past'
    ])
    await t.rejects(campaigns.activate(id), { code: 'campaigns.not-ready', errors: problems })
    t.match(await campaigns.get(id), { state: 'draft' })
    await campaigns.rows.updateOne({ _id: id }, { $set: { audienceId: null, templateId: 'nope' } })
    const codes = (await campaigns.check(id)).problems.map(({ code }) => code)
    t.ok(codes.includes('audiences.needed'))
    t.ok(codes.includes('templates.missing'))
  })
})

t.test('a run', async (t) => {
  t.test('starts at its time, gives each person one row, and ends its campaign', async (t) => {
    const arrangement = await arranged(store, t, 3)
    const { campaigns, clock, id, people, rows, messages, crowd, at } = arrangement
    const stranger = await people.identify({ externalId: 's', attributes: { name: '客' } })
    const nameless = await people.identify({ externalId: 'n' })
    await people.recipient(arrangement.accountId, 'open-x')
    await campaigns.activate(id)
    clock.set(new Date(at.getTime() - 1))
    await campaigns.tick()
    t.equal((await campaigns.get(id)).runId, null)
    clock.set(at)
    await campaigns.tick()
    await work(arrangement)
    const all = await rows()
    t.equal(all.length, 6)
    const of = (personId: string) => all.find((row) => row.personId === personId)
    t.match(of(crowd[1]!.personId), {
      state: 'planned',
      recipientId: crowd[1]!.id,
      data: { thing1: { value: '人1的订单' }, amount2: { value: '9' } },
      channel: 'subscribe',
      notAfter: new Date(at.getTime() + 86_400_000).toISOString()
    })
    t.match(of(stranger.id), { state: 'skipped', reason: 'notInAccount', recipientId: null })
    t.match(of(nameless.id), { state: 'skipped', reason: 'notInAccount' })
    t.equal(all.filter((row) => row.reason === 'missingVariable').length, 1)
    const { runId } = await campaigns.get(id)
    t.match(await messages.runs.get(runId!), { state: 'sending', instant: at.toISOString(), campaignId: id })

    await messages.runs.rows.updateOne({ _id: runId! }, { $set: { state: 'finished' } })
    await campaigns.tick()
    t.match(await campaigns.get(id), { state: 'finished', stateReason: null })
  })

  t.test('that is due starts with the activation', async (t) => {
    const { campaigns, id, rows, clock } = await arranged(store, t, 2)
    const late = new Date(clock.now().getTime() - 59 * 60_000)
    await campaigns.patch(id, { trigger: { kind: 'once', at: late, zone: 'Asia/Shanghai' } })
    t.match(await campaigns.check(id), { ready: true, warnings: [{ code: 'trigger.late' }] })
    await campaigns.activate(id)
    t.equal((await rows()).length, 2, 'rows are there before anybody waited')
  })

  t.test('nobody was there for is missed, once and for all', async (t) => {
    const { campaigns, id, rows, clock, at, messages } = await arranged(store, t, 2, {
      missed: { lateWithinMs: 600_000 }
    })
    await campaigns.activate(id)
    clock.set(new Date(at.getTime() + 601_000))
    await campaigns.tick()
    t.same(await rows(), [])
    t.match(await campaigns.get(id), { state: 'finished', stateReason: 'missed' })
    t.match(await messages.runs.ofCampaign(id), [{ state: 'missed', instant: at.toISOString() }])
  })

  t.test('is one, whatever two schedulers and two expanders do at once', async (t) => {
    const arrangement = await arranged(store, t, 30)
    const { campaigns, clock, id, at, rows, messages, start } = arrangement
    await campaigns.activate(id)
    clock.set(at)
    const rivals = [campaigns, start().campaigns, start().campaigns]
    await Promise.all(rivals.map((each) => each.tick()))
    const { runId } = await campaigns.get(id)
    await Promise.all(rivals.map((each) => each.expand(runId!)))
    await work(arrangement)
    t.equal((await messages.runs.ofCampaign(id)).length, 1)
    const all = await rows()
    t.equal(all.length, 30)
    t.equal(new Set(all.map((row) => row.recipientId)).size, 30)
  })

  t.test('goes on where it was after a crash between the rows and the cursor', async (t) => {
    const { campaigns, clock, id, at, messages, start } = await arranged(store, t, 2_300)
    await campaigns.activate(id)
    clock.set(at)
    const { checkpoint } = messages.runs
    const cursors: string[] = []
    messages.runs.checkpoint = async (runId, moved) => {
      if (cursors.length === 1) throw new Error('killed')
      cursors.push(moved.to!)
      return checkpoint(runId, moved)
    }
    await campaigns.tick()
    const { runId } = await campaigns.get(id)
    await t.rejects(campaigns.expand(runId!), { message: 'killed' })
    t.ok((await messages.rows.countDocuments()) >= 2_000, 'the second thousand is there, its cursor is not')
    t.equal((await messages.runs.get(runId!))!.cursor, cursors[0])
    await start().campaigns.expand(runId!)
    t.equal(await messages.rows.countDocuments(), 2_300)
    t.equal((await messages.rows.distinct('recipientId', {})).length, 2_300)
    t.match(await messages.runs.get(runId!), { state: 'sending' })
  })

  t.test('is opened again after a crash at any point of its opening', async (t) => {
    for (const point of ['before the job', 'before the mark'] as const) {
      const arrangement = await arranged(store, t, 2)
      const { campaigns, clock, id, at, messages, jobs, start, rows } = arrangement
      await campaigns.activate(id)
      clock.set(at)
      if (point === 'before the job') jobs.now = () => Promise.reject(new Error('killed'))
      else {
        const { open } = messages.runs
        messages.runs.open = async (run) => {
          await open.call(messages.runs, run)
          throw new Error('killed')
        }
      }
      await campaigns.tick()
      t.match(await campaigns.get(id), { runId: null, nextAt: at.toISOString() }, point)
      const next = start()
      await next.campaigns.tick()
      await work({ db: arrangement.db, jobs: next.jobs })
      t.equal((await messages.runs.ofCampaign(id)).length, 1, point)
      t.equal((await rows()).length, 2, point)
    }
  })

  t.test('stands still while paused, keeps its content, and goes on', async (t) => {
    const { campaigns, clock, id, at, messages, rows, db, jobs } = await arranged(store, t, 1_500)
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick() // the first thousand, in process
    t.equal(await messages.rows.countDocuments(), 1_000)
    await campaigns.pause(id, 'enough')
    await work({ db, jobs })
    t.equal(await messages.rows.countDocuments(), 1_000)
    const { runId } = await campaigns.get(id)
    t.match(await messages.runs.get(runId!), { paused: true, heldReason: 'enough', state: 'expanding' })
    await campaigns.patch(id, { content: { thing1: 'neu', amount2: '1' } })
    const later: Trigger = { kind: 'once', at: new Date(at.getTime() + 1), zone: 'Asia/Shanghai' }
    await t.rejects(campaigns.patch(id, { trigger: later }), { code: 'campaigns.trigger-fixed' })
    await campaigns.resume(id)
    await work({ db, jobs })
    t.equal(await messages.rows.countDocuments(), 1_500)
    t.match(await messages.runs.get(runId!), { paused: false, state: 'sending' })
    t.equal(await messages.rows.countDocuments({ 'data.thing1.value': '众人的订单' }), 1_500)
    t.equal((await rows({ runId: { $ne: runId } })).length, 0)
  })

  t.test('ends with its campaign cancelled, rows and all', async (t) => {
    const { campaigns, clock, id, at, messages, db, jobs } = await arranged(store, t, 1_100)
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick()
    await campaigns.cancel(id)
    await work({ db, jobs })
    t.equal(await messages.rows.countDocuments({ state: 'skipped', reason: 'cancelled' }), 1_000)
    t.equal(await messages.rows.countDocuments(), 1_000)
    t.match(await messages.runs.ofCampaign(id), [{ state: 'cancelled' }])
  })

  t.test('of a campaign resumed by a process that died half-way is let go by the next', async (t) => {
    const { campaigns, clock, id, at, messages, start } = await arranged(store, t, 2)
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick()
    await campaigns.pause(id)
    const { setPaused } = messages.runs
    messages.runs.setPaused = () => Promise.reject(new Error('killed'))
    await t.rejects(campaigns.resume(id), { message: 'killed' })
    messages.runs.setPaused = setPaused
    t.match(await messages.runs.ofCampaign(id), [{ paused: true }])
    await start().campaigns.tick()
    t.match(await messages.runs.ofCampaign(id), [{ paused: false }])
  })

  t.test('stops before anybody is written to when a variable is missing and the campaign says so', async (t) => {
    const { campaigns, clock, id, at, rows, crowd, people } = await arranged(store, t, 3, { missingVariable: 'stop' })
    await people.patch(crowd[1]!.personId, { attributes: { name: null } })
    await campaigns.activate(id)
    clock.set(at)
    await campaigns.tick()
    t.match(await campaigns.get(id), { state: 'paused', stateReason: /^missingVariable thing1: user.name/ })
    t.same(await rows(), [])
    await people.patch(crowd[1]!.personId, { attributes: { name: '有名' } })
    await campaigns.resume(id)
    const { runId } = await campaigns.get(id)
    await campaigns.expand(runId!)
    t.equal((await rows({ state: 'planned' })).length, 3)
  })

  t.test('keeps the audience it started with', async (t) => {
    const { campaigns, clock, id, at, rows, audiences, audience, db, jobs } = await arranged(store, t, 2)
    await campaigns.activate(id)
    clock.set(at)
    jobs.running = () => true // as where jobs run: nothing is expanded in process
    await campaigns.tick()
    await audiences.patch(audience.id, { personIds: [] })
    await work({ db, jobs })
    t.equal((await rows()).length, 2)
  })

  t.test('of an audience that is gone pauses its campaign', async (t) => {
    const { campaigns, clock, id, at, audiences, audience } = await arranged(store, t, 2)
    await campaigns.activate(id)
    await audiences.rows.deleteOne({ _id: audience.id })
    clock.set(at)
    await campaigns.tick()
    t.match(await campaigns.get(id), { state: 'paused', stateReason: 'audienceMissing' })
  })
})
