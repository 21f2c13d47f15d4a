import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

t.test('two persons who turn out to be one keep what both had', async (t) => {
  const { app, rooms, clock, db, key, account } = await buildTestApp(t, { now: '2090-03-02T04:00:00Z' })
  const { people, audiences, credentials, events, messages } = rooms
  const [mini, shop] = [await account(), await account()]
  const machine = await key(['people:read', 'people:write', 'audiences:write', 'messages:read', 'accounts:read'])
  const old = await people.recipient(mini.id, 'oOld')
  clock.advance(1_000)
  const young = await people.recipient(shop.id, 'oYoung')
  await people.patch(old.personId, { attributes: { city: '上海', both: 'old' }, tags: { a: true } })
  clock.advance(1_000)
  await people.patch(young.personId, { attributes: { age: 3, both: 'young' }, tags: { b: 'x' } })
  await people.optOut(old.personId, '促销', 'phone')
  await people.optOut(young.personId, '活动', 'phone')
  await people.setReach(young.id, 'blocked', clock.now())
  const form = (accountId: typeof mini, recipientId: string, value: string) =>
    credentials.keep(accountId, [
      { id: value, recipientId, source: 'form', value: value.padEnd(32, 'f'), caughtAt: clock.now() }
    ])
  await form(mini, old.id, 'f1')
  await form(shop, young.id, 'f2')
  for (const [id, who] of Object.entries({ e1: old, e2: young })) {
    await events.intake({ kind: 'key', id: 'k' }, who.accountId, [
      { id, name: 'bought', at: clock.now(), properties: {}, personId: who.personId, recipientId: who.id }
    ])
    await messages.plan([
      {
        id: `m-${id}`,
        accountId: who.accountId,
        recipientId: who.id,
        personId: who.personId,
        runId: null,
        campaignId: null,
        lane: 'bulk',
        channel: 'legacy',
        templateId: 'T',
        data: {},
        open: null,
        dueAt: new Date('2090-04-01'),
        notAfter: new Date('2090-04-02'),
        waitForCredential: false
      }
    ])
  }
  await people.identify({ externalId: 'kOld', accountId: mini.id, openId: 'oOld' })
  await people.identify({ externalId: 'kYoung', accountId: shop.id, openId: 'oYoung' })
  const posted = await audiences.create({ name: 'posted', personIds: [young.personId] })
  const imported = await audiences.create({ name: 'imported', personIds: [] })
  const file = Buffer.from('externalId,unionId\nkYoung,\n')
  const send = async (payload: Buffer, query = '') => {
    const headers = { ...machine, 'content-type': 'text/csv' }
    const answer = await app.inject({ method: 'POST', url: `/v1/people/import${query}`, headers, payload })
    await rooms.jobs.run('people.import', { id: answer.json().id })
    return rooms.operations.get(answer.json().id)
  }
  t.match(await send(file, `?audienceId=${imported.id}`), { result: { joined: 1 } })
  // one line of a file says that they are one
  t.match(await send(Buffer.from('externalId,unionId\nkOld,u\nkYoung,u\n')), { state: 'done', result: { failed: 0 } })

  const one = await people.person(young.personId)
  t.equal(one.id, old.personId, 'the older stays')

  t.test('attributes and tags: of each the newer', async (t) => {
    t.match(one, { attributes: { city: '上海', age: 3, both: 'young' }, tags: { a: true, b: 'x' } })
    t.same([...one.accountIds].sort(), [mini.id, shop.id].sort())
  })
  t.test('keys: each leads to them', async (t) => {
    for (const to of [
      { externalId: 'kOld' },
      { externalId: 'kYoung' },
      { unionId: 'u' },
      { personId: young.personId }
    ]) {
      t.equal((await people.find(to))?.id, one.id)
    }
  })
  t.test('rights: each account may use its own', async (t) => {
    for (const [where, who] of [
      [mini, old],
      [shop, young]
    ] as const) {
      const recipient = (await people.recipientsOf(where.id, [one.id])).get(one.id)!
      t.equal(recipient.id, who.id)
      t.equal((await credentials.sendsLeft(where.id, recipient.id)).form, 1)
    }
    t.match([...(await people.byIds([young.id])).values()], [{ reach: 'blocked' }])
  })
  t.test('opt-outs: what either did not want', async (t) => {
    t.same([...one.topics].sort(), ['促销', '活动'].sort())
    for (const id of [old.personId, young.personId]) {
      for (const topic of ['促销', '活动']) t.ok((await people.optedOut([id], topic)).has(id))
    }
    t.equal(await db.collection('optOuts').countDocuments({ personId: one.id }), 2)
  })
  t.test('history: of both', async (t) => {
    const url = `/v1/people/${one.id}/timeline?limit=100`
    const { data } = (await app.inject({ method: 'GET', url, headers: machine })).json()
    const of = (kind: string) => data.filter((each: any) => each.kind === kind).length
    t.same([of('event'), of('message'), of('credential'), of('optOut'), of('reach')], [2, 2, 2, 2, 1])
    const source = { rule: { did: 'bought', atLeast: 2 } }
    t.ok(await audiences.matches(source, mini, one.id), 'what both did counts together')
  })
  t.test('memberships: lists that held either hold them', async (t) => {
    for (const { id } of [posted, imported]) {
      const source = await audiences.sourceOf(id)
      t.ok(await audiences.matches(source, mini, one.id))
      t.same(
        (await audiences.stream(source, mini, { after: null })).persons.map(({ id }) => id),
        [one.id]
      )
      t.match(await audiences.preview(mini, source), { count: 1 })
    }
    t.match(await send(file, `?audienceId=${posted.id}`), { state: 'done' })
    const both = await audiences.sourceOf(posted.id)
    t.match(await audiences.preview(mini, both), { count: 1 }, 'under two ids they are in it once')
    const ids: string[] = []
    for (let after: string | null = null; ;) {
      const part: Awaited<ReturnType<typeof audiences.stream>> = await audiences.stream(both, mini, { after, limit: 1 })
      ids.push(...part.persons.map(({ id }) => id))
      if ((after = part.next) === null) break
    }
    t.same(ids, [one.id], 'read one by one as well')
  })
})
