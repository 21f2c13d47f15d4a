import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { backupStore, checkStore, EmbeddedStoreError, openEmbedded } from '../../../server/embedded/embedded.js'
import { supportedMarkdown } from '../../../server/embedded/commands/supported.js'
import { explainStoreError } from '../../../server/embedded/storage/store-error.js'
import { withStore } from './with-store.js'

async function failure(work: Promise<unknown>): Promise<EmbeddedStoreError> {
  try {
    await work
  } catch (error) {
    return error as EmbeddedStoreError
  }
  throw new Error('it did not fail')
}

t.test('a worker thread serves the store, and closing gives it back', async (t) => {
  const dir = join(t.testdir(), 'deep', 'store')
  const store = await openEmbedded({ dir })
  t.match(store, { owner: true, uri: /^mongodb:\/\/%2F.*%2Fs\.sock\/hongyan\?directConnection=true/ })
  const client = await new MongoClient(store.uri).connect()
  await client.db().collection<any>('a').insertOne({ _id: 1 })
  const guest = await openEmbedded({ dir })
  t.same([guest.owner, guest.uri], [false, store.uri], 'a second opening is led to the first')
  await guest.close()
  t.equal(await client.db().collection('a').countDocuments(), 1, 'which a guest’s close does not end')
  await client.close()
  const before = performance.now()
  await Promise.all([store.close(), store.close()])
  t.ok(performance.now() - before < 3_000, 'quickly')
  t.same(
    readdirSync(dir).filter((name) => name.startsWith('owner')),
    []
  )
  const again = await openEmbedded({ dir, worker: false })
  t.ok(again.owner)
  await again.close()
})

t.test('of many who open a directory at once, one owns it', async (t) => {
  const dir = t.testdir()
  const all = await Promise.all(Array.from({ length: 6 }, () => openEmbedded({ dir, worker: false })))
  t.equal(all.filter((store) => store.owner).length, 1)
  t.equal(new Set(all.map((store) => store.uri)).size, 1)
  const closing = Promise.all(all.map((store) => store.close()))
  const next = await openEmbedded({ dir, worker: false })
  t.ok(next.owner, 'who comes while the owner leaves waits and takes its place')
  await closing
  await next.close()
})

t.test('what a dead owner left is taken over, what is no owner’s file is swept away', async (t) => {
  const dir = t.testdir()
  const first = await openEmbedded({ dir, worker: false })
  const name = readdirSync(dir).find((file) => file.startsWith('owner-')) as string
  const left = JSON.parse(readFileSync(join(dir, name), 'utf8'))
  await first.close()
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise((resolve) => child.once('exit', resolve))
  writeFileSync(join(dir, name), JSON.stringify({ ...left, pid: child.pid }))
  writeFileSync(join(dir, 'owner-broken.json'), '{')
  const second = await openEmbedded({ dir, worker: false })
  t.ok(second.owner)
  t.equal(readdirSync(dir).filter((file) => file.startsWith('owner-')).length, 1)
  await second.close()
  // The socket was removed from under a process that still runs: two owners would ruin the store.
  writeFileSync(join(dir, name), JSON.stringify({ ...left, started: null }))
  t.match(await failure(openEmbedded({ dir, worker: false })), {
    code: 'store.in-use',
    message: new RegExp(`process ${process.pid}`)
  })
})

