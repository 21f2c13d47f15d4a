import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

t.test('breakers over HTTP', async (t) => {
  const { app, rooms, clock, account, login, key } = await buildTestApp(t, { now: '2026-03-02T01:00:00Z' })
  const [mine, other] = [await account(), await account()]
  const minute = clock.now()
  const hear = (accountId: string, b: number, templateId: string, code: number, n: number) =>
    rooms.breakers.hear(accountId, b, minute, [{ templateId, code, n }])
  await hear(mine.id, 1, 'T', 43101, 60)
  await hear(mine.id, 2, 'U', 0, 60)
  await hear(other.id, 1, 'T', 47003, 50)
  const owner = await login('owner')
  const get = async (query = '', headers: object = owner) => {
    const answer = await app.inject({ method: 'GET', url: `/v1/breakers${query}`, headers: { ...headers } })
    return { status: answer.statusCode, body: answer.json() }
  }
  const reset = async (id: string, headers: object = owner) => {
    const url = `/v1/breakers/${encodeURIComponent(id)}/reset`
    const answer = await app.inject({ method: 'POST', url, headers: { ...headers } })
    return { status: answer.statusCode, body: answer.json() }
  }

  const all = await get('?sort=id')
  t.equal(all.body.data.length, 5, 'one a template, one an account')
  const open = await get(`?state=open&accountId=${mine.appId}`)
  t.same(open.body.data, [
    {
      id: `${mine.id}:T`,
      accountId: mine.id,
      templateId: 'T',
      state: 'open',
      reason: 'refusal',
      numbers: { ok: 0, block: 0, refusal: 60, failure: 0, punished: 0, total: 60 },
      tripped: { ok: 0, block: 0, refusal: 60, failure: 0, punished: 0, total: 60 },
      changedAt: '2026-03-02T01:00:00.000Z',
      triesAt: '2026-03-02T01:30:00.000Z',
      trips: 1
    }
  ])
  const closed = (await get(`?state=closed&accountId=${mine.id}`)).body.data
  t.match(
    closed.find((each: any) => each.templateId === null),
    { numbers: { ok: 60, refusal: 0, total: 60 } },
    'an account is looked at without templates that are out already'
  )
  const first = await get('?limit=2')
  const second = await get(`?limit=3&cursor=${first.body.page.nextCursor}`)
  t.equal(new Set([...first.body.data, ...second.body.data].map((each: any) => each.id)).size, 5, 'page by page')
  t.equal((await get('?state=broken')).status, 422)

  const id = `${mine.id}:T`
  const stranger = await login('owner', [other.id])
  t.equal((await get('', stranger)).body.data.length, 2, 'others do not exist for who may not know')
  t.equal((await reset(id, stranger)).status, 404)
  t.equal((await reset(id, await login('editor'))).status, 403)
  t.equal((await reset(id, await key(['campaigns:read']))).status, 403)
  t.equal((await get('', await key(['campaigns:read']))).status, 200)
  t.equal((await get('', await key(['messages:read']))).status, 403)
  t.equal((await reset('nothing')).status, 404)
  t.match(await reset(id, await key(['campaigns:write'])), { status: 200, body: { state: 'halfOpen', triesAt: null } })

  await rooms.accounts.remove(other.id)
  await rooms.breakers.sweep()
  t.equal((await get('', await login('owner'))).body.data.length, 3, 'those of an account that was removed go with it')
})

t.test('a worker looks after them', async (t) => {
  const { db } = await buildTestApp(t, { works: true })
  t.match(await db.collection('agendaJobs').findOne({ name: 'breakers.sweep' }), { repeatInterval: 10_000 })
})
