import t, { type Test } from 'tap'
import { InvalidInput, UpstreamFailure } from '../../../server/platform/errors.js'
import { createJobs } from '../../../server/platform/jobs.js'
import { silentLog } from '../../../server/platform/log.js'
import { creationFaults } from '../../../server/templates/rules.js'
import { cardOf } from '../../../server/templates/card.js'
import { createTemplates } from '../../../server/templates/templates.js'
import type { TemplateCreate } from '../../../shared/template.js'
import { buildTestApp } from '../../support/build-app.js'
import { MINI, SERVICE } from './apps.js'

const VISITS = {
  appId: 'wx5b1a2c3d4e5f6002',
  secret: '6002a1b2c3d4e5f60718293a4b5c6d7e',
  name: 'visits',
  mode: 'sandbox' as const
}
const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')
const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')
const LONG_TERM = 'SandboxLongTermVisit_'.padEnd(43, '0')
const SERVICE_SHIPPED = 'SandboxServiceShipped_'.padEnd(43, '0')

async function rooms(t: Test) {
  const server = await buildTestApp(t, { wechat: 'sandbox' })
  return { ...server, templates: server.rooms.templates, sandbox: server.sandbox! }
}

t.test('what WeChat would refuse is refused before it is asked', async (t) => {
  const add = (body: Partial<TemplateCreate>): TemplateCreate => ({
    accountId: 'a',
    kind: 'legacy',
    titleId: 'AT0002',
    ...body
  })
  const ids = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
  const table: [kind: 'miniprogram' | 'service', body: TemplateCreate, fault: string | null][] = [
    ['miniprogram', add({}), '/keywordIds templates.keyword-count'],
    ['miniprogram', add({ keywordIds: ids(1) }), null],
    ['miniprogram', add({ keywordIds: ids(10) }), null],
    ['miniprogram', add({ keywordIds: ids(11) }), '/keywordIds templates.keyword-count'],
    ['miniprogram', add({ keywordIds: [1, 1] }), '/keywordIds templates.keyword-twice'],
    ['miniprogram', add({ keywordIds: [1], sceneDesc: '取件' }), '/sceneDesc templates.not-taken'],
    [
      'miniprogram',
      add({ kind: 'subscribe', titleId: '401', keywordIds: ids(1) }),
      '/keywordIds templates.keyword-count'
    ],
    ['miniprogram', add({ kind: 'subscribe', titleId: '401', keywordIds: ids(2) }), null],
    ['miniprogram', add({ kind: 'subscribe', titleId: '401', keywordIds: ids(5) }), null],
    [
      'miniprogram',
      add({ kind: 'subscribe', titleId: '401', keywordIds: ids(6) }),
      '/keywordIds templates.keyword-count'
    ],
    ['miniprogram', add({ kind: 'subscribe', titleId: 'AT0002', keywordIds: ids(2) }), '/titleId templates.title'],
    ['miniprogram', add({ kind: 'subscribe', titleId: '10000001' }), null],
    [
      'miniprogram',
      add({ kind: 'subscribe', titleId: '10000001', keywordIds: ids(2) }),
      '/keywordIds templates.not-taken'
    ],
    ['miniprogram', add({ kind: 'service', titleId: 'TM00017' }), '/kind templates.kind'],
    ['service', add({ keywordIds: ids(2) }), '/kind templates.kind'],
    ['service', add({ kind: 'service', titleId: 'TM00017' }), null],
    ['service', add({ kind: 'service', titleId: 'TM00017', keywordNames: ['a'] }), '/keywordNames templates.not-taken'],
    ['service', add({ kind: 'service', titleId: '43216' }), '/keywordNames templates.keyword-count'],
    ['service', add({ kind: 'service', titleId: '43216', keywordNames: ['订单号'] }), null],
    ['service', add({ kind: 'service', titleId: '?' }), '/titleId templates.title']
  ]
  for (const [kind, body, fault] of table) {
    const found = creationFaults(kind, body).map(({ pointer, code }) => `${pointer} ${code}`)
    t.same(found, fault === null ? [] : [fault], JSON.stringify(body))
  }
})

t.test('the card shows what WeChat shows', async (t) => {
  const fields = ['first', 'keyword1', 'remark'].map((key) => ({ key, name: key, type: key }))
  const data = {
    first: { value: '您好' },
    keyword1: { value: `${'长'.repeat(19)}😀尾巴`, color: '#173177' },
    remark: { value: '' }
  }
  const service = cardOf({ kind: 'service', title: '发货', fields }, data)
  t.same(service.card.rows, [{ name: 'keyword1', value: `${'长'.repeat(19)}尾` }])
  t.equal(service.warnings.length, 4)
  const legacy = cardOf({ kind: 'legacy', title: '发货', fields }, data, 'keyword1')
  t.match(legacy, { card: { emphasis: 'keyword1', rows: { length: 3 } }, warnings: [] })
})

