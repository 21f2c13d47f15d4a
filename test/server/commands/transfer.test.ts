import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoClient,
  ObjectId,
  Timestamp,
  UUID,
  type Db
} from 'mongodb'
import t from 'tap'
import { readDocument, writeDocument } from '../../../server/commands/extended-json.js'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { newKeyLine } from '../../../server/platform/keys.js'
import { run } from './run.js'

t.setTimeout(170_000)

/** Works on the database of a data directory, as a server would have it. */
async function within<T>(data: string, work: (db: Db) => Promise<T>): Promise<T> {
  const store = await openEmbedded({ dir: join(data, 'store'), worker: false })
  const client = await new MongoClient(store.uri).connect()
  try {
    return await work(client.db())
  } finally {
    await client.close()
    await store.close()
  }
}

/** Every document's bytes, and every index. */
const contents = (data: string) =>
  within(data, async (db) => {
    const names = (await db.listCollections().toArray()).map(({ name }) => name).sort()
    return Promise.all(
      names.map(async (name) => ({
        name,
        documents: (await db.collection(name).find({}, { raw: true }).toArray()).map((raw) =>
          (raw as unknown as Buffer).toString('hex')
        ),
        indexes: await db.collection(name).listIndexes().toArray()
      }))
    )
  })

const EVERY_TYPE = {
  _id: new ObjectId('0123456789abcdef01234567'),
  int: 1,
  int32: new Int32(-2147483648),
  wholeDouble: new Double(2),
  largeDouble: 1e300,
  fraction: 0.1,
  negativeZero: -0,
  nan: NaN,
  infinite: -Infinity,
  long: Long.fromString('9007199254740993'),
  smallLong: Long.fromNumber(5),
  decimal: Decimal128.fromString('1.10'),
  text: '鸿雁 " \\ \u2028 \u0000 line\nend',
  empty: '',
  nothing: null,
  yes: true,
  at: new Date('2020-02-29T12:00:00.123Z'),
  early: new Date(-1),
  list: [1, [2, { three: new Double(3) }], []],
  inner: { b: 1, a: { c: {} } },
  bytes: new Binary(Buffer.from([0, 255, 254]), 0),
  uuid: new UUID('00112233-4455-6677-8899-aabbccddeeff'),
  pattern: new BSONRegExp('^a/b', 'im'),
  stamp: new Timestamp({ t: 4_000_000_000, i: 7 }),
  least: new MinKey(),
  most: new MaxKey()
}
/** Names that JSON readers move about, or that mean something else in Extended JSON. */
const ODD_NAMES = new Map<string, unknown>([
  ['_id', 'odd'],
  ['b', 1],
  ['2', 'two'],
  ['1', 'one'],
  ['__proto__', { constructor: 1 }],
  ['inner', new Map([['$oid', 'not one']])],
  ['date', new Map([['$date', 'yesterday']])]
])

async function fill(db: Db): Promise<void> {
  await db.collection('every').insertOne({ ...EVERY_TYPE })
  await db.command({ insert: 'odd', documents: [ODD_NAMES] })
  const rows = db.collection<any>('rows')
  await rows.insertMany(Array.from({ length: 2_500 }, (_, n) => ({ _id: n, n, at: new Date(n), tags: [n % 7, n % 3] })))
  await rows.createIndexes([
    { key: { n: -1, at: 1 }, name: 'newest', unique: true },
    { key: { tags: 1 }, partialFilterExpression: { n: { $gt: new Double(5) }, at: { $gt: new Date(0) } } },
    { key: { at: 1 }, expireAfterSeconds: 1e9 },
    { key: { 'a.b': 1 }, sparse: true }
  ])
  await db.createCollection('nothing')
}

