import t from 'tap'
import { buildTestApp } from '../support/build-app.js'

const SHOP = {
  kind: 'miniprogram',
  appId: 'wx5b1a2c3d4e5f6001',
  secret: '6001a1b2c3d4e5f60718293a4b5c6d7e',
  name: '山塘书店',
  mode: 'sandbox'
}

t.test('an editor finds a template, adds it, builds a campaign on it, and hears when it goes', async (t) => {
  const { app, login, rooms, sandbox, clock } = await buildTestApp(t, {
    wechat: 'sandbox',
    now: '2026-03-01T00:00:00Z'
  })
  let owner = await login('owner')
  const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) => {
    const answer = await app.inject({
      method,
      url,
      headers: { ...owner, 'accept-language': 'zh-CN' },
      ...(payload && { payload })
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? null : answer.json() }
  }
  const shop = (await call('POST', '/v1/accounts', SHOP)).body
  const library = `/v1/accounts/${shop.id}/template-library`

  // browse
  const titles: { titleId: string; title: string }[] = []
  for (let offset: number | null = 0; offset !== null;) {
    const page: any = (await call('GET', `${library}?kind=legacy&count=10&offset=${offset}`)).body
    titles.push(...page.data)
    offset = page.nextOffset
  }
  const { titleId, title } = titles.find((each) => each.title === '取件提醒')!
  const { keywords } = (await call('GET', `${library}/${titleId}?kind=legacy`)).body
  const picked = ['地址', '取件码'].map((name) => keywords.find((each: { name: string }) => each.name === name))

  // lint what would be written by hand, and what the library offers
  const own = await call('POST', '/v1/templates/lint', {
    title: '取件大优惠',
    keywords: [{ name: '内容', example: '' }]
  })
  t.match(own.body, {
    passes: false,
    problems: [{ rule: 'title.ending' }, { rule: 'title.marketing', part: '优惠', message: /营销/ }]
  })
  const theirs = { title, keywords: picked.map(({ name, example }) => ({ name, example })), accountId: shop.id }
  t.match((await call('POST', '/v1/templates/lint', theirs)).body, { passes: true })

  // compose, in the order chosen
  const body = { accountId: shop.id, kind: 'legacy', titleId, keywordIds: picked.map(({ id }) => id) }
  const added = await call('POST', '/v1/templates', body)
  t.equal(added.status, 201)
  const { templateId, fields } = added.body
  t.match(fields, [
    { key: 'keyword1', name: '地址' },
    { key: 'keyword2', name: '取件码' }
  ])

  // the picker's list
  clock.advance(61_000)
  const list = () => call('GET', `/v1/templates?accountId=${shop.id}&live=true&limit=100`)
  const seen = (await list()).body
  t.ok(seen.data.some((each: { templateId: string }) => each.templateId === templateId))
  t.match(seen.mirror, { ageMs: 0, problem: null, drifts: 0 })

  // a campaign that could go online
  const campaign = (
    await call('POST', '/v1/campaigns', {
      name: '取件',
      accountId: shop.id,
      templateId,
      lane: 'transactional',
      trigger: { kind: 'event', event: 'parcel_arrived' },
      content: { keyword1: '{{ event.place }}', keyword2: '{{ event.code }}' }
    })
  ).body
  const check = async () => (await call('POST', `/v1/campaigns/${campaign.id}/check`)).body
  t.match(await check(), { ready: true, problems: { length: 0 } })

  // somebody deletes it in WeChat's own console
  const { token } = await rooms.tokenCentre.current(target(shop, sandbox!.url))
  const gone = await fetch(`${sandbox!.url}/cgi-bin/wxopen/template/del?access_token=${token}`, {
    method: 'POST',
    body: JSON.stringify({ template_id: templateId })
  })
  t.match(await gone.json(), { errcode: 0 })

  // the hourly reading finds out; the list, the template and the campaign say so
  clock.advance(3_600_000)
  await rooms.jobs.run('templates.refresh')
  owner = await login('owner') // the first token has run out
  const after = (await list()).body
  t.notOk(after.data.some((each: { templateId: string }) => each.templateId === templateId))
  t.equal(after.mirror.drifts, 1)
  t.match((await call('GET', `/v1/templates?accountId=${shop.id}&drift=true`)).body, {
    data: [{ templateId, title, state: 'deleted', drift: { kind: 'gone', readAt: null } }]
  })
  t.match(await check(), { ready: false, problems: [{ pointer: '/templateId', code: 'templates.missing' }] })
  t.match(await call('POST', `/v1/campaigns/${campaign.id}/activate`), {
    status: 422,
    body: { code: 'campaigns.not-ready' }
  })

  // read, and made good with another one, which is deleted here in the end: no alarm
  const known = await call('DELETE', `/v1/templates/${templateId}/drift?accountId=${shop.id}`)
  t.equal(known.status, 204)
  const second = (await call('POST', '/v1/templates', body)).body.templateId
  t.equal((await call('DELETE', `/v1/templates/${second}?accountId=${shop.id}`)).status, 204)
  const sync = await call('POST', '/v1/templates/sync', { accountId: shop.id })
  await rooms.jobs.run('templates.sync', { operationId: sync.body.id, accountId: shop.id })
  t.match((await call('GET', sync.headers.location as string)).body, {
    state: 'done',
    result: { drifted: { length: 0 } }
  })
  t.match((await list()).body.mirror, { drifts: 0 })
  t.match((await call('GET', `/v1/templates/${templateId}?accountId=${shop.id}`)).body, {
    state: 'deleted',
    drift: null,
    drifts: [{ kind: 'gone', readAt: String }]
  })
})

const target = ({ id, appId, kind }: { id: string; appId: string; kind: 'miniprogram' }, apiBase: string) => ({
  accountId: id,
  appId,
  kind,
  apiBase,
  tokenApi: 'stable' as const
})
