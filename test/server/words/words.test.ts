import t from 'tap'
import { createWordLists } from '../../../server/words/words.js'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp, testDb } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'

t.test('a list', async (t) => {
  const [db, clock] = [await testDb(t), testClock()]
  const words = createWordLists({ db, clock })
  const first = await words.get('sensitive')
  t.match(first, { id: 'sensitive', builtIn: true, updatedAt: null, rev: 0 })
  t.ok((await words.finders()).sensitive.first('线上赌博'))
  const put = await words.put(
    'sensitive',
    { words: ['甲 ', { word: '乙', kind: '丙', titleOnly: false }, '甲'] },
    'op',
    '"0"'
  )
  t.same(put.words, [
    { word: '甲 ', kind: '', titleOnly: false },
    { word: '乙', kind: '丙', titleOnly: false }
  ])
  t.match(put, { builtIn: false, rev: 1 })
  t.equal((await words.finders()).sensitive.first('线上赌博'), null, 'at once in this process')
  t.equal((await words.finders()).sensitive.first('甲')?.word, '甲 ')
  t.ok((await words.finders()).marketing.first('优惠券'), 'the other list is as it was')
  await t.rejects(words.put('sensitive', { words: [] }, 'op', '"0"'), { code: 'request.changed' })

  const other = createWordLists({ db, clock })
  t.ok((await other.finders()).sensitive.first('乙'))
  await words.put('sensitive', { words: ['丁'] }, 'op')
  clock.advance(1_000)
  t.ok((await other.finders()).sensitive.first('丁'), 'within a second in another')

  const writers = Array.from({ length: 8 }, (_, i) => words.put('marketing', { words: [`词${i}`] }, 'op'))
  t.same((await Promise.all(writers)).map(({ rev }) => rev).sort(), [1, 2, 3, 4, 5, 6, 7, 8], 'none is lost unseen')
  const once = await Promise.allSettled([1, 2, 3].map((i) => words.put('marketing', { words: [`${i}`] }, 'op', '"8"')))
  t.equal(once.filter(({ status }) => status === 'fulfilled').length, 1, 'one of those that saw the same')
})

/** An app with a subscribe template T, one with a doubtful title, somebody who granted it, and an audience. */
async function arranged(t: Parameters<typeof buildTestApp>[0]) {
  const built = await buildTestApp(t, { now: '2026-03-02T01:00:00Z' })
  const { app, rooms, db, clock, account, login } = built
  const owner = await login('owner')
  const made = await account()
  const now = clock.now()
  const template = (templateId: string, title: string) => ({
    _id: `${made.id}:${templateId}`,
    accountId: made.id,
    templateId,
    kind: 'subscribe' as const,
    title,
    fields: [
      { key: 'thing1', name: '物品名称', type: 'thing' },
      { key: 'thing2', name: '取件说明', type: 'thing' }
    ],
    content: '',
    example: '',
    grantType: 'once' as const,
    choices: {},
    state: 'live' as const,
    syncedAt: now,
    deletedAt: null
  })
  await templateModels(db).rows.insertMany([template('T', '取件提醒'), template('P', '积分到账提醒')])
  const [ann] = await rooms.people.recipients(made.id, ['open-ann'])
  await rooms.credentials.keep(made, [
    { id: 'g', recipientId: ann!.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: now }
  ])
  const audience = await rooms.audiences.create({ name: '全部', rule: { all: [] } })
  const ask = async (method: 'GET' | 'POST' | 'PUT' | 'PATCH', url: string, body?: object, headers: object = owner) => {
    const key =
      url === '/v1/messages'
        ? { 'idempotency-key': `k${JSON.stringify(body).length}${Math.round(clock.monotonic())}` }
        : {}
    const answer = await app.inject({
      method,
      url,
      headers: { ...headers, ...key },
      ...(body !== undefined && { payload: body })
    })
    return { status: answer.statusCode, body: answer.json(), etag: answer.headers.etag as string }
  }
  const campaign = async (content: Record<string, string>, templateId = 'T') =>
    (
      await ask('POST', '/v1/campaigns', {
        name: '取件',
        accountId: made.id,
        audienceId: audience.id,
        templateId,
        trigger: { kind: 'once', at: new Date(clock.now().getTime() + 3_600_000).toISOString(), zone: 'Asia/Shanghai' },
        content
      })
    ).body.id as string
  return { ...built, made, ann: ann!, ask, campaign, owner }
}