t.test('a store moves to another, byte by byte', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl.gz')]
  await within(from, fill)
  t.match(await run(['export', '--data', from, file]), {
    code: 0,
    out: /^4 collections, 2502 documents of .*from/,
    err: /keys\.json/
  })
  if (process.platform !== 'win32') t.equal((await stat(file)).mode & 0o777, 0o600)
  t.match(await run(['import', '--data', to, file]), { code: 0, out: /^4 collections, 2502 documents .*to/ })
  t.same(await contents(to), await contents(from))

  t.test('over uris too, in plain text', async (t) => {
    const third = join(dir, 'third')
    const plain = join(dir, 'all.jsonl')
    const source = await openEmbedded({ dir: join(to, 'store'), listen: { host: '127.0.0.1', port: 0 }, worker: false })
    const target = await openEmbedded({
      dir: join(third, 'store'),
      listen: { host: '127.0.0.1', port: 0 },
      worker: false
    })
    t.match(await run(['export', '--uri', source.uri, plain]), { code: 0, out: /mongodb:\/\/\*\*\*@/ })
    t.match(await run(['import', plain], { MONGODB_URI: target.uri }), { code: 0 })
    await source.close()
    await target.close()
    t.same(await contents(third), await contents(from))
    const lines = (await readFile(plain, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    t.match(lines[0], { hongyan: 'export', format: 1, keyring: null })
    t.match(lines[2].document.wholeDouble, { $numberDouble: '2.0' })
    t.ok(lines.some((line) => typeof line.bson === 'string'))
    t.match(lines.at(-1), { end: { collections: 4, documents: 2502, sums: { rows: { documents: 2500 } } } })
  })
  t.test('but neither over a file nor into a store that is not empty', async (t) => {
    t.match(await run(['export', '--data', from, file]), { code: 1, err: /is there already/ })
    t.match(await run(['import', '--data', to, file]), { code: 1, err: /is not empty \(every holds documents\)/ })
    t.match(await run(['export', '--data', join(dir, 'none'), join(dir, 'x')]), {
      code: 1,
      err: /there is no store in/
    })
    t.match(await run(['import', '--data', to, '--uri', 'mongodb://x', file]), { code: 2, err: /not both/ })
    t.match(await run(['export', '--data', from, join(dir, 'no', 'such', 'place')]), {
      code: 1,
      err: /cannot be written/
    })
  })
})

/** Both ends of a pipe as processes of their own, in a shell. */
async function piped(from: string[], to: string[]) {
  const main = childOf(import.meta.url)
  const words = [...from, '|', ...to].map((word) => (word === '|' ? word : word === 'HY' ? main : `'${word}'`))
  const child = spawn('sh', ['-c', words.join(' ')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH }
  })
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { out, err, code: code as number }
}
const childOf = (here: string) => {
  const main = fileURLToPath(new URL(`../../../server/main${extname(fileURLToPath(here))}`, here))
  return [process.execPath, ...process.execArgv, main].map((word) => `'${word}'`).join(' ')
}
/** The lines of the tables both commands print, in order. */
const sumsIn = (text: string) => text.split('\n').filter((line) => /^ {2}\S+ +\d+ {2}[0-9a-f]{32}$/.test(line))

t.test(
  'an export goes through a pipe into a second store: equal counts and checksums of each collection',
  async (t) => {
    const dir = t.testdir()
    const [from, to] = [join(dir, 'from'), join(dir, 'to')]
    await within(from, fill)
    const { out, err, code } = await piped(['HY', 'export', '--data', from], ['HY', 'import', '--data', to])
    t.equal(code, 0, err)
    t.same(sumsIn(out), sumsIn(err), 'what the left side counted is what the right side read again')
    t.same(
      sumsIn(out).map((line) => line.trim().split(/ +/).slice(0, 2)),
      [
        ['every', '1'],
        ['nothing', '0'],
        ['odd', '1'],
        ['rows', '2500']
      ]
    )
    t.match(out, /each collection was read again/)
    t.same(await contents(to), await contents(from))

    const whole = (await run(['export', '--data', from])).piped
    const third = join(dir, 'third')
    const cut = await run(['import', '--data', third, '-'], {}, whole.subarray(0, whole.length / 2))
    t.match(cut, { code: 1, err: /line \d+ of the pipe is no JSON object|the pipe was cut off/ })
    await t.rejects(stat(third), { code: 'ENOENT' }, 'a pipe that ends too soon begins nothing')
    t.match(await run(['import', '--data', third], {}, whole), { code: 0, out: /documents of the pipe are in/ })
    t.same(await contents(third), await contents(from))
  }
)

