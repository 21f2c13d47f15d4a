import t from 'tap'
import { createOpens } from '../../../server/opens/opens.js'
import { createTags } from '../../../server/opens/tags.js'
import type { PhoneCaller } from '../../../server/platform/auth.js'
import { brokenInvariants, buildLedger, closeTestStore, type Ledger } from '../../support/ledger.js'

t.teardown(closeTestStore)

const phoneOf = (who: { id: string; accountId: string; personId: string }): PhoneCaller => ({
  kind: 'phone',
  accountId: who.accountId,
  recipientId: who.id,
  personId: who.personId
})

/** A run of one message each to some people of the mini-program, all accepted; the messages' ids. */
async function ran(ledger: Ledger, names: string[]) {
  const people = []
  const ids = []
  await ledger.messages.runs.open({
    id: 'run1',
    campaignId: 'c1',
    accountId: ledger.account.id,
    templateId: 'T',
    lane: 'bulk',
    instant: ledger.clock.now(),
    notAfter: new Date(ledger.clock.now().getTime() + 86_400_000),
    snapshot: {}
  })
  for (const name of names) {
    const who = await ledger.recipient(name)
    await ledger.form(who.id)
    const more = { runId: 'run1', campaignId: 'c1', lane: 'bulk' as const, open: { page: 'pages/a?x=1' } }
    ids.push(await ledger.plan(who, more))
    people.push(who)
  }
  await ledger.messages.runs.checkpoint('run1', { from: null, to: null, born: 0, again: false })
  await ledger.settle()
  return { people, ids, opens: createOpens(ledger) }
}
const tell = (ledger: Ledger, id: string, at = ledger.clock.now()) => ({
  id: 'o',
  tag: ledger.messages.tags.tagOf(id),
  at
})
const counts = (ledger: Ledger) => ledger.messages.runs.counts('run1')

t.test('what a message opens', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  const fan = await ledger.recipient('fan', ledger.service)
  await ledger.form(ann.id)
  await ledger.form(ann.id)
  const { tagOf, idOf } = ledger.messages.tags

  await t.test('carries its tag: a page in its query, a url by the way through this server', async (t) => {
    const page = await ledger.plan(ann, { open: { page: 'pages/a' } })
    const asked = await ledger.plan(ann, { open: { page: 'pages/a?x=1' } })
    const link = await ledger.plan(fan, {
      accountId: ledger.service.id,
      open: { miniprogram: { appId: ledger.account.appId, page: 'pages/b' }, url: 'https://shop.test/x?y=1#z' }
    })
    await ledger.settle()
    const sent = new Map(ledger.sent.map((each) => [each.page ?? each.url, each]))
    t.ok(sent.has(`pages/a?hytag=${tagOf(page)}`))
    t.ok(sent.has(`pages/a?x=1&hytag=${tagOf(asked)}`))
    t.match(sent.get(`https://hongyan.test/o/${tagOf(link)}`), {
      miniprogram: { appId: ledger.account.appId, page: `pages/b?hytag=${tagOf(link)}` }
    })
    t.match((await ledger.row(link)).open, { url: 'https://shop.test/x?y=1#z' }, 'the row keeps where it leads')
  })

  await t.test('is tagged by us alone', async (t) => {
    const tag = tagOf('m1')
    t.equal(idOf(tag), 'm1')
    const forged = [
      tag.replace('m1', 'm2'),
      `${tag.slice(0, -1)}${tag.endsWith('A') ? 'B' : 'A'}`,
      'm1',
      'm1.',
      '',
      '.'
    ]
    for (const each of [...forged, `${tag}x`, `${tag}.`]) t.equal(idOf(each), null, each)
  })

  await t.test('goes out as it is where nothing would lead back here', async (t) => {
    const open = { url: 'https://shop.test/' }
    const lead = (publicUrl: string | undefined, mode: 'live' | 'sandbox', url = open.url) =>
      createTags({ sealer: ledger.sealer, publicUrl }).lead({ _id: 'm', open: { url } }, mode).url
    t.equal(lead('http://127.0.0.1:3000', 'live'), open.url)
    t.equal(lead(undefined, 'sandbox'), open.url)
    t.match(lead('http://127.0.0.1:3000', 'sandbox'), /^http:\/\/127\.0\.0\.1:3000\/o\/m\./)
    t.equal(lead('https://hongyan.test', 'live', 'weixin://dl/business'), 'weixin://dl/business')
  })
})

