import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ConfigFault, readConfig, VARIABLES } from '../../../server/config.js'
import { createSyncedClock } from '../../../server/platform/clock-sync.js'
import {
  addKey,
  dropKey,
  loadKeys,
  newKeyLine,
  parseKeyLine,
  rotatedAt,
  rotateKeys,
  toKeyLine,
  watchKeys,
  withCurrent,
  withKey,
  withoutKey
} from '../../../server/platform/keys.js'
import { newId, randomToken } from '../../../server/platform/ids.js'
import { silentLog } from '../../../server/platform/log.js'
import { connectMongo, isDuplicateKey, withoutPassword } from '../../../server/platform/mongo.js'
import { listPage } from '../../../server/platform/page.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { testDb, testKeyring } from '../../support/build-app.js'

t.test('sealing', async (t) => {
  const sealer = createSealer(testKeyring)

  t.test('opens what it sealed, never twice the same', async (t) => {
    const sealed = sealer.seal('oABC-中文')
    t.match(sealed, /^k1\.[A-Za-z0-9_-]+$/)
    t.equal(sealer.open(sealed), 'oABC-中文')
    t.not(sealer.seal('oABC-中文'), sealed)
    t.equal(sealer.open(sealer.seal('')), '')
  })
  t.test('refuses what was changed, cut off or sealed with other keys', async (t) => {
    const sealed = sealer.seal('secret')
    const flipped = `${sealed.slice(0, -2)}${sealed.at(-2) === 'A' ? 'B' : 'A'}${sealed.at(-1)}`
    t.throws(() => sealer.open(flipped))
    t.throws(() => sealer.open('k1.AAAA'), { message: /cut off/ })
    t.throws(() => sealer.open(sealed.replace('k1.', 'k9.')), { message: /"k9"/ })
    t.throws(() => sealer.open('nonsense'))
  })
  t.test('opens old values after a rotation and renames none of its hashes', async (t) => {
    const newer = createSealer({
      ...testKeyring,
      sealing: [{ id: 'k2', key: Buffer.alloc(32, 8) }, ...testKeyring.sealing]
    })
    t.equal(newer.open(sealer.seal('old')), 'old')
    t.match(newer.seal('new'), /^k2\./)
    t.equal(newer.hash('a', 'b'), sealer.hash('a', 'b'))
  })
  t.test('hashes parts, not their sum; 132 bits', async (t) => {
    t.not(sealer.hash('ab', 'c'), sealer.hash('a', 'bc'))
    t.not(sealer.hash('a', ''), sealer.hash('a'))
    t.match(sealer.hash('x'), /^[A-Za-z0-9_-]{22}$/)
    t.notSame(sealer.derive('tokens'), sealer.derive('others'))
  })
  t.test('ids sort by time and tokens are long', async (t) => {
    t.match(newId(), /^[0-9a-f]{24}$/)
    t.equal(randomToken().length, 32)
  })
})