t.test('what is past its time is moved all the same, and only then swept', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl')]
  await within(from, async (db) => {
    await db.collection('old').insertMany(Array.from({ length: 50 }, () => ({ at: new Date(0) })))
    await db.collection('old').createIndex({ at: 1 }, { expireAfterSeconds: 1e9 })
  })
  t.equal((await run(['export', '--data', from, file])).code, 0)
  // As of an old backup: its time has come by the time it is brought back.
  await writeFile(
    file,
    (await readFile(file, 'utf8'))
      .replace('"$numberDouble":"1000000000.0"', '"$numberInt":"1"')
      .replace('"$numberInt":"1000000000"', '"$numberInt":"1"')
  )
  t.match(await run(['import', '--data', to, file]), { code: 0, out: /50 documents/ })
})

t.test('an import whose documents were all there needs its indexes only', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl')]
  await within(from, fill)
  t.equal((await run(['export', '--data', from, file])).code, 0)
  const { id } = JSON.parse((await readFile(file, 'utf8')).split('\n')[0]!)
  await within(to, async (db) => {
    await fill(db)
    for (const name of ['rows']) await db.collection(name).dropIndexes()
    await db.collection<any>('rows').deleteOne({ _id: 7 }) // swept meanwhile by an index that was there
    await db.collection<any>('hongyan_import').insertOne({ _id: 'import', export: id, whole: true })
  })
  t.match(await run(['import', '--data', to, file]), { code: 0 })
  const indexes = (found: Awaited<ReturnType<typeof contents>>) => found.map(({ name, indexes }) => [name, indexes])
  t.same(indexes(await contents(to)), indexes(await contents(from)))
})

t.test('an import that broke off goes on', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl')]
  await within(from, fill)
  t.equal((await run(['export', '--data', from, file])).code, 0)
  const { id } = JSON.parse((await readFile(file, 'utf8')).split('\n')[0]!)
  // What a killed import leaves: its mark, some collections, some documents, no indexes.
  await within(to, async (db) => {
    await db.collection<any>('hongyan_import').insertOne({ _id: 'import', export: id })
    await db
      .collection<any>('rows')
      .insertMany(Array.from({ length: 700 }, (_, n) => ({ _id: n, n, at: new Date(n), tags: [n % 7, n % 3] })))
  })
  t.match(await run(['export', '--data', to, join(dir, 'half')]), { code: 1, err: /broke off/ })
  t.match(await run(['account', 'list', '--data', to]), { code: 1, err: /nothing starts on half of it/ })
  const other = join(dir, 'other.jsonl')
  t.equal((await run(['export', '--data', from, other])).code, 0)
  t.match(await run(['import', '--data', to, other]), { code: 1, err: /another file .* broke off/ })
  t.match(await run(['import', '--data', to, file]), { code: 0, out: /2502 documents/ })
  t.same(await contents(to), await contents(from))
})