t.test('a directory that cannot be used is named, with the cure', async (t) => {
  const dir = t.testdir({ file: 'x', damaged: { 'data.mdb': 'x'.repeat(9_000) } })
  for (const worker of [true, false]) {
    t.match(await failure(openEmbedded({ dir: join(dir, 'file'), worker })), {
      code: 'store.not-a-directory',
      message: new RegExp(`${dir}/file`)
    })
  }
  t.ok((await failure(openEmbedded({ dir: join(dir, 'file', 'deeper') }))) instanceof EmbeddedStoreError)
  t.match(await failure(openEmbedded({ dir: join(dir, 'damaged'), worker: false })), { code: 'store.damaged' })
  mkdirSync(join(dir, 'locked'))
  chmodSync(join(dir, 'locked'), 0o500)
  if (process.getuid?.() !== 0)
    t.match(await failure(openEmbedded({ dir: join(dir, 'locked') })), { code: 'store.not-writable' })
  chmodSync(join(dir, 'locked'), 0o700)
  for (const [error, code] of [
    [Object.assign(new Error('x'), { code: 'EACCES' }), 'store.not-writable'],
    [Object.assign(new Error('x'), { code: 'EROFS' }), 'store.not-writable'],
    [Object.assign(new Error('x'), { code: 'ENOSPC' }), 'store.disk-full'],
    [new Error('MDB_MAP_FULL: Environment mapsize limit reached'), 'store.disk-full'],
    [new Error('MDB_INVALID: File is not an LMDB file'), 'store.damaged']
  ] as const) {
    t.match(explainStoreError('/some/where', error), { code, message: /\/some\/where/ })
  }
})

t.test('a copy opens like the original, taken from a store in use or at rest', async (t) => {
  const { dir, db, end } = await withStore(t, { dir: join(t.testdir(), 'store') })
  await db.collection('a').createIndex({ n: 1 })
  await db.collection('a').insertMany(Array.from({ length: 500 }, (_, n) => ({ n, at: new Date(n) })))
  const live = join(dir, '..', 'live')
  await backupStore(dir, live)
  t.match(await checkStore(dir), { collections: 1, documents: 500, errors: [] })
  await end()
  const rest = join(dir, '..', 'rest')
  await backupStore(dir, rest)
  for (const copy of [live, rest]) t.same(await checkStore(copy), { collections: 1, documents: 500, errors: [] })
  t.match(await failure(backupStore(dir, live)), { code: 'store.in-use', message: /not empty/ })
  t.match(await failure(checkStore(join(dir, 'nothing'))), { code: 'store.not-a-directory' })
  t.notOk(existsSync(join(dir, 'nothing')))
  const opened = await withStore(t, { dir: live })
  t.equal(await opened.db.collection('a').countDocuments({ n: { $gte: 250 } }), 250)
})

t.test('many stores live side by side in one process, and start quickly', async (t) => {
  const dir = t.testdir()
  await (await openEmbedded({ dir: join(dir, 'warm'), worker: false })).close()
  const stores = await Promise.all(
    Array.from({ length: 5 }, (_, i) => openEmbedded({ dir: join(dir, `s${i}`), worker: false, durability: 'commit' }))
  )
  const clients = await Promise.all(stores.map((store) => new MongoClient(store.uri).connect()))
  await Promise.all(
    clients.map((client, i) =>
      client
        .db()
        .collection<any>('x')
        .insertMany(Array.from({ length: i + 1 }, (_, n) => ({ n })))
    )
  )
  t.same(await Promise.all(clients.map((client) => client.db().collection('x').countDocuments())), [1, 2, 3, 4, 5])
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(stores.map((store) => store.close()))
  const before = performance.now()
  const again = await openEmbedded({ dir: join(dir, 's4'), worker: false })
  t.ok(performance.now() - before < 1_000)
  await again.close()
})

t.test('the README names what the code knows', async (t) => {
  const places = ['../../../server/embedded/README.md', '../../../../server/embedded/README.md'] // from the sources, or compiled
  const file = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find(existsSync) as string
  const readme = readFileSync(file, 'utf8')
  const lists = /(?<=<!-- supported -->\n\n)[^]*?(?=\n\n<!-- \/supported -->)/
  // UPDATE_README=1 writes the lists anew, after the tables have changed.
  if (process.env.UPDATE_README === '1')
    writeFileSync(
      file,
      readme.replace(lists, () => supportedMarkdown())
    )
  t.equal(lists.exec(readFileSync(file, 'utf8'))?.[0], supportedMarkdown())
})
