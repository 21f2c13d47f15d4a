import t from 'tap'
import { buildApp } from '../../../server/app.js'
import { buildTestApp } from '../../support/build-app.js'

const SHOP = 'wx5b1a2c3d4e5f6001'

t.test('trying it with the sandbox', async (t) => {
  const { app, rooms, parts, login } = await buildTestApp(t, { wechat: 'sandbox' })
  const owner = await login('owner')
  const begin = (headers: Record<string, string>) => app.inject({ method: 'POST', url: '/v1/tryout', headers })

  t.test('is for owners of all accounts', async (t) => {
    t.equal((await begin(await login('operator'))).statusCode, 403)
    t.equal((await begin(await login('owner', ['some account']))).statusCode, 403)
  })
  t.test('prepares accounts, people, rights, audiences and campaigns; asked twice at once, one sandbox', async (t) => {
    const [first, second] = await Promise.all([begin(owner), begin(owner)])
    t.equal(first.statusCode, 200)
    t.same(first.json(), second.json())
    const list = async (path: string) => (await app.inject({ url: path, headers: owner })).json()
    t.match(
      (await list('/v1/accounts')).data.map(({ state, mode }: any) => [state, mode]),
      [
        ['ready', 'sandbox'],
        ['ready', 'sandbox']
      ]
    )
    t.equal((await list('/v1/people?limit=1&count=true')).page.total, 400)
    t.same((await list('/v1/campaigns')).data.map(({ state }: any) => state).sort(), [
      'draft',
      'online',
      'online',
      'online'
    ])
    const { groups } = await list(`/v1/credentials/stats?accountId=${SHOP}&groupBy=source`)
    const captured = Object.fromEntries(groups.map(({ source, captured }: any) => [source, captured]))
    t.match(captured, { form: 320, payment: 100, grant: 266 })
  })
  t.test('comes back after a restart at the same address, with the same people', async (t) => {
    const url = rooms.tryout.where()!
    const rights = async () => (await fetch(`${url}/sandbox/credentials?appid=${SHOP}`)).json() as Promise<any>
    const known = JSON.stringify(await rights())
    t.ok(known.length > 10_000)
    await rooms.tryout.stop()
    await t.rejects(fetch(`${url}/sandbox/clock`))
    const next = await buildApp(parts)
    t.teardown(() => next.stop())
    await next.start()
    t.equal(next.rooms.tryout.where(), url)
    const openidsIn = (text: string) => [...new Set(text.match(/"openid":"[^"]+"/g))].sort()
    t.same(openidsIn(JSON.stringify(await rights())), openidsIn(known))
  })
})
