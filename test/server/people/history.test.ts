import t, { type Test } from 'tap'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'

async function stage(t: Test) {
  const server = await buildTestApp(t, { now: '2090-03-02T04:00:00Z' }) // noon in Shanghai, far from any expiry sweep
  const { app, rooms, db, clock, key } = server
  const machine = await key(['people:read', 'people:write'])
  const get = async (url: string, headers: object = machine) => {
    const answer = await app.inject({ method: 'GET', url, headers: headers as never })
    return answer.json()
  }
  async function template(accountId: string, kind: 'legacy' | 'subscribe' | 'service' = 'legacy', templateId = 'T') {
    await templateModels(db).rows.insertOne({
      _id: `${accountId}:${templateId}`,
      accountId,
      templateId,
      kind,
      title: '通知',
      fields: [{ key: 'thing1', name: '商品', type: 'thing' }],
      content: '',
      example: '',
      grantType: kind === 'subscribe' ? 'once' : null,
      choices: {},
      state: 'live',
      syncedAt: clock.now(),
      deletedAt: null
    })
  }
  const form = async (accountId: string, recipientId: string, value: string) =>
    rooms.credentials.keep(await rooms.accounts.get(accountId), [
      { id: value, recipientId, source: 'form', value: `${value}-`.padEnd(32, 'f'), caughtAt: clock.now() }
    ])
  const plan = (id: string, accountId: string, recipientId: string, personId: string, more: object = {}) =>
    rooms.messages.plan([
      {
        id,
        accountId,
        recipientId,
        personId,
        runId: null,
        campaignId: null,
        lane: 'bulk',
        channel: 'legacy',
        templateId: 'T',
        data: { thing1: { value: 'x' } },
        open: null,
        dueAt: clock.now(),
        notAfter: new Date(clock.now().getTime() + 3_600_000),
        waitForCredential: false,
        ...more
      }
    ])
  return { ...server, machine, get, template, form, plan }
}