t.test('templates', async (t) => {
  const { templates, sandbox, clock, account, rooms: all } = await rooms(t)
  const mini = await account(MINI)
  const visits = await account(VISITS)
  const service = await account(SERVICE)

  t.test('of all three kinds are mirrored with their fields', async (t) => {
    t.match(await templates.sync(mini.id), { kinds: { legacy: { count: 1 }, subscribe: { count: 1 } }, removed: [] })
    await templates.sync(service.id)
    t.match(await templates.get(mini.id, PICKUP), {
      kind: 'subscribe',
      grantType: 'once',
      state: 'live',
      fields: [
        { key: 'thing1', type: 'thing' },
        { key: 'character_string2', type: 'character_string' },
        { key: 'time3', type: 'time' }
      ]
    })
    t.match(await templates.get(mini.appId, SHIPPED), { kind: 'legacy', grantType: null, fields: { length: 4 } })
    t.match(
      (await templates.get(service.id, SERVICE_SHIPPED)).fields.map((field) => field.key),
      ['character_string1', 'thing2', 'time3']
    )
    t.equal(await templates.grantTypeOf(mini.id, PICKUP), 'once')
    t.equal(await templates.grantTypeOf(visits.id, LONG_TERM), 'longTerm', 'one never seen is looked for on WeChat')
    t.equal(await templates.grantTypeOf(mini.id, 'nobody knows it'), null)
    await t.rejects(templates.get(mini.id, 'nobody knows it'), { code: 'templates.not-found' })
  })

  t.test('are read from WeChat at most once a minute, and served from the mirror when it fails', async (t) => {
    const reads = () => sandbox.requests({ path: '/wxaapi/newtmpl/gettemplate' }).length
    clock.advance(61_000)
    const before = reads()
    await Promise.all([templates.list(mini.id, { live: true }), templates.list(mini.id, { live: true })])
    await templates.list(mini.id, { live: true })
    t.equal(reads() - before, 1)
    clock.advance(61_000)
    sandbox.controls.addRule({ path: '/wxaapi/newtmpl/*', action: { errcode: 45009 } })
    sandbox.controls.addRule({ path: '/cgi-bin/wxopen/template/list', action: { errcode: -1 } })
    const listed = await templates.list(mini.id, { live: true })
    t.equal(listed.templates.length, 2)
    t.equal(listed.ageMs, 61_000)
    t.match(listed.problem, /WeChat/)
    await t.rejects(templates.sync(mini.id), UpstreamFailure)
    t.equal(
      await templates.grantTypeOf(mini.id, 'new one, WeChat away'),
      'once',
      'no right is refused for our own failure'
    )
    sandbox.controls.removeRules()
  })

  t.test('a closed kind keeps nobody from reading the other', async (t) => {
    clock.advance(61_000)
    sandbox.controls.addRule({ path: '/cgi-bin/wxopen/template/list', action: { errcode: 45103 } })
    t.match(await templates.sync(mini.id), {
      kinds: { legacy: { problem: String }, subscribe: { count: 1 } },
      removed: []
    })
    t.match(await templates.freshness(mini.id), { ageMs: 0, problem: null })
    t.equal((await templates.list(mini.id)).templates.length, 2, 'what was mirrored of it stays')
    sandbox.controls.removeRules()
  })

  t.test('are added and deleted on WeChat', async (t) => {
    const legacy = await templates.create({
      accountId: mini.appId,
      kind: 'legacy',
      titleId: 'AT0002',
      keywordIds: [3, 1]
    })
    t.same(
      legacy.fields.map(({ key, name }) => [key, name]),
      [
        ['keyword1', '付款金额'],
        ['keyword2', '订单编号']
      ]
    )
    const subscribe = await templates.create({
      accountId: mini.id,
      kind: 'subscribe',
      titleId: '401',
      keywordIds: [1, 2],
      sceneDesc: '取件'
    })
    t.match(subscribe, { kind: 'subscribe', state: 'live', fields: { length: 2 } })
    const added = await templates.create({
      accountId: service.id,
      kind: 'service',
      titleId: '43216',
      keywordNames: ['商品', '订单号']
    })
    t.match(added, { kind: 'service', state: 'live' })
    for (const each of [legacy, subscribe]) {
      await templates.remove(mini.id, each.templateId)
      t.match(
        await templates.get(mini.id, each.templateId),
        { state: 'deleted', deletedAt: clock.now().toISOString() },
        'history stays'
      )
    }
    await templates.remove(mini.id, legacy.templateId) // gone already
    await t.rejects(
      templates.create({ accountId: mini.id, kind: 'legacy', titleId: 'AT0002', keywordIds: [] }),
      InvalidInput
    )
    await t.rejects(templates.create({ accountId: mini.id, kind: 'legacy', titleId: 'AT9999', keywordIds: [1] }), {
      errors: [{ pointer: '/titleId', code: 'templates.title-unknown' }]
    })
    await t.rejects(templates.remove(mini.id, 'nobody knows it'), { code: 'templates.not-found' })
  })

  t.test('one deleted in the console is found missing', async (t) => {
    const { templateId } = await templates.create({
      accountId: mini.id,
      kind: 'legacy',
      titleId: 'AT0031',
      keywordIds: [1, 2]
    })
    const { token } = await all.tokenCentre.current({ ...mini, accountId: mini.id })
    clock.advance(1)
    await fetch(`${sandbox.url}/cgi-bin/wxopen/template/del?access_token=${token}`, {
      method: 'POST',
      body: JSON.stringify({ template_id: templateId })
    })
    t.same((await templates.sync(mini.id)).removed, [templateId])
    t.match(await templates.get(mini.id, templateId), { state: 'deleted' })
    t.same((await templates.sync(mini.id)).removed, [])
  })

  t.test('the library', async (t) => {
    t.match(await templates.library(mini.id, { kind: 'legacy', count: 5, offset: 2 }), {
      titles: { length: 5 },
      total: 18
    })
    t.match(await templates.keywords(mini.id, 'legacy', 'AT0002'), {
      title: '购买成功通知',
      keywords: [{ id: 1, name: '订单编号' }]
    })
    const categories = await templates.categories(mini.id)
    t.ok(categories.length > 0)
    const all = await templates.library(mini.id, { kind: 'subscribe' })
    const some = await templates.library(mini.id, { kind: 'subscribe', categoryIds: [String(categories[0]!.id)] })
    t.ok(some.total > 0 && some.total < all.total)
    t.ok((await templates.keywords(mini.id, 'subscribe', some.titles[0]!.titleId)).keywords.length > 1)
    t.match(await templates.library(service.id, { kind: 'service' }), { titles: [], byNumberOnly: true })
    await t.rejects(templates.library(service.id, { kind: 'legacy' }), InvalidInput)
  })
})