t.test('keys', async (t) => {
  t.test('are made once, for the owner alone', async (t) => {
    const dir = join(t.testdir(), 'data')
    const [first, second] = await Promise.all([loadKeys(dir), loadKeys(dir)])
    t.same(first.keyring, second.keyring, 'two processes starting at once agree')
    t.same((await loadKeys(dir)).made, false)
    if (process.platform !== 'win32') t.equal((await stat(join(dir, 'keys.json'))).mode & 0o777, 0o600)
  })
  t.test('are rotated in the file', async (t) => {
    const dir = t.testdir()
    const old = (await loadKeys(dir)).keyring
    const [watched, asked] = [watchKeys(dir, old), createSealer(watchKeys(dir, old))]
    t.equal(await addKey(dir), 'k2')
    t.same(
      (await loadKeys(dir)).keyring.sealing.map(({ id }) => id),
      ['k1', 'k2'],
      'a key that was added opens and does not seal'
    )
    await t.rejects(rotateKeys(dir, 'k9', new Date(0)), { message: /no key "k9"/ })
    await rotateKeys(dir, 'k2', new Date('2026-03-01T00:00:00Z'))
    t.same(await rotatedAt(dir), new Date('2026-03-01T00:00:00Z'))
    const { keyring } = await loadKeys(dir)
    t.equal(watched.fresh().sealing[0]!.id, 'k2', 'a process that runs sees it')
    t.equal(asked.open(createSealer(keyring).seal('new')), 'new', 'and opens what the new key sealed at once')
    t.equal(asked.current(), 'k2')
    t.same(
      keyring.sealing.map(({ id }) => id),
      ['k2', 'k1']
    )
    t.equal(createSealer(keyring).open(createSealer(old).seal('kept')), 'kept')
    t.same(keyring.hash, old.hash)
    await t.rejects(dropKey(dir, 'k2'), { message: /current key/ })
    await dropKey(dir, 'k1')
    t.same(
      (await loadKeys(dir)).keyring.sealing.map(({ id }) => id),
      ['k2']
    )
    t.equal(asked.open(createSealer(old).seal('kept')), 'kept', 'who runs forgets none')
    await writeFile(join(dir, 'keys.json'), '{')
    t.equal(watched.fresh().sealing[0]!.id, 'k2', 'a damaged file changes nothing for who runs')
  })
  t.test('change in a line as they do in a file', async (t) => {
    const { keyring, id } = withKey(parseKeyLine(newKeyLine()))
    t.same([keyring.sealing.map((each) => each.id), id], [['k1', 'k2'], 'k2'])
    const turned = withCurrent(keyring, 'k2')
    t.same(parseKeyLine(toKeyLine(turned)), turned)
    t.same(
      withoutKey(turned, 'k1').sealing.map((each) => each.id),
      ['k2']
    )
    t.throws(() => withoutKey(turned, 'k2'), { message: /current key/ })
    t.throws(() => withCurrent(turned, 'k7'), { message: /no key "k7"/ })
  })
  t.test('come in one line of the environment', async (t) => {
    const { sealing, hash } = parseKeyLine(newKeyLine())
    t.same([sealing.map(({ id }) => id), hash.length], [['k1'], 32])
    t.throws(() => parseKeyLine('k1:abc'), { message: /the key "k1" is not 32 bytes/ })
    t.throws(() => parseKeyLine(`k1:${Buffer.alloc(32).toString('base64url')}`), { message: /hongyan keys new/ })
  })
  t.test('that are damaged stop the start, and are left alone', async (t) => {
    const dir = t.testdir({ 'keys.json': '{"hash"' })
    await t.rejects(loadKeys(dir), { message: /damaged/ })
    t.equal(await readFile(join(dir, 'keys.json'), 'utf8'), '{"hash"')
  })
})

t.test('settings', async (t) => {
  t.test('have defaults; empty variables are absent', async (t) => {
    t.match(readConfig({ MONGODB_URI: '', HONGYAN_PORT: '' }, { terminal: false }), {
      host: '127.0.0.1',
      port: 8480,
      mongodbUri: null,
      publicUrl: 'http://127.0.0.1:8480',
      apiBase: 'https://api.weixin.qq.com',
      logPretty: false,
      trustProxy: false
    })
    t.equal(readConfig({ HONGYAN_HOST: '0.0.0.0', HONGYAN_PORT: '99' }).publicUrl, 'http://localhost:99')
    t.equal(readConfig({ HONGYAN_PUBLIC_URL: 'https://push.example.com/' }).publicUrl, 'https://push.example.com')
  })
  t.test('are refused all at once, one line each', async (t) => {
    const environment = {
      HONGYAN_PORT: '70000',
      MONGODB_URI: 'localhost',
      HONGYAN_LOG_LEVEL: 'loud',
      HONGYAN_DATABASE: 'x',
      HONGYAN_ADMIN_PASSWORD: 'short'
    }
    try {
      readConfig(environment)
      t.fail('it was taken')
    } catch (error) {
      t.ok(error instanceof ConfigFault)
      const { faults, message } = error as ConfigFault
      const names = ['HONGYAN_ADMIN_PASSWORD', 'HONGYAN_DATABASE', 'HONGYAN_LOG_LEVEL', 'HONGYAN_PORT', 'MONGODB_URI']
      t.same(faults.map(({ name }) => name).sort(), names)
      for (const name of names) t.match(message, new RegExp(`\\n  ${name}: `))
      t.notMatch(message, /short|localhost/, 'values may be secrets')
    }
    t.throws(() => readConfig({ HONGYAN_ADMIN_EMAIL: 'a@b.cd' }), { message: /given together/ })
  })
  t.test('are each described', async (t) => {
    const source = await readFile(
      new URL('../../../server/config.' + (import.meta.url.endsWith('.ts') ? 'ts' : 'js'), import.meta.url),
      'utf8'
    )
    const read = new Set(source.match(/(?<=env\.)(HONGYAN_[A-Z_]+|MONGODB_URI)/g))
    t.same([...read].sort(), VARIABLES.map(({ name }) => name).sort())
  })
})

