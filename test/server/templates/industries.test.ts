import t from 'tap'
import { INDUSTRIES as SANDBOXS } from '../../../server/sandbox/library.js'
import { INDUSTRIES, industryFaults, nextMonth } from '../../../server/templates/industries.js'
import { buildTestApp } from '../../support/build-app.js'
import { MINI, SERVICE } from './apps.js'

t.test('the table is as the sandbox has it, written apart', async (t) => {
  t.same(
    INDUSTRIES.map(({ first, second }) => [first, second]),
    SANDBOXS
  )
  t.equal(INDUSTRIES[40]!.id, '41')
})

t.test('what is no choice is told by field', async (t) => {
  const faults = (...pair: [string, string]) => industryFaults(...pair).map(({ pointer, code }) => `${pointer} ${code}`)
  t.same(faults('1', '41'), [])
  t.same(faults('0', '42'), ['/primary industries.unknown', '/secondary industries.unknown'])
  t.same(faults('01', '2'), ['/primary industries.unknown'])
  t.same(faults('4', '4'), ['/secondary industries.same'])
})

t.test('the next month begins when it begins in Shanghai', async (t) => {
  const next = (at: string) => nextMonth(new Date(at)).toISOString()
  t.equal(next('2026-03-10T00:00:00Z'), '2026-03-31T16:00:00.000Z')
  t.equal(next('2026-03-31T15:59:59Z'), '2026-03-31T16:00:00.000Z')
  t.equal(next('2026-03-31T16:00:00Z'), '2026-04-30T16:00:00.000Z')
  t.equal(next('2026-12-31T20:00:00Z'), '2027-01-31T16:00:00.000Z')
})

t.test('the industries of a service account', async (t) => {
  const { app, account, key, clock, sandbox, rooms } = await buildTestApp(t, {
    wechat: 'sandbox',
    now: '2026-03-10T00:00:00Z'
  })
  const service = await account(SERVICE)
  const mini = await account(MINI)
  const headers = await key(['templates:read', 'templates:write'])
  const url = `/v1/accounts/${service.appId}/industries`
  const get = async () => (await app.inject({ url, headers })).json()
  const put = (payload: object, at = url) => app.inject({ method: 'PUT', url: at, headers, payload })
  const sets = () => sandbox!.requests({ path: '/cgi-bin/template/api_set_industry' }).length

  t.test('are none at first, and forty-one to choose from', async (t) => {
    t.match(await get(), { primary: null, secondary: null, setAt: null, choices: { length: 41 } })
  })

  t.test('bad choices name the field, and WeChat is not asked', async (t) => {
    const rows: [body: object, pointer: string, code: string][] = [
      [{ primary: '1', secondary: '1' }, '/secondary', 'industries.same'],
      [{ primary: '1', secondary: '42' }, '/secondary', 'industries.unknown'],
      [{ primary: 'x', secondary: '2' }, '/primary', 'industries.unknown'],
      [{ primary: 1, secondary: '2' }, '/primary', 'invalid_type'],
      [{ primary: '1' }, '/secondary', 'invalid_type'],
      [{ primary: '1', secondary: '2', third: '3' }, '/third', 'unknown_key']
    ]
    for (const [body, pointer, code] of rows) {
      const answer = await put(body)
      t.equal(answer.statusCode, 422)
      t.match(answer.headers['content-type'], /problem\+json/)
      t.match(answer.json().errors, [{ pointer, code }], JSON.stringify(body))
    }
    t.equal(sets(), 0)
    const ofMini = await put({ primary: '1', secondary: '2' }, `/v1/accounts/${mini.id}/industries`)
    t.match(ofMini.json(), { status: 422, code: 'industries.kind' })
  })

  t.test('are set once a month; the second try says so and when to come back', async (t) => {
    const set = await put({ primary: '1', secondary: '16' })
    t.equal(set.statusCode, 200, set.body)
    const chosen = {
      primary: { id: '1', first: 'IT科技', second: '互联网|电子商务' },
      secondary: { id: '16', first: '教育', second: '培训' },
      setAt: clock.now().toISOString()
    }
    t.match(set.json(), { ...chosen, removed: { length: 0 } })
    t.match(await get(), chosen)

    clock.advance(86_400_000)
    const again = await put({ primary: '1', secondary: '22' })
    t.equal(again.statusCode, 429)
    t.match(again.json(), {
      code: 'industries.once-a-month',
      detail: /once a month.*2026-03-10.*2026-03-31T16:00/,
      facts: { errcode: 43100, nextTryAt: '2026-03-31T16:00:00.000Z', secondary: { id: '16' } }
    })
    t.equal(Number(again.headers['retry-after']), (Date.parse('2026-03-31T16:00:00Z') - clock.now().getTime()) / 1000)
    t.match(await get(), chosen, 'what was set stays')

    const before = sets()
    t.equal((await put({ primary: '1', secondary: '16' })).statusCode, 200)
    t.equal(sets(), before, 'what is there already does not use up the change')
  })

  t.test('of the next month take the templates of the industry left with them, and that is an alarm', async (t) => {
    const { templateId } = await rooms.templates.create({
      accountId: service.id,
      kind: 'service',
      titleId: 'OPENTM200411'
    })
    clock.set('2026-04-01T00:00:00Z')
    const moved = await put({ primary: '1', secondary: '22' })
    t.match(moved.json(), { secondary: { id: '22' }, removed: [templateId] })
    const alarms = await app.inject({ url: `/v1/templates?accountId=${service.id}&drift=true`, headers })
    t.match(alarms.json(), { data: [{ templateId, drift: { kind: 'gone' } }] })
    const wrong = await app.inject({
      method: 'POST',
      url: '/v1/templates',
      headers,
      payload: { accountId: service.id, kind: 'service', titleId: 'OPENTM200411' }
    })
    t.match(wrong.json(), { status: 422, errors: [{ pointer: '/titleId', code: 'templates.industry' }] })
  })

  t.test('are the business of those who may', async (t) => {
    const reader = await key(['templates:read'])
    const stranger = await key(['templates:read', 'templates:write'], [mini.id])
    t.equal((await app.inject({ url, headers: reader })).statusCode, 200)
    const refused = (who: Record<string, string>) =>
      app.inject({ method: 'PUT', url, headers: who, payload: { primary: '1', secondary: '2' } })
    t.equal((await refused(reader)).statusCode, 403)
    t.equal((await refused(stranger)).statusCode, 404)
    t.equal((await app.inject({ url })).statusCode, 401)
  })

  t.test("that cannot be read are WeChat's failure", async (t) => {
    sandbox!.controls.addRule({ path: '/cgi-bin/template/get_industry', action: { html: true } })
    t.match(await get(), { status: 502, code: 'wechat.no-answer' })
    sandbox!.controls.removeRules()
  })
})

t.test('setting the industries first does not keep the templates from being read', async (t) => {
  const { account, rooms } = await buildTestApp(t, { wechat: 'sandbox' })
  const service = await account(SERVICE)
  await rooms.templates.setIndustries(service.id, { primary: '1', secondary: '2' })
  t.match(await rooms.templates.freshness(service.id), { ageMs: 0, problem: null })
})
