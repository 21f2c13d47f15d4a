import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mongoose from 'mongoose'
import t from 'tap'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { createTokenCentre } from '../../../server/wechat/access-token.js'
import { bySecret } from '../../../server/wechat/token-calls.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import type { WechatClient } from '../../../server/wechat/client.js'
import { createTokenRows, type TokenRows } from '../../../server/wechat/token-rows.js'
import { testClock } from '../../support/clock.js'
import { memoryTokenRows } from './memory-token-rows.js'

const dir = await mkdtemp(join(tmpdir(), 'hongyan-tokens-'))
const store = process.env.MONGODB_URI ? null : await openEmbedded({ dir, worker: false, durability: 'commit' })
const database = `tokens_${process.pid}`
const connect = () => mongoose.createConnection(process.env.MONGODB_URI ?? store!.uri, { dbName: database }).asPromise()
const db = await connect()
const second = await connect()
t.teardown(async () => {
  await db.dropDatabase()
  await db.close()
  await second.close()
  await store?.close()
  await rm(dir, { recursive: true, force: true })
})

const at = (seconds: number) => new Date(Date.UTC(2026, 2, 1) + seconds * 1_000)

// The tests of the token centre run on rows in memory; here those are held to the same words as the real ones.
const twins: [string, TokenRows][] = [
  ['rows in memory', memoryTokenRows()],
  ['rows in the store', createTokenRows(db)]
]

for (const [name, rows] of twins) {
  t.test(name, async (t) => {
    t.test('are made once and read whole', async (t) => {
      t.equal(await rows.read('a'), null)
      await Promise.all([rows.make('a'), rows.make('a'), rows.make('a')])
      const row = await rows.read('a')
      t.match(row, { _id: 'a', token: null, gen: 0, lease: null, leaseUntil: null, blockedUntil: null })
      t.same(row!.forced, { day: 0, n: 0, at: null })
      t.same(row!.expiresAt, new Date(0))
    })

    t.test('give the lease to one, until it ends, and only at the number seen', async (t) => {
      const all = await Promise.all(['x', 'y', 'z'].map((lease) => rows.lease('a', 0, lease, at(0), at(20))))
      t.equal(all.filter((row) => row !== null).length, 1)
      const [owner] = all.filter((row) => row !== null)
      t.match(owner, { gen: 0, leaseUntil: at(20).toISOString() })
      t.equal(await rows.lease('a', 0, 'late', at(20), at(40)), null, 'not at its very end')
      t.equal(await rows.lease('a', 1, 'late', at(21), at(41)), null, 'not at another number')
      t.match(await rows.lease('a', 0, 'late', at(21), at(41)), { lease: 'late' })
    })

    t.test('take a token from the holder of the lease only', async (t) => {
      const next = { token: 'sealed', gen: 1, expiresAt: at(7200), renewAt: at(7000), madeAt: at(22) }
      t.equal(await rows.store('a', 'x', 0, next), false)
      t.equal(await rows.noteForced('a', 'x', { day: 1, n: 1, at: at(22) }, at(42)), false)
      t.equal(await rows.noteForced('a', 'late', { day: 1, n: 1, at: at(22) }, at(42)), true)
      t.match(await rows.read('a'), {
        leaseUntil: at(42).toISOString(),
        forced: { day: 1, n: 1, at: at(22).toISOString() }
      })
      t.equal(await rows.store('a', 'late', 3, next), false)
      t.equal(await rows.store('a', 'late', 0, next), true)
      const { token, gen, expiresAt, renewAt, madeAt } = (await rows.read('a'))!
      t.same({ token, gen, expiresAt, renewAt, madeAt }, next)
      t.match(await rows.read('a'), { lease: null, leaseUntil: null, forced: { n: 1 } })
      t.equal(await rows.store('a', 'late', 0, next), false, 'once')
    })

    t.test('release for the holder only, block to the later moment, and go when told', async (t) => {
      await rows.lease('a', 1, 'w', at(50), at(70))
      await rows.release('a', 'x')
      t.match(await rows.read('a'), { lease: 'w' })
      await rows.release('a', 'w')
      t.match(await rows.read('a'), { lease: null, leaseUntil: null })
      await rows.block('a', at(100))
      await rows.block('a', at(90))
      t.match(await rows.read('a'), { blockedUntil: at(100).toISOString() })
      await rows.remove('a')
      t.equal(await rows.read('a'), null)
    })
  })
}

t.test('two processes on one store fetch one token between them, at first and after a refusal', async (t) => {
  const clock = testClock()
  let fetched = 0
  const client: WechatClient = {
    async call() {
      fetched += 1
      const body: any = { access_token: `token-${fetched}`, expires_in: 7200 }
      await new Promise((done) => setTimeout(done, 20))
      return { kind: 'answer', errcode: 0, errmsg: '', rid: null, body, httpStatus: 200, ms: 20 }
    },
    async close() {}
  }
  const centre = (connection: mongoose.Connection) =>
    createTokenCentre({
      db: connection,
      clock,
      fetcher: bySecret({ client, secretOf: async () => 's3cret' }),
      seal: { seal: (text) => `sealed:${text}`, open: (sealed) => sealed.slice(7) },
      random: () => 0.5,
      sleep: () => new Promise((done) => setTimeout(done, 5))
    })
  const hosts = [centre(db), centre(second)]
  const account: WechatAccount = {
    accountId: 'a1',
    appId: 'wx00000000000000a1',
    kind: 'miniprogram',
    apiBase: 'https://api.weixin.qq.com',
    tokenApi: 'classic'
  }
  const first = await Promise.all(Array.from({ length: 20 }, (_, i) => hosts[i % 2]!.current(account)))
  t.ok(first.every(({ token, gen }) => token === 'token-1' && gen === 1))
  const next = await Promise.all(Array.from({ length: 20 }, (_, i) => hosts[i % 2]!.refused(account, 1)))
  t.ok(next.every(({ token, gen }) => token === 'token-2' && gen === 2))
  t.equal(fetched, 2)
  t.match(await createTokenRows(db).read('a1'), { token: 'sealed:token-2', gen: 2, lease: null })
})