t.test('a list', async (t) => {
  const db = await testDb(t)
  const rows = db.collection<any>('things')
  const at = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n))
  // Three share each instant, so that only the _id tells them apart.
  await rows.insertMany(
    Array.from({ length: 30 }, (_, n) => ({
      _id: `t${String(n).padStart(2, '0')}`,
      at: at(Math.floor(n / 3)),
      n,
      odd: n % 2 === 1
    }))
  )
  const options = { filter: {}, sortable: ['at', 'n'], defaultSort: '-at' }
  const walk = async (query: object, filter = {}) => {
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const page: any = await listPage(
        rows as any,
        { ...options, filter, query: { limit: 7, ...query, ...(cursor ? { cursor } : {}) } },
        (row: any) => row._id
      )
      seen.push(...page.data)
      cursor = page.page.nextCursor
    } while (cursor !== null)
    return seen
  }
  const all = (await rows.find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id)

  t.test('is walked whole, in either direction, by any field offered', async (t) => {
    t.same(await walk({}), all.toReversed())
    t.same(await walk({ sort: 'at' }), all)
    t.same(await walk({ sort: '-n', limit: 10 }), all.toReversed(), 'a last full page ends the walk')
    t.same(await walk({}, { odd: true }), all.filter((_, n) => n % 2 === 1).toReversed())
  })
  t.test('repeats and skips nothing when rows come in meanwhile', async (t) => {
    const query = { limit: 10 } as any
    const first = await listPage(rows as any, { ...options, query }, (row: any) => row._id)
    await rows.insertOne({ _id: 'new', at: at(99), n: 99 })
    const second = await listPage(
      rows as any,
      { ...options, query: { ...query, cursor: first.page.nextCursor! } },
      (row: any) => row._id
    )
    t.same([...first.data, ...second.data], all.toReversed().slice(0, 20))
    await rows.deleteOne({ _id: 'new' })
  })
  t.test('counts when asked', async (t) => {
    const { page } = await listPage(
      rows as any,
      { ...options, query: { limit: 1, count: 'true' } },
      (row: any) => row._id
    )
    t.match(page, { total: 30, estimated: false })
  })
  t.test('refuses cursors it did not give out and fields it does not offer', async (t) => {
    const list = (query: object) =>
      listPage(rows as any, { ...options, query: { limit: 5, ...query } }, (row: any) => row._id)
    const forged = (value: unknown) => Buffer.from(JSON.stringify(['-at', value, 'x'])).toString('base64url')
    const { page } = await list({ sort: 'n' })
    for (const cursor of ['%%%', forged({ $gt: 1 }), forged({ at: 'never' }), page.nextCursor!]) {
      await t.rejects(list({ cursor }), { status: 422, errors: [{ pointer: '/cursor' }] } as never)
    }
    await t.rejects(list({ sort: 'secret' }), { status: 422, errors: [{ pointer: '/sort' }] } as never)
  })
})

t.test('the store', async (t) => {
  t.test('that does not answer is named, without its password', async (t) => {
    const uri = 'mongodb://root:hunter2@127.0.0.1:1/x'
    await t.rejects(connectMongo(uri, { timeoutMs: 200 }), {
      code: 'store.unreachable',
      message: /mongodb:\/\/\*\*\*@127\.0\.0\.1:1\/x does not answer/
    } as never)
    t.equal(withoutPassword('mongodb://a/b'), 'mongodb://a/b')
  })
  t.test('tells its complaint about unique values apart', async (t) => {
    const db = await testDb(t)
    await db.collection<any>('x').insertOne({ _id: 'a' })
    const error = await db
      .collection<any>('x')
      .insertOne({ _id: 'a' })
      .catch((error: unknown) => error)
    t.ok(isDuplicateKey(error))
    t.notOk(isDuplicateKey(new Error('other')))
  })
  t.test('gives the time to every process', async (t) => {
    const hour = 3_600_000
    const answers = (localTime: () => Date) => ({
      getClient: () => ({ db: () => ({ command: async () => ({ localTime: localTime() }) }) })
    })
    const synced = createSyncedClock(silentLog())
    t.notOk(synced.fresh(), 'nothing is known before it was asked')
    await synced.start(answers(() => new Date(Date.now() + hour)) as never)
    synced.stop()
    t.ok(synced.fresh())
    t.ok(Math.abs(synced.clock.now().getTime() - Date.now() - hour) < 1_000)
    const deaf = createSyncedClock(silentLog())
    await deaf.start({
      getClient: () => ({ db: () => ({ command: () => Promise.reject(new Error('away')) }) })
    } as never)
    deaf.stop()
    t.notOk(deaf.fresh())
  })
})