t.test('the routes', async (t) => {
  const { app, account, key, login, rooms: all } = await rooms(t)
  const mini = await account(MINI)
  const other = await account({})
  const headers = await key(['templates:read', 'templates:write', 'accounts:read'])
  const bound = await key(['templates:read'], [other.id])

  t.test('list, read, preview', async (t) => {
    const list = await app.inject({ url: `/v1/templates?accountId=${mini.appId}&live=true`, headers })
    t.equal(list.statusCode, 200, list.body)
    t.match(list.json(), { data: { length: 2 }, page: { nextCursor: null }, mirror: { ageMs: 0, problem: null } })
    t.equal((await app.inject({ url: `/v1/templates?accountId=${mini.id}`, headers: bound })).statusCode, 404)
    t.same((await app.inject({ url: '/v1/templates', headers: bound })).json().data, [])
    t.equal((await app.inject({ url: '/v1/templates?live=true', headers })).statusCode, 422)
    t.equal((await app.inject({ url: '/v1/templates' })).statusCode, 401)
    const one = await app.inject({
      url: `/v1/templates/${PICKUP}?accountId=${mini.id}`,
      headers: await login('viewer')
    })
    t.match(one.json(), { templateId: PICKUP, kind: 'subscribe', grantType: 'once' })

    const person = await all.people.identify({ accountId: mini.id, openId: 'oAnn', attributes: { name: '小云' } })
    const recipient = (await all.people.recipientsOf(mini.id, [person.id])).get(person.id)!
    const preview = (body: object) =>
      app.inject({
        method: 'POST',
        url: `/v1/templates/${PICKUP}/preview`,
        headers,
        payload: { accountId: mini.id, ...body }
      })
    const content = { thing1: '{{ user.name }}的包裹', character_string2: '8-1-2', time3: '{{ event.at }}' }
    const good = await preview({
      content,
      recipientId: recipient.id,
      sample: { event: { at: '20:45' } },
      open: { page: 'p?id={{ event.at }}' }
    })
    t.equal(good.statusCode, 200, good.body)
    t.match(good.json(), {
      errors: [],
      open: { page: 'p?id=20%3A45' },
      card: { rows: [{ value: '小云的包裹' }, { value: '8-1-2' }, { value: '20:45' }] }
    })
    t.match((await preview({ content })).json(), {
      card: null,
      errors: [{ pointer: '/content/time3', code: 'content.missing-variable' }]
    })
    t.match((await preview({ content: { thing1: 'x' } })).json().errors, [
      { code: 'content.missing-field' },
      { code: 'content.missing-field' }
    ])
    t.equal((await preview({ content, recipientId: 'nobody' })).statusCode, 404)
  })

  t.test('add, delete, synchronise, library', async (t) => {
    const payload = { accountId: mini.id, kind: 'legacy', titleId: 'AT0007', keywordIds: [1, 2] }
    const post = (body: object, more = {}) =>
      app.inject({ method: 'POST', url: '/v1/templates', headers: { ...headers, ...more }, payload: body })
    const added = await post(payload, { 'idempotency-key': 'k1' })
    t.equal(added.statusCode, 201, added.body)
    t.equal(
      (await post(payload, { 'idempotency-key': 'k1' })).json().templateId,
      added.json().templateId,
      'asked twice, added once'
    )
    t.match((await post({ ...payload, keywordIds: [] })).json(), {
      status: 422,
      errors: [{ pointer: '/keywordIds', code: 'templates.keyword-count' }]
    })
    t.equal((await post({ ...payload, keywordIds: Array.from({ length: 11 }, (_, i) => i) })).statusCode, 422)
    t.equal((await app.inject({ method: 'POST', url: '/v1/templates', headers: bound, payload })).statusCode, 403)
    const url = `/v1/templates/${added.json().templateId}?accountId=${mini.id}`
    t.equal((await app.inject({ method: 'DELETE', url, headers })).statusCode, 204)

    const sync = await app.inject({
      method: 'POST',
      url: '/v1/templates/sync',
      headers,
      payload: { accountId: mini.appId }
    })
    t.equal(sync.statusCode, 202, sync.body)
    t.match(sync.headers.location, /^\/v1\/operations\//)
    await all.jobs.run('templates.sync', { operationId: sync.json().id, accountId: mini.id })
    t.match((await app.inject({ url: sync.headers.location as string, headers })).json(), {
      state: 'done',
      result: { kinds: { legacy: { count: 1 } } }
    })

    const get = async (path: string) => (await app.inject({ url: `/v1/accounts/${mini.id}/${path}`, headers })).json()
    t.match(await get('template-library?kind=legacy'), { data: { length: 18 }, total: 18, byNumberOnly: false })
    t.match(await get('template-library/AT0002?kind=legacy'), { titleId: 'AT0002', keywords: { length: 7 } })
    t.ok((await get('template-categories')).data.length > 0)
    t.match(await get('template-library?kind=nosuch'), { status: 422 })
  })

  t.test('hourly reading goes on past an account that fails', async (t) => {
    await all.jobs.run('templates.refresh')
    t.match(await all.templates.freshness(other.id), { problem: String })
    t.match(await all.templates.freshness(mini.id), { problem: null })
  })
})

t.test('three accounts are read side by side', async (t) => {
  const { rooms: all, db, clock, account } = await rooms(t)
  const ids: string[] = []
  for (const each of [MINI, VISITS, SERVICE]) ids.push((await account(each)).id)
  const jobs = createJobs({ db, clock, log: silentLog(), enabled: true, lockLifetimeMs: 2_000 })
  t.teardown(() => jobs.stop())
  let tell = () => {}
  const allThree = new Promise<void>((done) => (tell = done))
  const begun = new Set<string>()
  /** Nobody goes on before all have begun. */
  const together = async (id: string) => {
    begun.add(id)
    if (begun.size === 3) tell()
    await allThree
    return all.accounts.get(id)
  }
  const { wechat, operations } = all
  const accounts = { ...all.accounts, get: together }
  createTemplates({ db, clock, log: silentLog(), accounts, wechat, jobs, operations })
  await jobs.start()
  const started = await Promise.all(ids.map((id) => operations.start('templates.sync', undefined, id)))
  await Promise.all(started.map(({ id }, i) => jobs.now('templates.sync', { operationId: id, accountId: ids[i]! })))
  await allThree
  t.equal(begun.size, 3)
})
