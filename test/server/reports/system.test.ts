import t from 'tap'
import { createClock } from '../../../server/platform/clock.js'
import { buildTestApp } from '../../support/build-app.js'

t.test('how the installation is', async (t) => {
  const { app, account, key } = await buildTestApp(t, { clock: createClock() })
  const { id } = await account()
  const ask = async (headers: Record<string, string>) => app.inject({ url: '/v1/system', headers })
  const answer = await ask(await key(['settings:read']))
  t.equal(answer.statusCode, 200)
  const { version, node, collections, findings } = answer.json()
  t.match({ version, node }, { version: '0.1.0', node: process.versions.node })
  const of = (name: string) => collections.find((each: { name: string }) => each.name === name)
  t.match(of('messages'), { count: 0, keptDays: 180 })
  t.match(of('people'), { keptDays: null })
  t.match(of('waits'), { keptDays: 30 })
  t.match(of('credentials'), { keptDays: 30 })
  const found = (code: string) => findings.find((each: { code: string }) => each.code === code)
  t.equal(found('clock').ok, true)
  t.match(found('publicUrl'), { ok: true, about: 'http://hongyan.test' })
  t.match(found('callback'), { ok: false }, 'WeChat never pushed anything to it')
  t.equal((await ask(await key(['messages:read']))).statusCode, 403)
  t.equal((await ask(await key(['settings:read'], [id]))).statusCode, 403, 'whoever may not use all accounts')
})

t.test('what rights are worth, and when a trigger fires, as the server reckons', async (t) => {
  const { app, account, rooms, key } = await buildTestApp(t, { now: '2026-03-02T01:30:00Z' })
  const { id } = await account()
  await rooms.accounts.patch(id, { sources: { form: { lifeMs: 432_000_000 } } })
  const sources = (await app.inject({ url: `/v1/credentials/sources?accountId=${id}`, headers: await key(['credentials:read']) })).json().sources // prettier-ignore
  t.same(
    sources.map(({ source }: { source: string }) => source),
    ['form', 'payment', 'grant', 'longTermGrant']
  )
  t.match(sources[0], { sends: 1, lifeMs: 604_800_000, origin: /^WeChat/, own: { lifeMs: 432_000_000 } })
  t.equal(sources[1].own, null)

  const next = async (trigger: object) => {
    const headers = { ...(await key(['campaigns:read'])), 'content-type': 'application/json' }
    return app.inject({ method: 'POST', url: '/v1/campaigns/next-runs', headers, payload: { trigger } })
  }
  const weekly = { kind: 'recurring', from: '2026-03-01T00:00:00Z', zone: 'Asia/Shanghai', every: 'week', days: [1], times: ['10:00', '09:00'] } // prettier-ignore
  t.same((await next(weekly)).json().nextRuns.slice(0, 3), [
    '2026-03-02T02:00:00.000Z',
    '2026-03-09T01:00:00.000Z',
    '2026-03-09T02:00:00.000Z'
  ])
  t.equal((await next({ kind: 'event', event: 'order_placed' })).statusCode, 422)
  t.equal((await next({ kind: 'recurring' })).statusCode, 422)
})

t.test('a push address is asked as WeChat asks it', async (t) => {
  const { app, rooms, account, login } = await buildTestApp(t)
  const { id } = await account()
  const headers = await login('operator')
  const test = () => app.inject({ method: 'POST', url: `/v1/accounts/${id}/callback/test`, headers })
  await rooms.accounts.patch(id, { callback: { token: 'a_token', mode: 'plain' } })
  const asked: URL[] = []
  const real = globalThis.fetch
  t.teardown(() => void (globalThis.fetch = real))
  globalThis.fetch = async (input) => {
    const url = new URL(String(input))
    asked.push(url)
    // What is asked is what our own route answers.
    const answer = await app.inject({ url: url.pathname + url.search })
    return new Response(answer.body, { status: answer.statusCode })
  }
  t.match((await test()).json(), { ok: true, status: 200, detail: null })
  t.match(asked[0]!.href, /^http:\/\/hongyan\.test\/callback\/wx/)
  globalThis.fetch = async () => new Response('hello', { status: 200 })
  t.match((await test()).json(), { ok: false, status: 200 })
  globalThis.fetch = async () => {
    throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } })
  }
  t.match((await test()).json(), { ok: false, status: null, detail: 'ECONNREFUSED' })
  t.equal((await app.inject({ method: 'POST', url: `/v1/accounts/${id}/callback/test`, headers: await login('viewer') })).statusCode, 403) // prettier-ignore
})