t.test('over HTTP', async (t) => {
  const { ask, login, key } = await arranged(t)
  const read = await ask('GET', '/v1/word-lists/marketing')
  t.match(read, { status: 200, etag: '"0"', body: { id: 'marketing', builtIn: true } })
  t.match(await ask('GET', '/v1/word-lists/others'), { status: 422 })
  const put = await ask('PUT', '/v1/word-lists/marketing', { words: ['限时'] })
  t.match(put, {
    status: 200,
    etag: '"1"',
    body: { words: [{ word: '限时', kind: '', titleOnly: false }], builtIn: false }
  })
  const owner = await login('owner')
  t.match(await ask('PUT', '/v1/word-lists/marketing', { words: [] }, { ...owner, 'if-match': '"0"' }), { status: 412 })
  t.match(await ask('PUT', '/v1/word-lists/marketing', { words: [''] }), { status: 422 })
  for (const [who, may] of [
    [await login('operator'), 403],
    [await login('owner', ['some']), 403],
    [await key(['campaigns:write', 'campaigns:read']), 403]
  ] as const) {
    t.equal((await ask('PUT', '/v1/word-lists/marketing', { words: [] }, who)).status, may)
  }
  t.equal((await ask('GET', '/v1/word-lists/marketing', undefined, await key(['campaigns:read']))).status, 200)
  t.match(
    (await ask('POST', '/v1/templates/lint', { title: '限时提醒', keywords: [{ name: '物品名称', example: '书' }] }))
      .body.problems,
    [{ rule: 'title.marketing', part: '限时' }],
    'the lint goes by the same list'
  )
})

t.test('sensitive words', async (t) => {
  const { ask, rooms, made, ann, campaign } = await arranged(t)
  const direct = (content: object, more: object = {}) =>
    ask('POST', '/v1/messages', { accountId: made.id, to: { openId: 'open-ann' }, templateId: 'T', content, ...more })
  t.match(await direct({ thing1: '书', thing2: '线上赌博' }), {
    status: 422,
    body: { code: 'messages.invalid-content', errors: [{ pointer: '/content/thing2', code: 'content.sensitive-word' }] }
  })
  t.match(
    await direct({ thing1: '{{ data.what }}', thing2: '柜台' }, { templated: true, data: { what: '冰毒' } }),
    { status: 422, body: { errors: [{ pointer: '/content/thing1', code: 'content.sensitive-word' }] } },
    'also when they come with the data'
  )
  const step = { accountId: made.id, templateId: 'T', content: { thing1: '六合彩', thing2: '柜台' } }
  t.match(await direct({ thing1: '书', thing2: '柜台' }, { fallback: [step] }), {
    status: 422,
    body: { errors: [{ pointer: '/fallback/0/content/thing1' }] }
  })
  t.equal(await rooms.messages.rows.countDocuments({}), 0)

  // of a person's own name a campaign can know nothing beforehand
  await rooms.people.patch(ann.personId, { attributes: { nick: '博彩' } })
  const id = await campaign({ thing1: '{{ user.nick }}的书', thing2: '柜台' })
  t.match((await ask('POST', `/v1/campaigns/${id}/check`)).body, { ready: true })
  const dry = await ask('POST', `/v1/campaigns/${id}/dry-run`)
  await rooms.jobs.run('campaigns.dryRun', { campaignId: id, operationId: dry.body.id })
  t.match((await rooms.operations.get(dry.body.id)).result, { byState: { skipped: 1 }, byReason: { sensitiveWord: 1 } })
  await rooms.messages.plan([
    {
      id: 'm',
      accountId: made.id,
      recipientId: ann.id,
      personId: ann.personId,
      runId: null,
      campaignId: id,
      lane: 'bulk',
      channel: 'subscribe',
      templateId: 'T',
      data: { thing1: { value: '博彩的书' }, thing2: { value: '柜台' } },
      open: null,
      dueAt: new Date('2026-03-02T01:00:00Z'),
      notAfter: new Date('2026-03-03T01:00:00Z'),
      waitForCredential: false
    }
  ])
  await rooms.messages.settleAll()
  t.match(await rooms.messages.get('m'), {
    state: 'skipped',
    reason: 'sensitiveWord',
    detail: 'thing1: 博彩',
    hold: null
  })
  t.match(await rooms.credentials.rows.findOne({}), { sendsLeft: 1, held: 0 }, 'no right was touched')

  const literal = await campaign({ thing1: '赌博指南', thing2: '柜台' })
  t.match((await ask('POST', `/v1/campaigns/${literal}/check`)).body, {
    ready: false,
    problems: [{ pointer: '/content/thing1', code: 'words.sensitive' }]
  })
  const override = { override: { reason: 'it is a book about the law' } }
  t.match(await ask('POST', `/v1/campaigns/${literal}/activate`, override), { status: 422 }, 'nobody may waive them')
})