t.test('a timeline', async (t) => {
  const { rooms, clock, db, key, account, get, form, plan } = await stage(t)
  const { people, events, messages } = rooms
  const mini = await account()
  const other = await account()
  const ann = await people.recipient(mini.id, 'oAnn')
  const there = await people.recipient(other.id, 'oAnnThere')
  const minute = () => clock.advance(60_000)
  const did = (accountId: string | null, id: string, name: string, personId: string, properties = {}) =>
    events.intake({ kind: 'key', id: 'k' }, accountId, [
      { id, name, at: clock.now(), properties, personId, recipientId: null }
    ])
  await did(mini.id, 'e1', 'order_placed', ann.personId, { amount: 3 })
  minute()
  await did(null, 'e2', 'visited', ann.personId)
  await did(mini.id, 'e3', '$push:subscribe', ann.personId, { createTime: 1, sealed: 'secret' })
  await did(mini.id, 'e4', '$push:templatesendjobfinish', ann.personId)
  minute()
  await form(mini.id, ann.id, 'f1')
  minute()
  await plan('m1', mini.id, ann.id, ann.personId)
  await db
    .collection('messages')
    .updateOne({ _id: 'm1' as never }, { $set: { state: 'accepted', sentAt: clock.now() } })
  minute()
  await messages.opened([{ row: (await messages.get('m1'))!, at: clock.now() }] as never)
  minute()
  await did(other.id, 'e5', 'elsewhere', there.personId)
  minute()
  await people.optOut(ann.personId, '促销', 'phone')
  await people.setReach(ann.id, 'blocked', clock.now())
  // two halves of one human: what either did is told of both
  await people.recipients(mini.id, [{ openId: 'oAnn', unionId: 'u' }])
  await people.recipients(other.id, [{ openId: 'oAnnThere', unionId: 'u' }])
  clock.advance(8 * 86_400_000)
  const line = (entry: any) => [
    entry.kind,
    entry.what ?? entry.name ?? entry.state ?? entry.reach ?? entry.topic ?? entry.messageId
  ]
  const whole = [
    ['credential', 'expired'],
    ['reach', 'blocked'],
    ['optOut', '促销'],
    ['event', 'elsewhere'],
    ['open', 'm1'],
    ['message', 'accepted'],
    ['credential', 'captured'],
    ['event', '$push:subscribe'],
    ['event', 'visited'],
    ['event', 'order_placed']
  ]
  const sorted = (lines: unknown[]) => lines.map((each) => JSON.stringify(each)).sort()

  t.test('tells what happened and what they did, newest first', async (t) => {
    for (const id of [ann.personId, there.personId]) {
      const { data, page } = await get(`/v1/people/${id}/timeline?limit=100`)
      t.same(sorted(data.map(line)), sorted(whole))
      t.same(
        data.map((each: any) => each.at),
        data
          .map((each: any) => each.at)
          .sort()
          .reverse()
      )
      t.equal(page.nextCursor, null)
    }
    const reader = await key(['messages:read'])
    for (const id of [ann.personId, there.personId]) {
      const { data } = await get(`/v1/messages?personId=${id}`, reader)
      t.match(data, [{ id: 'm1' }], 'a message is found by either id')
      t.equal(data.length, 1)
    }
    const { data } = await get(`/v1/people/${ann.personId}/timeline?limit=100`)
    t.match(
      data.find((each: any) => each.kind === 'message'),
      { messageId: 'm1', accountId: mini.id, lane: 'bulk', sentAt: String }
    )
    t.match(
      data.find((each: any) => each.name === 'order_placed'),
      { properties: { amount: 3 }, accountId: mini.id }
    )
    t.notMatch(JSON.stringify(data), /secret|oAnn/)
  })

  t.test('page by page it is the same, also where many things happened at once', async (t) => {
    const at = clock.now()
    for (let i = 0; i < 7; i++) {
      await did(mini.id, `same${i}`, 'same', ann.personId)
      await plan(`same${i}`, mini.id, ann.id, ann.personId)
    }
    t.equal(clock.now().getTime(), at.getTime())
    const { data: all } = await get(`/v1/people/${ann.personId}/timeline?limit=100`)
    t.equal(all.length, whole.length + 14)
    for (const limit of [1, 3, 8]) {
      const found: unknown[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const { data, page }: any = await get(
          `/v1/people/${ann.personId}/timeline?limit=${limit}${cursor && `&cursor=${cursor}`}`
        )
        found.push(...data)
        cursor = page.nextCursor
      }
      t.same(found, all, `${limit} at a time`)
    }
    for (const cursor of [
      'x',
      Buffer.from('["a",1]').toString('base64url'),
      Buffer.from('[1e99,"a"]').toString('base64url')
    ]) {
      t.match(await get(`/v1/people/${ann.personId}/timeline?cursor=${cursor}`), {
        status: 422,
        errors: [{ code: 'cursor.invalid' }]
      })
    }
  })

  t.test('shows each caller only their accounts, and openids to those who may have them', async (t) => {
    const bound = await key(['people:read'], [other.id])
    const { data } = await get(`/v1/people/${ann.personId}/timeline?limit=100`, bound)
    t.same(
      sorted(data.map(line)),
      sorted([
        ['event', 'elsewhere'],
        ['optOut', '促销']
      ])
    )
    const knowing = await key(['people:read', 'recipients:identify'])
    const shown = (await get(`/v1/people/${ann.personId}/timeline?limit=100`, knowing)).data
    t.ok(shown.filter((each: any) => each.recipientId === ann.id).every((each: any) => each.openId === 'oAnn'))
    t.ok(shown.some((each: any) => each.openId === 'oAnn'))
    const stranger = await key(['people:read'], [(await account()).id])
    t.match(await get(`/v1/people/${ann.personId}/timeline`, stranger), { status: 404 })
    t.match(await get(`/v1/people/nobody/timeline`), { status: 404 })
    t.match(await get(`/v1/people/${ann.personId}/timeline`, await key(['messages:read'])), { status: 403 })
  })
})

