import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MockAgent } from 'undici'
import type { AccountCreate } from '../../shared/account.js'
import type { Role, Scope } from '../../shared/operator.js'
import { buildApp } from '../../server/app.js'
import type { AppParts } from '../../server/rooms.js'
import type { Account } from '../../server/accounts/accounts.js'
import { openEmbedded, type Embedded } from '../../server/embedded/embedded.js'
import type { Clock } from '../../server/platform/clock.js'
import { newId } from '../../server/platform/ids.js'
import { silentLog } from '../../server/platform/log.js'
import { connectMongo } from '../../server/platform/mongo.js'
import { UNLIMITED, type RateLimits } from '../../server/platform/rate-limits.js'
import { createSealer } from '../../server/platform/sealing.js'
import { createSandbox, type Sandbox } from '../../server/sandbox/sandbox.js'
import { testClock, type TestClock } from './clock.js'

export type TestOptions = {
  /** Where the clock starts; without it the clock is the machine's moment of building, and stands still. */
  now?: Date | string
  /** `sandbox`: a local WeChat is started and accounts point at it; else calls meet a MockAgent with the net cut off. */
  wechat?: 'mock' | 'sandbox'
  /** Runs jobs in this process (on real time); off by default, `rooms.jobs.run(name)` runs one by hand. */
  works?: boolean
  /** Instead of a clock that stands still: for tests of what really happens while time passes. */
  clock?: Clock
  apiBase?: string
  /** Requests a minute of one caller; no limit when not said. */
  rateLimits?: Partial<RateLimits>
}

export type TestApp = Awaited<ReturnType<typeof buildTestApp>>

export const testKeyring = { sealing: [{ id: 'k1', key: Buffer.alloc(32, 7) }], hash: Buffer.alloc(32, 9) }

let store: Promise<Embedded & { dir: string }> | null = null

/** Slots are paced by the store's own time, so the store goes by the machine's clock, as a real server would.
 * The store of this test process: MONGODB_URI, or one embedded store in a temporary directory for all its apps. */
export async function testStoreUri(): Promise<string> {
  const given = process.env.MONGODB_URI
  if (given) return given
  store ??= (async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hongyan-test-'))
    t.teardown(async () => {
      await (await store)?.close()
      await rm(dir, { recursive: true, force: true })
    })
    const embedded = await openEmbedded({ dir, worker: false, durability: 'commit' })
    return { ...embedded, dir }
  })()
  return (await store).uri
}

/** A connection to a fresh database of the test store; dropped and closed when the test ends. */
export async function testDb(t: Test) {
  const db = await connectMongo(await testStoreUri(), { dbName: `test_${randomBytes(6).toString('hex')}` })
  t.teardown(async () => {
    await db.dropDatabase()
    await db.close()
  })
  return db
}

/** The whole server on a fresh database, with its clock in the test's hand. Everything ends with the test. */
export async function buildTestApp(t: Test, options: TestOptions = {}) {
  const clock: TestClock = testClock(options.now ?? new Date())
  const time = options.clock ?? clock
  const db = await testDb(t)
  const agent = options.wechat === 'sandbox' ? null : new MockAgent()
  agent?.disableNetConnect()
  const sandbox: Sandbox | null =
    options.wechat === 'sandbox'
      ? await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 1, now: () => time.now().getTime() })
      : null
  const parts: AppParts = {
    config: {
      apiBase: options.apiBase ?? sandbox?.url ?? 'https://api.weixin.qq.com',
      publicUrl: 'http://hongyan.test',
      trustProxy: false,
      webhookAllow: ['127.0.0.1'],
      rateLimits: options.rateLimits ?? UNLIMITED
    },
    db,
    clock: time,
    log: silentLog(),
    sealer: createSealer(testKeyring),
    random: () => 0.5,
    works: options.works ?? false,
    lockLifetimeMs: 2_000,
    passwordCost: { N: 2 ** 8, p: 1 },
    serves: true,
    ...(agent !== null && { dispatcher: agent })
  }
  const server = await buildApp(parts)
  const { app, rooms } = server
  // Last in, first out: the app ends before its database goes.
  t.teardown(async () => {
    await server.stop()
    await sandbox?.close()
    await agent?.close()
  })
  await server.start()

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  return {
    app,
    rooms,
    parts,
    clock,
    db,
    /** The double of WeChat, unless the sandbox is there. */
    agent,
    sandbox,
    /** Headers of an operator made for this. */
    async login(role: Role = 'owner', accountIds: string[] | null = null) {
      const email = `${newId()}@example.com`
      const { id } = await rooms.operators.create({ email, password: 'correct horse battery', role, accountIds })
      return bearer(rooms.tokens.operator(id).token)
    },
    /** Headers of a fresh API key. */
    async key(scopes: Scope[], accountIds: string[] | null = null) {
      const { key } = await rooms.apiKeys.create({ name: 'test', scopes, accountIds })
      return bearer(key)
    },
    /** Headers of a phone. */
    phone(bound: { accountId: string; recipientId: string; personId: string }) {
      return bearer(rooms.tokens.phone(bound).token)
    },
    /** Connects an account; by default a mini-program in mode sandbox. */
    account(overrides: Partial<AccountCreate> = {}): Promise<Account> {
      const appId = `wx${randomBytes(8).toString('hex')}`
      return rooms.accounts.create({
        kind: 'miniprogram',
        appId,
        secret: 'a secret of the app',
        name: appId,
        mode: 'sandbox',
        ...overrides
      })
    }
  }
}
