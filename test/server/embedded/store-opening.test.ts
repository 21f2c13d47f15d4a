import { spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import { open as openLmdb } from 'lmdb'
import t from 'tap'
import { backupStore, checkStore, EmbeddedStoreError, openEmbedded } from '../../../server/embedded/embedded.js'
import { supportedMarkdown } from '../../../server/embedded/commands/supported.js'
import { openSocket } from '../../../server/embedded/storage/socket.js'
import { explainStoreError } from '../../../server/embedded/storage/store-error.js'
import { shortDir, withStore } from './with-store.js'

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
  t.match(store, { owner: true, uri: /^mongodb:\/\/%2F.*\.sock\/hongyan\?directConnection=true/ })
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

t.test('the socket', async (t) => {
  if (process.platform === 'win32') return t.pass('there are none')
  const accept = () => {}
  t.test('lies in the data directory, or else in a directory of this user alone', async (t) => {
    const dir = shortDir(t)
    const inside = await openSocket(dir, accept)
    t.equal(inside.stable, join(dir, 's.sock'))
    t.equal(statSync(inside.path()).mode & 0o777, 0o600)
    await inside.close()
    chmodSync(dir, 0o755)
    const outside = await openSocket(dir, accept)
    t.match(outside.stable, join(tmpdir(), `hongyan-${process.geteuid!()}`), 'others could replace it there')
    await outside.close()
  })
  t.test('is not put where another user may have prepared something', async (t) => {
    const temp = shortDir(t)
    const elsewhere = shortDir(t)
    const before = process.env.TMPDIR
    process.env.TMPDIR = temp
    t.teardown(() => (before === undefined ? delete process.env.TMPDIR : (process.env.TMPDIR = before)))
    const place = join(temp, `hongyan-${process.geteuid!()}`)
    const dir = join(t.testdir(), 'a path too long for a socket in it'.repeat(3))
    mkdirSync(dir)
    for (const prepare of [
      () => symlinkSync(elsewhere, place),
      () => mkdirSync(place, { mode: 0o777 }),
      () => writeFileSync(place, '')
    ]) {
      prepare()
      if (statSync(place).isDirectory()) chmodSync(place, 0o777)
      const socket = await openSocket(dir, accept)
      t.match(socket.stable, join(temp, 'hongyan-s-'))
      t.equal(statSync(join(socket.stable, '..')).mode & 0o777, 0o700)
      await socket.close()
      t.notOk(existsSync(join(socket.stable, '..')))
      rmSync(place, { recursive: true })
    }
    t.same(readdirSync(elsewhere), [])
  })
  t.test('comes back when a cleaner has taken it away', async (t) => {
    const dir = shortDir(t)
    const socket = await openSocket(dir, accept)
    await socket.publish()
    rmSync(socket.stable)
    t.notOk(await socket.taken())
    await socket.keep()
    t.ok(await socket.taken())
    await socket.retreat()
    t.notOk(existsSync(socket.stable))
    await socket.close()
    t.same(readdirSync(dir), [])
  })
  t.test('that answers is proof of an owner, whatever became of its file', async (t) => {
    const dir = shortDir(t)
    const server = createServer().listen(join(dir, 's.sock'))
    await new Promise((resolve) => server.once('listening', resolve))
    t.match(await failure(openEmbedded({ dir, worker: false })), { code: 'store.in-use', message: /s\.sock/ })
    t.same(readdirSync(dir), ['s.sock'])
    server.close()
  })
})

t.test('a copy of a store in use is a store of its own', async (t) => {
  const dir = join(t.testdir(), 'store')
  const store = await openEmbedded({ dir, worker: false })
  cpSync(dir, `${dir}2`, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  const copy = await openEmbedded({ dir: `${dir}2`, worker: false })
  t.ok(copy.owner)
  t.not(copy.uri, store.uri)
  await copy.close()
  await store.close()
})

t.test('other users can read nothing', async (t) => {
  if (process.platform === 'win32') return t.pass('rights are of another kind there')
  const dir = join(t.testdir(), 'store')
  mkdirSync(dir, { mode: 0o755 })
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const store = await openEmbedded({ dir, worker: false })
  const copy = `${dir}-copy`
  await backupStore(dir, copy)
  const modes = (at: string) => readdirSync(at).map((name) => [name, statSync(join(at, name)).mode & 0o077])
  for (const at of [dir, copy]) {
    t.same(
      modes(at).filter(([, mode]) => mode !== 0),
      []
    )
    t.equal(statSync(at).mode & 0o777, 0o700)
  }
  await store.close()
  await checkStore(copy)
  t.same(modes(copy), [
    ['data.mdb', 0],
    ['lock.mdb', 0]
  ])
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
  t.match(await failure(openEmbedded({ dir: join(dir, 'file', 'deeper') })), { code: 'store.not-a-directory' })
  t.match(await failure(openEmbedded({ dir: join(dir, 'x'.repeat(300)) })), {
    code: 'store.not-a-directory',
    message: /too long/
  })
  // Node's own recursive mkdir would never come back from here.
  if (existsSync('/proc/self'))
    t.match(await failure(openEmbedded({ dir: '/proc/hy/store' })), { code: 'store.not-writable' })
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

t.test('a data file that is no store, or no longer a whole one, is refused before it is used', async (t) => {
  const { dir, db, end } = await withStore(t, { dir: join(t.testdir(), 'store') })
  await db.collection('a').createIndex({ n: 1 })
  await db.collection('a').insertMany(Array.from({ length: 3_000 }, (_, n) => ({ n, text: 'x'.repeat(n) })))
  await end()
  t.same((await checkStore(dir)).errors, [])
  const file = join(dir, 'data.mdb')
  const good = readFileSync(file)
  const refused = async (code: string, message: RegExp) => {
    t.match(await failure(openEmbedded({ dir, worker: false })), { code, message })
    t.match(await failure(checkStore(dir)), { code, message })
    t.match(await failure(backupStore(dir, `${dir}-${code}`)), { code, message })
  }
  for (const bytes of [good.length / 2, 8_192, 4_096]) {
    truncateSync(file, bytes)
    await refused('store.damaged', new RegExp(`cut off: it has ${bytes} of \\d+ bytes`))
  }
  for (const version of [1, 3]) {
    writeFileSync(file, good)
    const bytes = Buffer.from(good)
    bytes.writeUInt32LE(version, 28)
    writeFileSync(file, bytes)
    await refused(version === 1 ? 'store.foreign' : 'store.too-new', /data version/)
  }
  let found = 0
  const pages = good.length / 4096
  for (let page = 2; page < pages; page += 397) {
    const bytes = Buffer.from(good)
    bytes.fill(0xa5, page * 4096, (page + 1) * 4096)
    writeFileSync(file, bytes)
    if ((await checkStore(dir)).errors.length > 0) found++
  }
  t.ok(found > pages / 397 / 4, `a page of rubbish in ${found} places`)
  writeFileSync(file, good)
  t.same((await checkStore(dir)).errors, [])

  const others = join(dir, '..', 'others')
  const foreign = openLmdb(others, { noSubdir: false })
  await foreign.openDB('pictures', {}).put('a', 1)
  await foreign.close()
  t.match(await failure(openEmbedded({ dir: others })), { code: 'store.foreign', message: /"pictures"/ })
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