t.test('marketing words stop a campaign until an owner answers for them', async (t) => {
  const { ask, login, campaign, made, rooms } = await arranged(t)
  const id = await campaign({ thing1: '书', thing2: '凭优惠券取件' })
  const problems = [{ pointer: '/content/thing2', code: 'words.marketing', message: /优惠券/ }]
  t.match((await ask('POST', `/v1/campaigns/${id}/check`)).body, { ready: false, problems, warnings: [] })
  t.match(await ask('POST', `/v1/campaigns/${id}/activate`), {
    status: 422,
    body: { code: 'campaigns.not-ready', errors: problems }
  })
  const reason = { override: { reason: 'the coupon is the goods that wait' } }
  t.match(await ask('POST', `/v1/campaigns/${id}/activate`, reason, await login('operator')), { status: 403 })
  t.match(
    await ask('POST', `/v1/campaigns/${id}/activate`, { override: { reason: 'ok' } }),
    { status: 422 },
    'a reason in writing'
  )
  t.match(await ask('POST', `/v1/campaigns/${id}/activate`, reason), { status: 200, body: { state: 'online' } })
  t.match((await ask('GET', '/v1/audit-logs')).body.data, [
    { route: '/v1/campaigns/:id/activate', note: reason.override.reason }
  ])
  t.match((await ask('POST', `/v1/campaigns/${id}/check`)).body, {
    ready: true,
    warnings: [{ code: 'lint.content.marketing' }]
  })

  await ask('POST', `/v1/campaigns/${id}/pause`)
  t.match(await ask('POST', `/v1/campaigns/${id}/resume`), { status: 200 }, 'what was answered for stays so')
  await ask('POST', `/v1/campaigns/${id}/pause`)
  await ask('PATCH', `/v1/campaigns/${id}`, { content: { thing1: '红包', thing2: '柜台' } })
  t.match(await ask('POST', `/v1/campaigns/${id}/resume`), { status: 422 }, 'other words are another matter')

  // the words are answered for, the ladder is not: what the owner saw is what the owner waived
  const other = await campaign({ thing1: '书', thing2: '凭代金券取件' })
  t.match(await ask('POST', `/v1/campaigns/${other}/activate`, reason), { status: 200 })
  await ask('POST', `/v1/campaigns/${other}/pause`)
  await rooms.accounts.patch(made.id, { testLadder: 'required' })
  const untried = await ask('POST', `/v1/campaigns/${other}/resume`)
  t.same(
    untried.body.errors.map((each: any) => each.code),
    ['ladder.test-missing', 'ladder.dry-run-missing']
  )
  t.match(await ask('POST', `/v1/campaigns/${other}/resume`, reason), { status: 200 })

  await rooms.accounts.patch(made.id, { testLadder: 'off' })
  const titled = await campaign({ thing1: '书', thing2: '柜台' }, 'P')
  t.match((await ask('POST', `/v1/campaigns/${titled}/check`)).body.problems, [
    { pointer: '/templateId', code: 'words.marketing', message: /积分/ }
  ])
})
