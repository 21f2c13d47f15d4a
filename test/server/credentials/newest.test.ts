import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

t.test('rights of an account, the latest first, without reading all of them', async (t) => {
  const { app, account, rooms, key } = await buildTestApp(t)
  const headers = { ...(await key(['credentials:read', 'credentials:write'])), 'content-type': 'application/json' }
  const [mine, other] = [await account(), await account({ appId: 'wx00000000000000ff' })]
  const catchOne = async (accountId: string, n: number) => {
    const item = { id: `tap-${n}`, openId: `o${n % 3}`, source: 'form', value: `form${accountId}${n}` }
    const payload = { accountId, items: [item] }
    const answer = await app.inject({ method: 'POST', url: '/v1/credentials', headers, payload })
    t.equal(answer.json().items[0].verdict, 'stored')
  }
  for (let n = 0; n < 7; n++) {
    await catchOne(mine.id, n)
    await catchOne(other.id, n)
  }
  const wanted = (await rooms.credentials.rows.find({ accountId: mine.id }).sort({ _id: -1 }).toArray()).map(({ _id }) => _id) // prettier-ignore

  const { rows } = rooms.credentials
  const find = rows.find.bind(rows) as (...given: unknown[]) => unknown
  const hints: unknown[] = []
  let slow = false
  rows.find = ((filter: unknown, options: { hint?: unknown } = {}) => {
    hints.push(options.hint)
    if (slow && options.hint !== undefined)
      throw Object.assign(new Error('operation exceeded time limit'), { code: 50 })
    return find(filter, options)
  }) as typeof rows.find
  const list = async (query: string) => (await app.inject({ url: `/v1/credentials?accountId=${mine.id}${query}`, headers })).json() // prettier-ignore
  const walk = async () => {
    const found: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const { data, page }: { data: { id: string }[]; page: { nextCursor: string | null } } = await list(`&limit=3${cursor && `&cursor=${cursor}`}`) // prettier-ignore
      found.push(...data.map(({ id }) => id))
      cursor = page.nextCursor
    }
    return found
  }
  t.same(await walk(), wanted)
  t.same(new Set(hints.map((hint) => JSON.stringify(hint))), new Set(['{"_id":1}']), 'by the index of ids')

  slow = true
  t.same(await walk(), wanted, 'what that does not find in time is found all the same')
  slow = false
  hints.length = 0
  t.equal((await list('&sort=createdAt')).data.length, 7)
  t.equal((await list('&recipientId=nobody')).data.length, 0)
  t.same(hints, [undefined, undefined], 'another order, and a person, have ways of their own')
})
