import t from 'tap'
import { LINT_RULES } from '../../../server/templates/lint.js'
import { buildTestApp } from '../../support/build-app.js'
import { MINI, SERVICE } from './apps.js'

t.test('templates over REST', async (t) => {
  const { app, account, key, clock, sandbox, rooms } = await buildTestApp(t, { wechat: 'sandbox' })
  const mini = await account(MINI)
  const service = await account(SERVICE)
  const headers = await key(['templates:read', 'templates:write'])
  const get = async (url: string, more = {}) => app.inject({ url, headers: { ...headers, ...more } })
  const send = (method: 'POST' | 'DELETE', url: string, payload?: object, more = {}) =>
    app.inject({ method, url, headers: { ...headers, ...more }, ...(payload && { payload }) })
  const add = (body: object, more = {}) => send('POST', '/v1/templates', { accountId: mini.id, ...body }, more)

  t.test('the library is walked by nextOffset', async (t) => {
    const walk = async (query: string) => {
      const titles: string[] = []
      let pages = 0
      for (let offset: number | null = 0; offset !== null; pages++) {
        const page: any = (await get(`/v1/accounts/${mini.id}/template-library?${query}&offset=${offset}`)).json()
        titles.push(...page.data.map((each: { titleId: string }) => each.titleId))
        offset = page.nextOffset
        if (offset === null) t.equal(titles.length, page.total)
      }
      t.equal(new Set(titles).size, titles.length)
      return pages
    }
    t.ok((await walk('kind=legacy&count=4')) > 4)
    t.ok((await walk('kind=subscribe&count=3')) > 3)
    t.equal(await walk('kind=subscribe&categoryIds=671'), 1)
    const capped = (await get(`/v1/accounts/${mini.id}/template-library?kind=legacy&count=30`)).json()
    t.ok(capped.data.length <= 20, "no more than WeChat's page")
    t.match((await get(`/v1/accounts/${mini.id}/template-library?kind=legacy&offset=999`)).json(), {
      data: { length: 0 },
      nextOffset: null
    })
  })

  t.test('bad questions to the library name the field', async (t) => {
    const rows: [path: string, status: number, expected: object][] = [
      ['template-library', 422, { errors: [{ pointer: '/kind' }] }],
      ['template-library?kind=legacy&count=0', 422, { errors: [{ pointer: '/count' }] }],
      ['template-library?kind=legacy&count=31', 422, { errors: [{ pointer: '/count' }] }],
      ['template-library?kind=legacy&offset=-1', 422, { errors: [{ pointer: '/offset' }] }],
      ['template-library?kind=subscribe&categoryIds=1;2', 422, { errors: [{ pointer: '/categoryIds' }] }],
      [
        'template-library?kind=subscribe&categoryIds=999',
        422,
        { errors: [{ pointer: '/categoryIds', code: 'templates.category-unknown' }] }
      ],
      ['template-library?kind=service', 422, { errors: [{ pointer: '/kind', code: 'templates.kind' }] }],
      ['template-library/AT9999?kind=legacy', 404, { code: 'templates.title-unknown' }],
      ['template-library/9999?kind=subscribe', 404, { code: 'templates.title-unknown' }]
    ]
    for (const [path, status, expected] of rows) {
      const answer = await get(`/v1/accounts/${mini.id}/${path}`)
      t.match(answer.json(), { ...expected, status }, path)
      t.match(answer.headers['content-type'], /problem\+json/)
    }
    t.match((await get(`/v1/accounts/${service.id}/template-library?kind=service`)).json(), {
      data: { length: 0 },
      nextOffset: null,
      byNumberOnly: true
    })
  })

  t.test('bad compositions name the field and the rule, before WeChat is asked to add', async (t) => {
    const adds = () =>
      ['/cgi-bin/wxopen/template/add', '/wxaapi/newtmpl/addtemplate'].flatMap((path) => sandbox!.requests({ path }))
        .length
    const before = adds()
    const ids = (n: number) => Array.from({ length: n }, (_, i) => i + 1)
    const rows: [body: object, faults: [pointer: string, code: string][]][] = [
      [{ kind: 'legacy', titleId: 'AT0002', keywordIds: [] }, [['/keywordIds', 'templates.keyword-count']]],
      [{ kind: 'legacy', titleId: 'AT0002', keywordIds: ids(11) }, [['/keywordIds', 'too_big']]],
      [{ kind: 'legacy', titleId: 'AT0002', keywordIds: [1, 1] }, [['/keywordIds', 'templates.keyword-twice']]],
      [
        { kind: 'legacy', titleId: 'AT0002', keywordIds: [1, 88, 2, 99] },
        [
          ['/keywordIds/1', 'templates.keyword-unknown'],
          ['/keywordIds/3', 'templates.keyword-unknown']
        ]
      ],
      [{ kind: 'legacy', titleId: 'AT9999', keywordIds: [1] }, [['/titleId', 'templates.title-unknown']]],
      [{ kind: 'subscribe', titleId: '402', keywordIds: [1] }, [['/keywordIds', 'templates.keyword-count']]],
      [{ kind: 'subscribe', titleId: '402', keywordIds: ids(6) }, [['/keywordIds', 'templates.keyword-count']]],
      [{ kind: 'subscribe', titleId: '402', keywordIds: [1, 9] }, [['/keywordIds/1', 'templates.keyword-unknown']]],
      [{ kind: 'subscribe', titleId: '9999', keywordIds: [1, 2] }, [['/titleId', 'templates.title-unknown']]],
      [
        { kind: 'subscribe', titleId: '402', keywordIds: [1, 2], sceneDesc: '很'.repeat(16) },
        [['/sceneDesc', 'too_big']]
      ],
      [{ kind: 'service', titleId: '43216', keywordNames: ['商品'] }, [['/kind', 'templates.kind']]],
      [{ kind: 'legacy', titleId: '', keywordIds: [1] }, [['/titleId', 'too_small']]],
      [{ kind: 'legacy', titleId: 'AT0002', keywordIds: ['1'] }, [['/keywordIds/0', 'invalid_type']]],
      [{ kind: 'letter', titleId: 'AT0002' }, [['/kind', 'invalid_value']]]
    ]
    for (const [body, faults] of rows) {
      const answer = await add(body)
      t.equal(answer.statusCode, 422, JSON.stringify(body))
      t.same(
        answer.json().errors?.map(({ pointer, code }: Record<string, string>) => [pointer, code]),
        faults
      )
    }
    t.equal(adds(), before)
    t.match((await add({ kind: 'legacy', titleId: 'AT0031', keywordIds: [88] })).json().detail, /1 取件码, 2 地址/)
  })

  t.test('what only WeChat can know comes back with its field', async (t) => {
    const unknown = { accountId: service.id, kind: 'service', titleId: '43216', keywordNames: ['商品', '没有这个'] }
    t.match((await add(unknown)).json(), {
      status: 422,
      errors: [{ pointer: '/keywordNames', code: 'templates.keyword-unknown' }]
    })
    sandbox!.controls.addRule({ path: '/cgi-bin/wxopen/template/add', nth: 1, action: { errcode: 45026 } })
    t.match((await add({ kind: 'legacy', titleId: 'AT0031', keywordIds: [1] })).json(), {
      status: 409,
      code: 'templates.too-many',
      facts: { errcode: 45026 }
    })
    sandbox!.controls.addRule({ path: '/cgi-bin/wxopen/template/add', nth: 1, action: { errcode: 43106 } })
    t.match((await add({ kind: 'legacy', titleId: 'AT0031', keywordIds: [1] })).json(), { code: 'wechat.43106' })
    await rooms.accounts.patch(mini.id, { penalty: null })
  })

  t.test('a library that cannot be read keeps nobody from adding', async (t) => {
    sandbox!.controls.addRule({ path: '/cgi-bin/wxopen/template/library/get', action: { errcode: 45009 } })
    const added = await add({ kind: 'legacy', titleId: 'AT0031', keywordIds: [2, 1] })
    t.equal(added.statusCode, 201, added.body)
    t.match((await add({ kind: 'legacy', titleId: 'AT0031', keywordIds: [2, 88] })).json(), {
      errors: [{ pointer: '/keywordIds', code: 'templates.keyword-unknown' }]
    })
    sandbox!.controls.removeRules()
  })

  t.test('the order of keywords is kept, and what the audit would say comes along', async (t) => {
    const added = await add(
      { kind: 'legacy', titleId: 'AT0060', keywordIds: [5, 1, 3] },
      { 'accept-language': 'zh-CN' }
    )
    t.equal(added.statusCode, 201, added.body)
    t.match(added.json(), {
      fields: [
        { key: 'keyword1', name: '报名编号' },
        { key: 'keyword2', name: '活动名称' },
        { key: 'keyword3', name: '活动地点' }
      ],
      drift: null,
      problems: [{ rule: 'title.marketing', severity: 'error', part: '活动', message: /营销/ }]
    })
    t.equal(added.headers.etag, '"1"')
    const again = await add({ kind: 'legacy', titleId: 'AT0060', keywordIds: [1] })
    t.match(again.json().problems[0], { rule: 'title.duplicate', part: '活动报名成功通知' })
    const plain = await add({ kind: 'subscribe', titleId: '408', keywordIds: [4, 2] })
    t.same(plain.json().problems, [], plain.body)
    t.match(plain.json().fields, [{ name: '商品名称' }, { name: '付款金额' }])
  })

  t.test('ETag and If-Match', async (t) => {
    const { templateId } = (await add({ kind: 'legacy', titleId: 'AT0097', keywordIds: [1] })).json()
    const url = `/v1/templates/${templateId}?accountId=${mini.id}`
    const { etag } = (await get(url)).headers
    t.equal(etag, '"1"')
    t.match((await send('DELETE', url, undefined, { 'if-match': '"0"' })).json(), { status: 412 })
    t.equal((await send('DELETE', url, undefined, { 'if-match': etag })).statusCode, 204)
    t.equal((await get(url)).headers.etag, '"2"')
    t.equal((await send('DELETE', url)).statusCode, 204, 'gone is gone')
    t.equal((await send('DELETE', `/v1/templates/nosuch?accountId=${mini.id}`)).statusCode, 404)
    t.match((await send('DELETE', `/v1/templates/${templateId}`)).json(), { errors: [{ pointer: '/accountId' }] })
  })

  t.test('lists are paged, sorted, filtered', async (t) => {
    clock.advance(61_000)
    const all = (await get(`/v1/templates?accountId=${mini.id}&limit=100&count=true`)).json()
    t.equal(all.page.total, all.data.length)
    const ids: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: any = (
        await get(`/v1/templates?accountId=${mini.id}&limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      ).json()
      t.ok(page.data.length <= 2)
      ids.push(...page.data.map((each: { templateId: string }) => each.templateId))
      cursor = page.page.nextCursor
    }
    t.same(
      ids,
      all.data.map((each: { templateId: string }) => each.templateId)
    )
    const kinds = (await get(`/v1/templates?accountId=${mini.id}&kind=subscribe`)).json().data
    t.ok(kinds.length > 0 && kinds.every((each: { kind: string }) => each.kind === 'subscribe'))
    t.ok((await get(`/v1/templates?accountId=${mini.id}&state=deleted`)).json().data.length > 0)
    const bad: [query: string, pointer: string][] = [
      ['limit=0', '/limit'],
      ['limit=101', '/limit'],
      ['cursor=xyz', '/cursor'],
      ['sort=content', '/sort'],
      ['state=dead', '/state'],
      ['drift=maybe', '/drift'],
      ['kind=letter', '/kind']
    ]
    for (const [query, pointer] of bad) {
      t.match((await get(`/v1/templates?accountId=${mini.id}&${query}`)).json(), { status: 422, errors: [{ pointer }] })
    }
  })

  t.test('lint', async (t) => {
    const lint = (payload: object, more = {}) => send('POST', '/v1/templates/lint', payload, more)
    const keywords = [{ name: '取件码', example: '8-1-2' }]
    t.same((await lint({ title: '包裹取件提醒', keywords })).json(), { passes: true, problems: [] })
    const bad = { title: '红包提醒', keywords: [{ name: '内容', example: '随便' }], content: { thing1: '点击领取' } }
    const english = (await lint(bad)).json()
    t.equal(english.passes, false)
    t.same(english.problems[0], {
      rule: 'title.marketing',
      severity: 'error',
      pointer: '/title',
      part: '红包',
      message: 'a title has nothing to do with marketing: "红包" (red packets)'
    })
    t.match(english.problems, [{}, { pointer: '/keywords/0/name' }, { pointer: '/content/thing1' }])
    const chinese = (await lint(bad, { 'accept-language': 'zh-CN,en;q=0.5' })).json()
    t.equal(chinese.problems[0].message, '标题不能涉及营销内容：「红包」（红包类）')
    t.match((await lint({ title: '停车缴费提醒', keywords: [{ name: '时间', example: '9:00' }] })).json(), {
      passes: true,
      problems: [{ rule: 'keyword.loose', severity: 'warning' }]
    })
    await rooms.templates.freshen(mini.id)
    const [taken] = await rooms.templates.titlesOf(mini.id)
    t.match((await lint({ title: taken, keywords, accountId: mini.appId })).json(), {
      problems: [{ rule: 'title.duplicate' }]
    })
    t.match((await lint({ title: '预约通知', keywords, otherTitles: ['预约提醒'] })).json(), {
      problems: [{ rule: 'title.too-similar', part: '预约提醒' }]
    })
    const refused: [body: object, pointer: string][] = [
      [{ keywords }, '/title'],
      [{ title: '取件提醒' }, '/keywords'],
      [{ title: '取件提醒', keywords: [{ name: '取件码' }] }, '/keywords/0/example'],
      [{ title: '取件提醒', keywords: [{ name: '', example: '' }] }, '/keywords/0/name'],
      [{ title: '取件提醒', keywords, kewords: [] }, '/kewords'],
      [{ title: '长'.repeat(201), keywords }, '/title']
    ]
    for (const [body, pointer] of refused) {
      t.match((await lint(body)).json(), { status: 422, errors: [{ pointer }] }, pointer)
    }
    const bound = await key(['templates:read'], [service.id])
    const foreign = { title: '取件提醒', keywords, accountId: mini.id }
    t.equal((await lint(foreign, bound)).statusCode, 404)
    const rules = (await get('/v1/templates/lint')).json().data
    t.equal(rules.length, LINT_RULES.length)
    t.match(rules[0], {
      id: 'title.duplicate',
      severity: 'error',
      from: '1.1',
      message: { 'zh-CN': /标题/, en: /title/ }
    })
  })

  t.test('every route says what it is for, and shows its answers', async (t) => {
    const { paths } = (await app.inject({ url: '/openapi.json' })).json()
    const ours = Object.entries<any>(paths).filter(([path]) => /\/templates|\/template-|\/industries/.test(path))
    t.same(ours.map(([path]) => path).sort(), [
      '/v1/accounts/{id}/industries',
      '/v1/accounts/{id}/template-categories',
      '/v1/accounts/{id}/template-library',
      '/v1/accounts/{id}/template-library/{titleId}',
      '/v1/templates',
      '/v1/templates/lint',
      '/v1/templates/sync',
      '/v1/templates/{templateId}',
      '/v1/templates/{templateId}/drift',
      '/v1/templates/{templateId}/preview'
    ])
    for (const [path, verbs] of ours) {
      for (const [verb, route] of Object.entries<any>(verbs)) {
        t.match(route.description, /^[A-Z][^\n]{20,}\n\nA key with the scope/, `${verb} ${path}`)
        t.notMatch(route.description, / {2}/)
        const good = Object.keys(route.responses).find((status) => status.startsWith('2'))!
        if (good !== '204') t.ok(route.responses[good].content['application/json'].schema, `${verb} ${path} ${good}`)
        t.ok(route.responses.default.content['application/problem+json'])
      }
    }
  })
})
