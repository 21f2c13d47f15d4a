import t, { type Test } from 'tap'
import { buildTestApp } from '../../support/build-app.js'
import { SHOP } from '../../support/live-app.js'

const SHIPPED = 'SandboxLegacyShipped_0000000000000000000000'
const CONTENT = {
  keyword1: '{{ event.orderId | default: "8231" }}',
  keyword2: '飞雁速运',
  keyword3: 'FY100',
  keyword4: '2026-03-01 10:00'
}

/** A server beside the sandbox, a shop, people with a form each where they are named in `forms`, a draft for all of them. */
async function arranged(t: Test, more: object = {}, settings: object = {}) {
  const test = await buildTestApp(t, { wechat: 'sandbox' })
  const shop = await test.account({ ...SHOP, ...settings })
  const headers = await test.login('owner')
  const call = async (method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object, as: object = headers) => {
    const answer = await test.app.inject({ method, url, headers: { ...as }, ...(payload && { payload }) })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  await call('GET', `/v1/templates?accountId=${shop.id}&live=true`)
  const users = test.sandbox!.controls.addUsers({ count: 4, appids: [SHOP.appId], followers: [] })
  const openIds = users.map(({ openids }: any) => openids[SHOP.appId] as string)
  const people = await test.rooms.people.recipients(shop.id, openIds)
  let forms = 0
  const form = async (n: number) => {
    const minted = test.sandbox!.controls.mintFormIds({ appid: SHOP.appId, openid: openIds[n]! }).formIds
    await test.rooms.credentials.keep(shop, [
      { id: `f${forms++}`, recipientId: people[n]!.id, source: 'form', value: minted[0]!, caughtAt: test.clock.now() }
    ])
  }
  const audience = await test.rooms.audiences.create({ name: '全部', rule: { all: [] } })
  const trigger = {
    kind: 'once',
    at: new Date(test.clock.now().getTime() + 3_600_000).toISOString(),
    zone: 'Asia/Shanghai'
  }
  const draft = {
    name: '发货',
    accountId: shop.id,
    audienceId: audience.id,
    templateId: SHIPPED,
    trigger,
    content: CONTENT
  }
  const made = await call('POST', '/v1/campaigns', { ...draft, ...more })
  t.equal(made.status, 201, JSON.stringify(made.body))
  const url = `/v1/campaigns/${made.body.id}`
  const send = (body: object, as?: object) => call('POST', `${url}/test-sends`, body, as)
  /** The result of a dry run, walked here and now. */
  const walk = async (body?: object) => {
    const begun = await call('POST', `${url}/dry-run`, body)
    if (begun.status !== 202) return begun
    const job = await test.db.collection('agendaJobs').findOneAndDelete({ name: 'campaigns.dryRun' })
    await test.rooms.jobs.run('campaigns.dryRun', job!.data)
    return (await call('GET', `/v1/operations/${begun.body.id}`)).body
  }
  const enrol = async (n: number, as: object = headers) => {
    const { code } = (await call('POST', `/v1/accounts/${shop.id}/tester-codes`, {}, as)).body
    await test.rooms.testers.enrol({ accountId: shop.id, recipientId: people[n]!.id }, code)
  }
  const settle = () => test.rooms.messages.settleAll()
  return {
    ...test,
    shop,
    headers,
    call,
    people,
    form,
    url,
    id: made.body.id as string,
    send,
    walk,
    enrol,
    settle,
    audience
  }
}

t.test('a test send', async (t) => {
  t.test('goes past caps, quiet hours and opt-outs, is charged to a real right, and counts nowhere', async (t) => {
    const at = await arranged(
      t,
      { lane: 'bulk' },
      { caps: { perPersonPerDay: 1 }, quietHours: { from: '00:00', to: '23:59' } }
    )
    const [ann] = at.people
    for (let i = 0; i < 3; i++) await at.form(0)
    await at.rooms.people.optOut(ann!.personId, null, 'phone')
    for (let i = 0; i < 2; i++) {
      const { status, body } = await at.send({ to: [ann!.personId] })
      t.same([status, body.messages[0].state, body.messages[0].reason], [202, 'planned', null])
      await at.settle()
      const row = await at.rooms.messages.get(body.messages[0].id)
      t.match(row, {
        state: 'accepted',
        test: true,
        runId: null,
        campaignId: at.id,
        cap: null,
        hold: { source: 'form' }
      })
      t.equal(row.data.keyword1!.value, '8231')
    }
    t.equal((await at.rooms.credentials.sendsLeft(at.shop.id, ann!.id)).form, 1, 'two of three are spent')
    t.equal(await at.db.collection('counters').countDocuments({}), 0)
    t.equal(await at.db.collection('dayCaps').countDocuments({}), 0)
    t.same((await at.call('GET', `${at.url}/runs`)).body.data, [])
  })

  t.test('is refused at once without a right, to strangers and with what a field does not take', async (t) => {
    const at = await arranged(t, {
      trigger: { kind: 'event', event: 'bought' },
      content: { ...CONTENT, keyword1: '{{ event.orderId }}' }
    })
    const [ann, ben] = at.people
    await at.form(1)
    const stranger = await at.rooms.people.identify({ externalId: 'crm-1' })
    const { body } = await at.send({ to: [ann!.personId, ben!.personId, stranger.id] })
    t.match(body.messages, [
      { personId: ann!.personId, state: 'skipped', reason: 'noCredential' },
      { personId: ben!.personId, state: 'skipped', reason: 'missingVariable', detail: /keyword1/ },
      { personId: stranger.id, state: 'skipped', reason: 'notInAccount' }
    ])
    const again = await at.send({ to: [ben!.personId], event: { orderId: 'A-7' } })
    t.match(again.body.messages, [{ state: 'planned' }])
    t.equal((await at.rooms.messages.get(again.body.messages[0].id)).data.keyword1!.value, 'A-7')
    t.match(await at.send({ to: ['nobody'] }), { status: 422, body: { errors: [{ pointer: '/to/0' }] } })
  })

  t.test('goes to me, or to all testers; who is none is told how to become one', async (t) => {
    const at = await arranged(t)
    const other = await at.login('editor')
    for (const n of [0, 1]) await at.form(n)
    t.match(await at.send({ to: 'me' }), { status: 409, body: { code: 'testers.not-enrolled' } })
    t.match(await at.send({ to: 'testers' }), { status: 409, body: { code: 'testers.none' } })
    await at.enrol(0)
    await at.enrol(1, other)
    const mine = await at.send({ to: 'me' })
    t.same(
      mine.body.messages.map((each: any) => each.personId),
      [at.people[0]!.personId]
    )
    const theirs = await at.send({ to: 'me' }, other)
    t.same(
      theirs.body.messages.map((each: any) => each.personId),
      [at.people[1]!.personId]
    )
    t.equal((await at.send({ to: 'testers' })).body.messages.length, 2)
    t.equal((await at.send({ to: 'me' }, await at.key(['campaigns:write']))).status, 409, 'a key is nobody')
    t.equal((await at.send({ to: 'testers' }, await at.login('viewer'))).status, 403)
  })
})

t.test('a dry run', async (t) => {
  t.test('says what a run would do, twice the same, and leaves nothing behind', async (t) => {
    const at = await arranged(t, { content: { ...CONTENT, keyword1: '{{ user.order }}' } })
    const [ann, ben, cat] = at.people
    for (const n of [0, 1, 2]) await at.form(n)
    for (const who of [ann!, ben!]) await at.rooms.people.patch(who.personId, { attributes: { order: '1' } })
    await at.rooms.people.optOut(ben!.personId, null, 'phone')
    const rights = await at.db.collection('credentials').find({}).toArray()
    const first = await at.walk()
    const expected = {
      total: 4,
      byState: { sent: 1, waiting: 0, skipped: 3, expired: 0, stopped: 0 },
      byReason: { optedOut: 1, missingVariable: 2 },
      rendering: [{ field: 'keyword1', problem: 'missingVariable', people: 2 }]
    }
    t.match(first, { state: 'done', done: 4, result: expected })
    const sample = (reason: string | null) => first.result.samples.find((each: any) => each.reason === reason).people
    t.same(sample(null), [{ personId: ann!.personId, detail: null }])
    t.same(sample('optedOut'), [{ personId: ben!.personId, detail: null }])
    t.ok(sample('missingVariable').some((each: any) => each.personId === cat!.personId))
    t.match((await at.walk()).result, expected)
    t.same(await at.db.collection('credentials').find({}).toArray(), rights, 'no right was touched')
    for (const name of ['messages', 'runs', 'dayCaps', 'counters']) {
      t.equal(await at.db.collection(name).countDocuments({}), 0, name)
    }
  })

  t.test('knows full days, missing rights, quiet hours and what would stop the run', async (t) => {
    const at = await arranged(
      t,
      { missingVariable: 'stop', content: { ...CONTENT, keyword1: '{{ user.order }}' } },
      { caps: { perPersonPerDay: 1 } }
    )
    const [ann, ben, cat] = at.people
    for (const who of [ann!, ben!, cat!]) await at.rooms.people.patch(who.personId, { attributes: { order: '1' } })
    for (const n of [0, 1]) await at.form(n)
    const { capKey } = await import('../../../server/messages/caps.js')
    const key = capKey(at.shop.id, ann!.id, at.clock.now())
    await at.db.collection('dayCaps').insertOne({ _id: key as never, d: ['m.1'], removeAt: new Date('2999-01-01') })
    t.match((await at.walk()).result, {
      byState: { sent: 1, skipped: 2, stopped: 1 },
      byReason: { capped: 1, noCredential: 1, missingVariable: 1 }
    })
    await at.rooms.accounts.patch(at.shop.id, { quietHours: { from: '00:00', to: '23:59', dying: 'skip' } })
    at.clock.advance(2_000)
    const quiet = (await at.walk()).result
    t.equal((quiet.byReason.quietHours ?? 0) >= 3, true, JSON.stringify(quiet.byReason))
    t.equal(quiet.byState.sent, 0)
  })

  t.test('of an event campaign goes by the sample event, over everybody the account knows', async (t) => {
    const at = await arranged(t, {
      audienceId: null,
      trigger: { kind: 'event', event: 'bought' },
      content: { ...CONTENT, keyword1: '{{ event.orderId }}' }
    })
    await at.rooms.people.identify({ externalId: 'crm-1' })
    await at.form(0)
    t.match((await at.walk()).result, { total: 4, byReason: { missingVariable: 4 } })
    t.match((await at.walk({ event: { orderId: 'A-7' } })).result, {
      total: 4,
      byState: { sent: 1 },
      byReason: { noCredential: 3 }
    })
  })

  t.test('keeps at most twenty of each', async (t) => {
    const at = await arranged(t)
    await at.rooms.people.recipients(
      at.shop.id,
      Array.from({ length: 1_200 }, (_, i) => `ocrowd${i}`)
    )
    const { result } = await at.walk()
    t.match(result, { total: 1_204, byReason: { noCredential: 1_204 } })
    t.same(
      result.samples.map((each: any) => each.people.length),
      [20]
    )
  })
})

t.test('the ladder', async (t) => {
  t.test('asks for nothing unless the account says so', async (t) => {
    const at = await arranged(t)
    t.match(await at.call('GET', `/v1/accounts/${at.shop.id}`), { body: { testLadder: 'off' } })
    t.match(await at.call('POST', `${at.url}/check`), { body: { ready: true, problems: [] } })
    t.equal((await at.call('POST', `${at.url}/activate`)).status, 200)
  })

  t.test('demands an accepted test and a dry run of the campaign as it is', async (t) => {
    const at = await arranged(t, {}, { testLadder: 'required' })
    const missing = async () => (await at.call('POST', `${at.url}/check`)).body.problems.map((each: any) => each.code)
    const [TEST, DRY] = ['ladder.test-missing', 'ladder.dry-run-missing']
    t.same(await missing(), [TEST, DRY])
    await at.send({ to: [at.people[0]!.personId] })
    t.same(await missing(), [TEST, DRY], 'a test without a right is none')
    await at.form(0)
    await at.send({ to: [at.people[0]!.personId] })
    t.same(await missing(), [TEST, DRY], 'not accepted yet')
    await at.settle()
    t.same(await missing(), [DRY])
    await at.walk()
    t.same(await missing(), [])
    t.equal((await at.call('PATCH', at.url, { name: '改名' })).status, 200)
    t.same(await missing(), [], 'a name changes nothing that goes out')
    await at.call('PATCH', at.url, { content: { ...CONTENT, keyword3: 'FY101' } })
    t.same(await missing(), [TEST, DRY], 'another text is another campaign')
    t.match(await at.call('POST', `${at.url}/activate`), { status: 422, body: { code: 'campaigns.not-ready' } })
    await at.call('PATCH', at.url, { content: CONTENT })
    t.same(await missing(), [], 'what was tried stays tried')
    t.equal((await at.call('POST', `${at.url}/activate`)).status, 200)
    await at.call('POST', `${at.url}/pause`)
    t.equal((await at.call('POST', `${at.url}/resume`)).status, 200, 'a pause is no change')
  })

  t.test('is overridden by an owner alone, whose reason is in the audit log', async (t) => {
    const at = await arranged(t, {}, { testLadder: 'required' })
    const override = { reason: '门店停业，今晚必须通知到' }
    const go = (as?: object, body: object = { override }) => at.call('POST', `${at.url}/activate`, body, as)
    t.equal((await go(await at.login('operator'))).status, 403)
    t.equal((await go(await at.key(['campaigns:write']))).status, 403)
    t.equal((await go(at.headers, { override: { reason: 'ok' } })).status, 422)
    t.equal((await go()).status, 200)
    const { data } = (await at.call('GET', '/v1/audit-logs')).body
    const noted = data.filter((each: any) => each.note !== undefined)
    t.match(noted, [{ route: '/v1/campaigns/:id/activate', status: 200, note: override.reason, target: { id: at.id } }])
    t.equal(noted.length, 1)
    await at.call('POST', `${at.url}/pause`)
    t.equal((await at.call('POST', `${at.url}/resume`)).status, 200, 'the word stands for what it was given for')
  })
})