t.test('why somebody gets no message', async (t) => {
  const { rooms, clock, db, key, account, get, form, plan, template } = await stage(t)
  const { people, audiences, campaigns } = rooms
  const mini = await account({ kind: 'miniprogram' })
  await template(mini.id)
  const ann = await people.recipient(mini.id, 'oAnn')
  const why = (query = `accountId=${mini.appId}&templateId=T`, id = ann.personId): Promise<any> =>
    get(`/v1/people/${id}/why-not?${query}`)
  const shut = async (query?: string, id?: string) =>
    (await why(query, id)).filter((each: any) => !each.pass).map((each: any) => each.gate)

  t.test('nothing but a right', async (t) => {
    const gates = await why()
    t.same(
      gates.map((each: any) => each.gate),
      [
        'recipient',
        'template',
        'optedOut',
        'suppressed',
        'account',
        'breaker',
        'quietHours',
        'credential',
        'cap',
        'interface'
      ]
    )
    t.match(
      gates.find((each: any) => !each.pass),
      { gate: 'credential', detail: 'no right to send that fits' }
    )
    await form(mini.id, ann.id, 'f1')
    t.same(await shut(), [])
    t.match((await why())[7], { gate: 'credential', pass: true, detail: /^form \S+, until 2090-03-09T04:00:00.000Z$/ })
  })

  t.test('each gate is told, and only it', async (t) => {
    const set = (change: object) => db.collection('accounts').updateOne({ _id: mini.id as never }, { $set: change })
    const { pause, resume } = { pause: () => set({ paused: true }), resume: () => set({ paused: false }) }
    type Case = [
      name: string,
      break_: () => unknown,
      mend: () => unknown,
      gates: string[],
      detail?: RegExp,
      query?: string
    ]
    const table: Case[] = [
      [
        'wants nothing',
        () => people.optOut(ann.personId, null, 'phone'),
        () => people.optIn(ann.personId, null),
        ['optedOut'],
        /wants no messages/
      ],
      [
        'has blocked',
        () => people.setReach(ann.id, 'blocked', clock.now()),
        () => people.lift(ann.id),
        ['suppressed'],
        /blocked since 2090/
      ],
      ['paused', pause, resume, ['account'], /paused/],
      [
        'disabled',
        () => set({ state: 'disabled', disabledReason: 'no secret' }),
        () => set({ state: 'ready', disabledReason: null }),
        ['account'],
        /no secret/
      ],
      [
        'quiet hours',
        () => set({ quietHours: { from: '11:00', to: '14:00', dying: 'send' } }),
        () => set({ quietHours: null }),
        ['quietHours'],
        /until 2090-03-02T06:00/
      ],
      [
        'interface',
        () => set({ 'blocked.legacy': { until: new Date('2090-03-03'), errcode: 45009 } }),
        () => set({ blocked: {} }),
        ['interface'],
        /until 2090-03-03/
      ],
      [
        'reserve',
        () => set({ reserveForTransactional: 1 }),
        () => set({ reserveForTransactional: 0 }),
        ['credential'],
        /1 kept/
      ],
      [
        'penalty',
        () =>
          set({ penalty: { offences: 2, blockedUntil: new Date('2090-03-05'), api: 'legacy', note: 'told by mail' } }),
        () => set({ penalty: null }),
        ['interface'],
        /until 2090-03-05.*told by mail/
      ],
      [
        'breaker',
        () =>
          db.collection('breakers').insertOne({
            _id: 'b' as never,
            accountId: mini.id,
            templateId: null,
            state: 'open',
            until: new Date('2090-03-05'),
            strict: true
          }),
        () => db.collection('breakers').deleteMany({}),
        ['breaker'],
        /b is open/
      ],
      [
        'source off',
        () => set({ sources: { form: { enabled: false } } }),
        () => set({ sources: {} }),
        ['credential'],
        /no right/
      ],
      ['no template', () => {}, () => {}, ['template'], undefined, `accountId=${mini.id}&templateId=X`]
    ]
    for (const [name, break_, mend, gates, detail, query] of table) {
      await break_()
      clock.advance(2_000) // what a room remembers of an account for a moment
      t.same(await shut(query), gates, name)
      if (detail !== undefined) t.match((await why(query)).find((each: any) => !each.pass).detail, detail, name)
      await mend()
      clock.advance(2_000)
      t.same(await shut(), [], `${name}, mended`)
    }
    await people.optOut(ann.personId, '促销', 'phone')
    t.same(await shut(), [])
    t.same(await shut(`accountId=${mini.id}&templateId=T&topic=促销`), ['optedOut'])
    await set({ quietHours: { from: '11:00', to: '14:00', dying: 'send' } })
    clock.advance(2_000)
    t.same(await shut(`accountId=${mini.id}&templateId=T&lane=transactional`), [], 'quiet hours bind bulk alone')
    await set({ quietHours: null })
  })

  t.test('caps are counted as the sender counts them', async (t) => {
    for (let i = 0; i < 3; i++) {
      t.match(
        (await why()).find((each: any) => each.gate === 'cap'),
        { pass: true, detail: `${i} of 3 today` }
      )
      await db
        .collection('dayCaps')
        .updateOne(
          { _id: `${mini.id}:${ann.id}:2090-03-02` as never },
          { $push: { d: `x${i}.1` } as never },
          { upsert: true }
        )
    }
    t.match(
      (await why()).find((each: any) => each.gate === 'cap'),
      { pass: false, detail: '3 of 3 today' }
    )
    t.same(await shut(`accountId=${mini.id}&templateId=T&lane=transactional`), [])
    clock.advance(86_400_000)
    t.same(await shut(), [], 'another day')
  })

  t.test('of a campaign: its state, its audience, its content, who was taken in', async (t) => {
    const list = await audiences.create({ name: 'l', personIds: [] })
    const base = {
      accountId: mini.id,
      templateId: 'T',
      lane: 'bulk' as const,
      missingVariable: 'skip' as const,
      waitForCredential: false
    }
    const once = await campaigns.create({
      ...base,
      name: 'once',
      audienceId: list.id,
      trigger: { kind: 'once', at: new Date('2090-04-01') } as never,
      content: { thing1: '{{ user.name }}' },
      topic: '促销'
    })
    t.same(await shut(`campaignId=${once._id}`), ['campaign', 'audience', 'optedOut'])
    await audiences.patch(list.id, { personIds: [ann.personId] })
    await people.optIn(ann.personId, '促销')
    await campaigns.activate(once._id)
    t.same(await shut(`campaignId=${once._id}`), ['content'])
    t.match((await why(`campaignId=${once._id}`)).find((each: any) => !each.pass).detail, /missingVariable: thing1/)
    await people.patch(ann.personId, { attributes: { name: '安' } })
    t.same(await shut(`campaignId=${once._id}`), [])
    await campaigns.pause(once._id)
    t.match((await why(`campaignId=${once._id}`))[0], { gate: 'campaign', pass: false, detail: /paused/ })

    const event = await campaigns.create({
      ...base,
      name: 'event',
      trigger: { kind: 'event', event: 'bought', reentry: { perDays: 7 } } as never,
      content: { thing1: '{{ event.name }}' }
    })
    await campaigns.activate(event._id)
    const query = `campaignId=${event._id}`
    t.same(await shut(query), [])
    await db
      .collection('reentries')
      .insertOne({ _id: `${event._id}:${ann.id}` as never, at: clock.now(), by: 'e', expireAt: new Date('2099-01-01') })
    t.same(await shut(query), ['reentry'])
    clock.advance(7 * 86_400_000)
    await form(mini.id, ann.id, 'f2')
    t.same(await shut(query), [])
    const bound = await key(['people:read'], [(await account()).id])
    t.match(await get(`/v1/people/${ann.personId}/why-not?${query}`, bound), { status: 404 })
  })

  t.test('a follower needs no right where windows are off, and a stranger fails at once', async (t) => {
    const service = await account({ kind: 'service', serviceWindow: { bulk: false, transactional: false } })
    await template(service.id, 'service')
    const query = `accountId=${service.id}&templateId=T`
    t.same(await shut(query), ['recipient', 'credential'])
    const { id, personId } = await people.recipient(service.id, 'oSvc')
    t.same(await shut(query, personId), ['follower'])
    await people.follow(id, true, clock.now())
    t.same(await shut(query, personId), [])
    t.match(
      (await why(query, personId)).find((each: any) => each.gate === 'credential'),
      { pass: true, detail: /none/ }
    )
    t.match(await why(''), { status: 422 })
    t.match(await why(`accountId=${mini.id}`), { status: 422 })
    t.match(await why(`accountId=${mini.id}&templateId=T&campaignId=c`), { status: 422 })
    t.match(await why('campaignId=c'), { status: 404 })
  })

  t.test('asking reserves and writes nothing, and the sender agrees', async (t) => {
    const snapshot = async () => {
      const rows = await Promise.all(
        ['credentials', 'dayCaps', 'reentries', 'messages'].map((name) => db.collection(name).find().toArray())
      )
      return JSON.stringify(rows)
    }
    const before = await snapshot()
    await why()
    t.equal(await snapshot(), before)
    await people.setReach(ann.id, 'blocked', clock.now())
    t.same(await shut(), ['suppressed'])
    await plan('said', mini.id, ann.id, ann.personId)
    await rooms.messages.settleAll().catch(() => {})
    t.match(await rooms.messages.get('said'), { state: 'skipped', reason: 'suppressed', detail: 'blocked' })
  })
})