t.test('a file that is not whole is refused before anything is written', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl')]
  await within(from, fill)
  t.equal((await run(['export', '--data', from, file])).code, 0)
  const text = await readFile(file, 'utf8')
  const packed = gzipSync(text)
  const cases: [string | Buffer, RegExp, string?][] = [
    [text.slice(0, text.length / 2), /no JSON object/],
    [text.slice(0, text.lastIndexOf('{"end"')), /was cut off/],
    [text.split('\n').toSpliced(5, 1).join('\n'), /was cut off/],
    [text.replace('"format":1', '"format":2'), /has form 2/],
    ['{"a":1}\n', /is no export/],
    [text.replace('"$oid":"01', '"$oid":"zz'), /neither a collection nor a document/],
    ['hello', /line 1 of .* is no JSON/],
    ['', /was cut off/],
    [packed.subarray(0, packed.length / 2), /cannot be read: unexpected end of file/, '.gz'],
    [text, /cannot be read: incorrect header check/, '.gz'],
    [text.replace('"$numberInt":"2499"', '"$numberInt":"2498"'), /was changed since .*: rows adds up to [0-9a-f]{32}/],
    [text.replace(/"checksum":"./, '"checksum":"x'), /was changed since .*: every adds up to/]
  ]
  for (const [bytes, message, ending = ''] of cases) {
    await writeFile(`${file}2${ending}`, bytes)
    t.match(await run(['import', '--data', to, `${file}2${ending}`]), { code: 1, err: message })
  }
  t.match(await run(['import', '--data', to, `${file}3`]), { code: 1, err: /there is no file/ })
  await t.rejects(stat(to), { code: 'ENOENT' }, 'not even a directory')
  t.equal(gunzipSync(packed).toString(), text)
})

t.test('the key ring has to fit', async (t) => {
  const dir = t.testdir()
  const [from, to, file] = [join(dir, 'from'), join(dir, 'to'), join(dir, 'all.jsonl')]
  const env = { HONGYAN_DATA: from }
  t.match(await run(['account', 'list'], env), { code: 0 }, 'the first start marks the store')
  t.equal((await run(['export', file], env)).code, 0)
  t.match(await run(['import', '--data', to, file], { HONGYAN_KEYS: newKeyLine() }), {
    code: 1,
    err: /another key ring/
  })
  t.match(await run(['import', '--data', to, file]), { code: 0, err: /now put the keys\.json/ })
  await rm(join(to, 'store'), { recursive: true })
  await writeFile(join(to, 'keys.json'), await readFile(join(from, 'keys.json')), { mode: 0o600 })
  t.match(await run(['import', '--data', to, file]), { code: 0, err: '' })
  t.match(await run(['account', 'list'], { HONGYAN_DATA: to }), { code: 0 })
})

t.test('code and symbols are moved; what no driver writes is said before anything is written', async (t) => {
  const dir = t.testdir()
  const [from, to, other] = ['from', 'to', 'other'].map((name) => join(dir, name)) as [string, string, string]
  const file = join(dir, 'all.jsonl')
  const bytes = async (data: string) =>
    within(data, async (db) => (await db.collection('old').findOne({}, { raw: true })) as unknown as Buffer)
  await within(from, async (db) => {
    const values = { code: new Code('return 1'), scoped: new Code('x', { a: 1 }), symbol: new BSONSymbol('s') }
    await db.collection<any>('old').insertOne({ _id: 'x', ...values })
  })
  t.equal((await run(['export', '--data', from, file])).code, 0)
  t.match(await run(['import', '--data', to, file]), { code: 0 })
  t.same(await bytes(to), await bytes(from))

  const undef = Buffer.from('13000000025f696400020000007800067500' + '00', 'hex') // { _id: 'x', u: undefined }
  const text = (await readFile(file, 'utf8')).replace(/\{"bson":"[^"]+"\}/, writeDocument(undef))
  await writeFile(file, text)
  t.match(await run(['import', '--data', other, file]), { code: 1, err: /document x of old holds .*undefined/ })
  t.same(await within(other, async (db) => db.listCollections().toArray()), [], 'nothing was begun')
})

t.test('what else is on the same server is named', async (t) => {
  const dir = t.testdir()
  const from = join(dir, 'from')
  await within(from, async (db) => {
    await db.collection('a').insertOne({})
    await db.client.db('second').collection('b').insertOne({})
  })
  t.match(await run(['export', '--data', from, join(dir, 'all.jsonl')]), {
    code: 0,
    out: /1 collections, 1 documents/,
    err: /only the database hongyan is in it.* second/
  })
})

t.test('a line gives back the bytes it was made of', async (t) => {
  const minimal = Buffer.from('0500000000', 'hex')
  t.equal(writeDocument(minimal), '{"document":{}}')
  t.same(readDocument({ document: {} }), minimal)
  t.equal(readDocument({ collection: 'x' }), null)
})
