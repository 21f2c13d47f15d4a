import { createConnection } from 'node:net'
import type { Socket } from 'node:net'
import { statSync } from 'node:fs'
import { deserialize, serialize } from 'bson'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { createFrameReader, FrameError, frameReply, MAX_MESSAGE_BYTES } from '../../../server/embedded/wire/frames.js'
import { encodeReply, Raw, RawArray } from '../../../server/embedded/wire/raw.js'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { refusal, withStore } from './with-store.js'

function message(opcode: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const header = Buffer.alloc(16)
  header.writeInt32LE(16 + body.length, 0)
  header.writeInt32LE(7, 4)
  header.writeInt32LE(opcode, 12)
  return Buffer.concat([header, body])
}
const int32 = (n: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(n)
  return bytes
}
const doc = (value: object) => Buffer.from(serialize(value))
const msg = (body: object, flags = 0, ...more: Buffer[]) =>
  message(2013, int32(flags), Buffer.from([0]), doc(body), ...more)
const sequence = (name: string, ...docs: object[]) => {
  const inner = Buffer.concat([Buffer.from(`${name}\0`), ...docs.map(doc)])
  return Buffer.concat([Buffer.from([1]), int32(4 + inner.length), inner])
}
const query = (body: object, name = 'admin.$cmd') =>
  message(2004, int32(0), Buffer.from(`${name}\0`), int32(0), int32(-1), doc(body))

const pathOf = (uri: string) => decodeURIComponent(/\/\/([^/]+)\//.exec(uri)![1])

/** Sends bytes over a bare socket; resolves to the replies that came before `want` of them were there or it was closed. */
function talk(uri: string, bytes: Buffer[], want: number): Promise<{ replies: any[]; closed: boolean }> {
  return new Promise((resolve) => {
    const socket: Socket = createConnection({ path: pathOf(uri) })
    let data = Buffer.alloc(0)
    const replies: any[] = []
    const done = (closed: boolean) => {
      socket.destroy()
      resolve({ replies, closed })
    }
    socket.on('error', () => {})
    socket.on('close', () => done(true))
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk as Buffer])
      while (data.length >= 16 && data.length >= data.readInt32LE(0)) {
        const length = data.readInt32LE(0)
        const at = data.readInt32LE(12) === 1 ? 36 : 21
        replies.push({
          to: data.readInt32LE(8),
          opcode: data.readInt32LE(12),
          ...deserialize(data.subarray(at, length))
        })
        data = data.subarray(length)
      }
      if (replies.length >= want) done(false)
    })
    for (const part of bytes) socket.write(part)
  })
}

t.test('a frame reader', async (t) => {
  t.test('cuts requests out of any pieces, with both kinds of sections, a checksum, and the quiet flag', async (t) => {
    const whole = Buffer.concat([
      msg({ insert: 'a', $db: 'd' }, 0, sequence('documents', { x: 1 }, { x: 2 })),
      msg({ ping: 1, $db: 'd' }, 1, Buffer.alloc(4, 9)),
      msg({ ping: 2, $db: 'd' }, 2)
    ])
    for (const size of [1, 3, 16, 1000]) {
      const reader = createFrameReader()
      const requests = []
      for (let at = 0; at < whole.length; at += size) requests.push(...reader.push(whole.subarray(at, at + size)))
      t.same(
        requests.map(({ body }) => Object.keys(deserialize(body))[0]),
        ['insert', 'ping', 'ping'],
        `in pieces of ${size}`
      )
      t.same(
        requests[0].sequences.get('documents')?.map((raw) => deserialize(raw).x),
        [1, 2]
      )
      t.same(
        requests.map((request) => request.silent),
        [false, false, true]
      )
    }
  })

  t.test('refuses what is no message', async (t) => {
    const bad: Record<string, Buffer> = {
      'a length below the header': int32(3),
      'a length above the limit': int32(MAX_MESSAGE_BYTES + 1),
      'a negative length': int32(-5),
      'an unknown operation': message(2012, Buffer.alloc(20)),
      'an unknown required flag': msg({ ping: 1 }, 4),
      'no body': message(2013, int32(0), sequence('documents', { a: 1 })),
      'two bodies': message(2013, int32(0), Buffer.from([0]), doc({}), Buffer.from([0]), doc({})),
      'an unknown section kind': message(2013, int32(0), Buffer.from([7]), doc({})),
      'a document longer than its message': message(2013, int32(0), Buffer.from([0]), int32(500), Buffer.alloc(9)),
      'a section longer than its message': message(
        2013,
        int32(0),
        Buffer.from([0]),
        doc({}),
        Buffer.from([1]),
        int32(500),
        Buffer.from('a\0')
      ),
      'a section without a name': message(
        2013,
        int32(0),
        Buffer.from([0]),
        doc({}),
        Buffer.from([1]),
        int32(8),
        Buffer.from('aaaa')
      ),
      'a query on no command': query({ a: 1 }, 'a.b')
    }
    for (const [what, bytes] of Object.entries(bad)) t.throws(() => createFrameReader().push(bytes), FrameError, what)
  })
})