t.test('suppressions', async (t) => {
  const { app, rooms, clock, key, login, account, db, get, machine } = await stage(t)
  const { people } = rooms
  const mini = await account()
  const other = await account()
  const met = await people.recipients(mini.id, ['o1', 'o2', 'o3', 'o4'])
  const there = await people.recipient(other.id, 'o1')
  for (const [i, each] of met.slice(0, 3).entries()) {
    clock.advance(1_000)
    await people.setReach(each.id, i === 1 ? 'unfollowed' : 'blocked', clock.now())
  }
  await people.setReach(there.id, 'blocked', clock.now())
  await people.setReach(met[3]!.id, 'blocked', clock.now())
  await people.interacted(met[3]!.id, new Date(clock.now().getTime() + 1))
  const remove = (id: string, headers: object) =>
    app.inject({ method: 'DELETE', url: `/v1/suppressions/${id}`, headers: headers as never })

  t.test('are listed, the latest first', async (t) => {
    const { data } = await get(`/v1/suppressions?accountId=${mini.appId}`)
    t.match(data, [
      { id: met[2]!.id, accountId: mini.id, personId: met[2]!.personId, reason: 'blocked', since: String },
      { id: met[1]!.id, reason: 'unfollowed' },
      { id: met[0]!.id }
    ])
    t.equal(data.length, 3)
    t.equal(data[0].openId, undefined)
    const first = await get('/v1/suppressions?limit=2&count=true')
    t.match(first.page, { nextCursor: String, total: 4 })
    t.equal((await get(`/v1/suppressions?limit=2&cursor=${first.page.nextCursor}`)).data.length, 2)
    t.equal((await get('/v1/suppressions?reason=unfollowed')).data.length, 1)
    t.equal((await get(`/v1/suppressions?personId=${met[0]!.personId}`)).data.length, 1)
    t.match((await get('/v1/suppressions', await key(['people:read', 'recipients:identify'], [other.id]))).data, [
      { id: there.id, openId: 'o1' }
    ])
    t.equal((await get('/v1/suppressions', await key(['people:read'], [other.id]))).data.length, 1)
  })

  t.test('are lifted, once, and that is noted', async (t) => {
    const operator = await login('editor')
    t.equal((await remove(met[0]!.id, await key(['people:write'], [other.id]))).statusCode, 404)
    t.equal((await remove(met[0]!.id, await key(['people:read']))).statusCode, 403)
    t.equal((await remove(met[0]!.id, operator)).statusCode, 204)
    t.equal((await remove(met[0]!.id, machine)).statusCode, 404, 'nothing left to lift')
    t.match([...(await people.byIds([met[0]!.id])).values()], [{ reach: 'ok' }])
    t.match(await db.collection('auditLogs').findOne({ route: '/v1/suppressions/:id', status: 204 }), {
      target: { id: met[0]!.id },
      method: 'DELETE'
    })
    await people.setReach(met[0]!.id, 'blocked', new Date(clock.now().getTime() - 500))
    t.match([...(await people.byIds([met[0]!.id])).values()], [{ reach: 'ok' }], 'older news does not undo it')
    await people.setReach(met[0]!.id, 'blocked', new Date(clock.now().getTime() + 500))
    t.match([...(await people.byIds([met[0]!.id])).values()], [{ reach: 'blocked' }], 'newer news does')
    t.equal((await get(`/v1/suppressions?accountId=${mini.id}`)).data.length, 3)
  })
})
