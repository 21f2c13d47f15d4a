import t from 'tap'
import { NEVER } from '../../../shared/limits.js'
import { buildTestApp } from '../../support/build-app.js'

const NOW = '2026-03-02T12:00:00Z'
const inDays = (days: number) => new Date(Date.parse(NOW) + days * 86_400_000)

t.test('who can be written to, day by day, if nothing is spent or caught', async (t) => {
  const { app, rooms, account, key } = await buildTestApp(t, { now: NOW })
  const { id: accountId } = await account()
  let made = 0
  const right = (recipientId: string, expiresAt: Date, more: object = {}) => ({
    _id: `c${++made}`,
    hash: `h${made}`,
    accountId,
    recipientId,
    state: 'live',
    expiresAt,
    sendsLeft: 1,
    unlimited: false,
    ...more
  })
  const rows = rooms.credentials.rows
  await rows.insertMany([
    right('Aann', inDays(1.5)),
    right('Aann', inDays(0.2)),
    right('Bbob', inDays(0.5)),
    right('Bbob', NEVER, { sendsLeft: 0 }),
    right('zcat', NEVER),
    right('zdan', inDays(40), { sendsLeft: 0, unlimited: true }),
    right('zeve', inDays(-1)),
    right('zfay', inDays(3), { state: 'burnt' }),
    right('other', inDays(3), { accountId: 'another' })
  ] as never)
  const ask = async () => {
    const url = `/v1/credentials/reach?accountId=${accountId}&days=3`
    return (await app.inject({ url, headers: await key(['credentials:read']) })).json()
  }
  t.same(await ask(), {
    days: [4, 3, 2, 2].map((people, day) => ({ at: inDays(day).toISOString(), people })),
    estimated: false
  })
  t.equal((await app.inject({ url: `/v1/credentials/reach?accountId=${accountId}`, headers: await key(['people:read']) })).statusCode, 403) // prettier-ignore

  const many = Array.from({ length: 3_000 }, (_, i) => right(`A${i}`, inDays(2.5)))
  await rows.insertMany(many as never)
  t.match(await ask(), { days: [3_001, 3_001, 3_000, 0].map((n) => ({ people: n * 64 })), estimated: true })
})