t.test('a reply keeps numbers, dates and raw documents apart', async (t) => {
  const raw = doc({ deep: [1, { b: null }] })
  const reply = encodeReply({
    i: 1,
    d: 1.5,
    minus: -0,
    big: 5n,
    s: '雁',
    yes: true,
    none: null,
    left: undefined,
    at: new Date(5),
    raw: new Raw(raw),
    many: new RawArray([raw, raw]),
    list: [1, 'a', { x: 1 }],
    bytes: Buffer.from('q')
  })
  t.same(deserialize(reply, { promoteBuffers: true }), {
    ...{ i: 1, d: 1.5, minus: -0, big: 5, s: '雁', yes: true, none: null, at: new Date(5) },
    ...{
      raw: deserialize(raw),
      many: [deserialize(raw), deserialize(raw)],
      list: [1, 'a', { x: 1 }],
      bytes: Buffer.from('q')
    }
  })
  const back = createFrameReader().push(frameReply({ requestId: 3, legacy: false }, 4, reply))
  t.equal(Buffer.compare(back[0].body, reply), 0)
})

t.test('a served socket', async (t) => {
  const { store, db, trouble } = await withStore(t)
  t.equal(statSync(pathOf(store.uri)).mode & 0o777, 0o600, 'is for its user alone')

  t.test('answers the legacy hello, and says what it is not', async (t) => {
    const { replies } = await talk(store.uri, [query({ ismaster: 1, helloOk: true, client: {} })], 1)
    t.match(replies[0], { opcode: 1, to: 7, ok: 1, ismaster: true, helloOk: true, maxWireVersion: 21, localTime: Date })
    t.notOk('topologyVersion' in replies[0] || 'logicalSessionTimeoutMinutes' in replies[0])
  })

  t.test('answers in order, whatever the pieces, and not at all where nothing is wanted', async (t) => {
    const quiet = msg({ insert: 'q', documents: [{ _id: 1 }], writeConcern: { w: 0 }, $db: 'd' }, 2)
    const bytes = Buffer.concat([quiet, msg({ count: 'q', $db: 'd' }), msg({ ping: 1, $db: 'd' })])
    const { replies } = await talk(store.uri, [bytes.subarray(0, 40), bytes.subarray(40)], 2)
    t.match(replies, [{ ok: 1, n: 1 }, { ok: 1 }])
  })

  t.test('closes on bytes that are no message, and goes on serving others', async (t) => {
    for (const bytes of [Buffer.alloc(64, 0xff), int32(2), message(2012, Buffer.alloc(30)), msg({ ping: 1 }, 8)]) {
      t.same(await talk(store.uri, [bytes], 1), { replies: [], closed: true })
    }
    t.ok(trouble.length >= 4)
    t.match(await db.command({ ping: 1 }), { ok: 1 })
  })

  t.test('answers malformed documents with an error', async (t) => {
    const broken = doc({ ping: 1, a: 'text', $db: 'd' })
    broken[broken.indexOf('text') - 4] = 200
    const { replies } = await talk(store.uri, [message(2013, int32(0), Buffer.from([0]), broken)], 1)
    t.match(replies[0], { ok: 0, code: 22 })
  })

  t.test('refuses with MongoDB’s codes what it does not do', async (t) => {
    const refused: [object, number][] = [
      [{ noSuchThing: 1 }, 59],
      [{ find: 'a', nonsense: 1 }, 40415],
      [{ find: 'a', collation: { locale: 'zh' } }, 72],
      [{ find: 'a', filter: { $where: 'true' } }, 2],
      [{ find: 'a', filter: { a: { $almost: 1 } } }, 2],
      [{ find: 'a', filter: 5 }, 14],
      [{ find: 'a', limit: -3 }, 51024],
      [{ find: 'a', tailable: true }, 72],
      [{ find: 'a', readConcern: { level: 'snapshot' } }, 72],
      [{ find: 5 }, 73],
      [{ insert: 'a', documents: [] }, 16],
      [{ insert: 'a', documents: [{}], txnNumber: 1 }, 20],
      [{ insert: 'a', documents: [{}], startTransaction: true, autocommit: false }, 20],
      [{ create: 'a', capped: true, size: 5 }, 72],
      [{ getMore: 5, collection: 'a' }, 43],
      [{ saslStart: 1, mechanism: 'PLAIN', payload: '' }, 334]
    ]
    for (const [command, code] of refused)
      t.equal((await refusal(db.command(command))).code, code, JSON.stringify(command))
  })
})

t.test('over TCP', async (t) => {
  const { store } = await withStore(t, { listen: { host: '127.0.0.1', port: 0, password: 'geheim/ß' } })
  t.match(store.uri, /^mongodb:\/\/hongyan:[^@]+@127\.0\.0\.1:\d+\/hongyan\?/)
  t.test('the password is asked for', async (t) => {
    const nobody = new MongoClient(store.uri.replace(/\/\/[^@]+@/, '//').replace(/&?auth\w+=[^&]*/g, ''))
    t.equal((await refusal(nobody.db('x').collection('y').findOne())).code, 13)
    await nobody.close()
    const wrong = new MongoClient(store.uri.replace(/hongyan:[^@]+@/, 'hongyan:wrong@'))
    t.equal((await refusal(wrong.connect())).code, 18)
    await wrong.close()
    const stranger = new MongoClient(store.uri.replace(/\/\/hongyan:/, '//other:'))
    t.equal((await refusal(stranger.connect())).code, 18)
    await stranger.close()
  })
  t.test('a made-up password works as printed, and hello names the mechanism', async (t) => {
    const second = await openEmbedded({ dir: t.testdir(), worker: false, listen: { host: '127.0.0.1', port: 0 } })
    const client = new MongoClient(second.uri.replace('&authMechanism=SCRAM-SHA-256', ''))
    t.match(await client.db().command({ connectionStatus: 1 }), {
      authInfo: { authenticatedUsers: [{ user: 'hongyan' }] }
    })
    await client.close()
    await second.close()
  })
})