t.test('an open', async (t) => {
  t.test('told twice counts once, moves no state, and is exact after the run is over', async (t) => {
    const ledger = await buildLedger(t)
    const { people, ids, opens } = await ran(ledger, ['ann', 'ben', 'cat'])
    t.match(await ledger.messages.runs.get('run1'), { state: 'finished' })
    t.same(await counts(ledger), { total: 3, byState: { accepted: 3 }, byReason: {}, opened: 0 })
    const at = new Date(ledger.clock.now().getTime() + 1_000)
    ledger.clock.advance(5_000)
    await opens.report(phoneOf(people[0]!), [tell(ledger, ids[0]!, at), tell(ledger, ids[0]!)])
    await opens.report(phoneOf(people[0]!), [tell(ledger, ids[0]!)])
    await opens.report(phoneOf(people[1]!), [tell(ledger, ids[1]!)])
    await ledger.settle()
    await opens.report(phoneOf(people[0]!), [tell(ledger, ids[0]!)])
    await ledger.settle()
    t.same(await counts(ledger), { total: 3, byState: { accepted: 3 }, byReason: {}, opened: 2 })
    t.match(await ledger.row(ids[0]!), { state: 'accepted', todo: false })
    t.same((await ledger.row(ids[0]!)).openedAt, at)
    t.equal((await ledger.row(ids[2]!)).openedAt, undefined)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('told by two at once, each of whom read the row before, is what the first wrote', async (t) => {
    const ledger = await buildLedger(t)
    const { ids } = await ran(ledger, ['ann'])
    const row = await ledger.row(ids[0]!)
    const at = ledger.clock.now()
    await ledger.messages.opened([{ row, at }])
    await ledger.settle()
    ledger.clock.advance(60_000)
    await ledger.messages.opened([{ row, at: ledger.clock.now() }])
    await ledger.settle()
    t.same((await ledger.row(ids[0]!)).openedAt, at)
    t.equal((await counts(ledger)).opened, 1)
  })

  t.test('is at the earliest when it was sent, at the latest now', async (t) => {
    const ledger = await buildLedger(t)
    const { people, ids, opens } = await ran(ledger, ['ann', 'ben'])
    const sentAt = (await ledger.row(ids[0]!)).sentAt
    ledger.clock.advance(60_000)
    await opens.report(phoneOf(people[0]!), [tell(ledger, ids[0]!, new Date(0))])
    await opens.report(phoneOf(people[1]!), [tell(ledger, ids[1]!, new Date('2999-01-01'))])
    t.same((await ledger.row(ids[0]!)).openedAt, sentAt)
    t.same((await ledger.row(ids[1]!)).openedAt, ledger.clock.now())
  })

  t.test('of a page that was passed on to a friend, or by a forged tag, counts for nothing', async (t) => {
    const ledger = await buildLedger(t)
    const { people, ids, opens } = await ran(ledger, ['ann', 'ben'])
    await opens.report(phoneOf(people[1]!), [tell(ledger, ids[0]!)])
    await opens.report(phoneOf(people[0]!), [
      { id: 'o', tag: `${ids[0]}.AAAAAAAA`, at: ledger.clock.now() },
      { id: 'p', tag: 'nonsense', at: ledger.clock.now() }
    ])
    const stranger = await ledger.recipient('fan', ledger.service)
    await opens.report(phoneOf(stranger), [tell(ledger, ids[0]!)])
    await ledger.settle()
    t.equal((await counts(ledger)).opened, 0)
    t.equal((await ledger.row(ids[0]!)).openedAt, undefined)
  })

  t.test("of a service account's message is told by the mini-program it led to, and by no other", async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    const ann = await ledger.recipient('ann')
    const opens = createOpens(ledger)
    const more = (appId: string) => ({ accountId: ledger.service.id, open: { miniprogram: { appId, page: 'p' } } })
    const [here, elsewhere] = [await ledger.plan(fan, more(ledger.account.appId)), await ledger.plan(fan, more('wx0'))]
    await ledger.settle()
    await opens.report(phoneOf(ann), [tell(ledger, here), tell(ledger, elsewhere)])
    t.ok((await ledger.row(here)).openedAt)
    t.equal((await ledger.row(elsewhere)).openedAt, undefined)
  })

  t.test('is counted once though the follower dies after the counters, and again before the rows', async (t) => {
    const ledger = await buildLedger(t)
    const { people, ids, opens } = await ran(ledger, ['ann'])
    await opens.report(phoneOf(people[0]!), [tell(ledger, ids[0]!)])
    const { rows, follower } = ledger.messages
    const write = rows.bulkWrite.bind(rows)
    for (let deaths = 0; deaths < 2; deaths++) {
      rows.bulkWrite = () => Promise.reject(new Error('killed'))
      await t.rejects(follower.drain(ledger.account.id), { message: 'killed' })
    }
    rows.bulkWrite = write
    await follower.drain(ledger.account.id)
    t.equal((await counts(ledger)).opened, 1)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('that comes while the row is being counted is counted by the next batch', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const { opens } = await ran(ledger, ['ben'])
    await ledger.form(ann.id)
    const id = await ledger.plan(ann, { runId: 'run1', campaignId: 'c1', open: { page: 'p' } })
    await ledger.messages.pumps.drain(ledger.account.id)
    const { counters } = ledger.messages
    const add = counters.updateOne.bind(counters)
    let told = false
    counters.updateOne = async (...args: Parameters<typeof add>) => {
      if (!told) await opens.report(phoneOf(ann), [tell(ledger, id)])
      told = true
      return add(...args)
    }
    await ledger.messages.follower.drain(ledger.account.id)
    counters.updateOne = add
    t.equal((await counts(ledger)).opened, 1)
    t.match(await ledger.row(id), { openCounted: true, todo: false, counted: 'accepted' })
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('of a test is on the message and in no counter', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const id = await ledger.plan(ann, { test: true, campaignId: 'c1', open: { page: 'p' } })
    await ledger.settle()
    await createOpens(ledger).report(phoneOf(ann), [tell(ledger, id)])
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted', openedAt: ledger.clock.now().toISOString(), todo: false })
    t.equal(await ledger.messages.counters.countDocuments({}), 0)
    t.same(await brokenInvariants(ledger), [])
  })
})
