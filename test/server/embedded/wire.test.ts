import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { statSync } from 'node:fs'
import { deserialize } from 'bson'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { PassThrough } from 'node:stream'
import { serveConnection } from '../../../server/embedded/wire/connection.js'
import { crc32c } from '../../../server/embedded/wire/crc32c.js'
import {
  createFrameReader,
  FrameError,
  frameReply,
  MAX_MESSAGE_BYTES,
  MAX_STRANGER_BYTES
} from '../../../server/embedded/wire/frames.js'
import { encodeReply, Raw, RawArray } from '../../../server/embedded/wire/raw.js'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { dial, doc, int32, message, msg, query, sequence, summed, talk } from './wire-client.js'
import { refusal, withStore } from './with-store.js'

const pathOf = (uri: string) => decodeURIComponent(/\/\/([^/]+)\//.exec(uri)![1])

t.test('a frame reader', async (t) => {
  t.test('cuts requests out of any pieces, with both kinds of sections, a checksum, and the quiet flag', async (t) => {
    const whole = Buffer.concat([
      msg({ insert: 'a', $db: 'd' }, 0, sequence('documents', { x: 1 }, { x: 2 })),
      summed(msg({ ping: 1, $db: 'd' })),
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
      'a query on no command': query({ a: 1 }, 'a.b'),
      'a wrong checksum': msg({ ping: 1 }, 1, Buffer.alloc(4, 9)),
      'two sections of one name': msg({ insert: 'a' }, 0, sequence('d', { a: 1 }), sequence('d', { a: 1 }))
    }
    for (const [what, bytes] of Object.entries(bad)) t.throws(() => createFrameReader().push(bytes), FrameError, what)
    t.throws(() => createFrameReader().push(msg({ ping: 1, pad: 'x'.repeat(100) }), 64), FrameError, 'above a limit')
  })

  t.test('sums by CRC-32C', async (t) => {
    // The examples of RFC 3720, appendix B.4, and the customary one.
    t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
    t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
    t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
    t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e)
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

t.test('a connection', async (t) => {
  const pair = (answer: () => Promise<Buffer>) => {
    const told: string[] = []
    // What is written to the one comes out of the other.
    const socket = Object.assign(new PassThrough({ highWaterMark: 2048 }), { setNoDelay() {}, written: [] as Buffer[] })
    socket.write = ((bytes: Buffer) => (socket.written.push(bytes), socket.written.length < 3)) as never
    serveConnection(socket as never, { id: 1, trusted: true, answer, log: (event) => told.push(event) })
    return { socket, told }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))

  t.test('is answered no faster than the client reads', async (t) => {
    const { socket } = pair(async () => doc({ ok: 1 }))
    socket.emit('data', Buffer.concat(Array.from({ length: 9 }, () => msg({ ping: 1, $db: 'd' }))))
    await settled()
    t.equal(socket.written.length, 3)
    socket.emit('drain')
    await settled()
    t.equal(socket.written.length, 4)
  })
  t.test('ends, and nothing else does, when a request cannot be answered', async (t) => {
    const { socket, told } = pair(() => Promise.reject(new Error('no')))
    socket.emit('data', msg({ ping: 1, $db: 'd' }))
    await settled()
    t.ok(socket.destroyed)
    t.same(told, ['connection closed: its request could not be answered'])
  })
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

  t.test('takes a right checksum, and nothing with a wrong one', async (t) => {
    t.match(await talk(store.uri, [summed(msg({ ping: 1, $db: 'd' }))], 1), { replies: [{ ok: 1 }], closed: false })
    const wrong = summed(msg({ ping: 1, $db: 'd' }))
    wrong[wrong.length - 1] ^= 1
    t.same(await talk(store.uri, [wrong], 1), { replies: [], closed: true })
  })

  t.test('takes documents of 16 MB and refuses what is larger', async (t) => {
    const rows = db.collection<any>('large')
    await rows.insertOne({ _id: 1, x: Buffer.alloc(16 * 1024 * 1024 - 100) })
    const [found] = await rows.find().toArray()
    t.equal(found.x.length(), 16 * 1024 * 1024 - 100)
    const over = msg({ insert: 'large', documents: [{ _id: 2, x: Buffer.alloc(16 * 1024 * 1024) }], $db: 'd' })
    t.match((await talk(store.uri, [over], 1)).replies, [{ writeErrors: [{ index: 0, code: 10334 }] }])
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
      [{ find: 'a', readConcern: { level: 'snapshot' } }, 123],
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
  t.test('nothing is done before, whatever is asked, and large messages are not even read', async (t) => {
    for (const body of [
      { find: 'a' },
      { insert: 'a', documents: [{ _id: 1 }] },
      { aggregate: 'a', pipeline: [], cursor: {} },
      { dropDatabase: 1 },
      { listDatabases: 1 },
      { serverStatus: 1 },
      { getMore: 1n, collection: 'a' },
      { hongyanBackup: 1, to: '/nowhere' }
    ])
      t.match((await talk(store.uri, [msg({ ...body, $db: 'hongyan' })], 1)).replies, [{ ok: 0, code: 13 }])
    t.match((await talk(store.uri, [query({ find: 'a' }, 'hongyan.$cmd')], 1)).replies, [{ ok: 0 }])
    t.match((await talk(store.uri, [query({ ismaster: 1 })], 1)).replies, [{ ok: 1 }], 'but for a greeting')
    const large = msg({ hello: 1, client: 'x'.repeat(MAX_STRANGER_BYTES), $db: 'admin' })
    t.same(await talk(store.uri, [large], 1), { replies: [], closed: true })
  })
  t.test('a proof of the password serves once', async (t) => {
    const password = 'geheim/ß'
    const line = dial(store.uri)
    const say = (payload: string) => Buffer.from(payload)
    const start = (name = 'hongyan', nonce = 'abcdefgh') =>
      line.ask({ saslStart: 1, mechanism: 'SCRAM-SHA-256', payload: say(`n,,n=${name},r=${nonce}`) })
    const go = (payload: string) => line.ask({ saslContinue: 1, conversationId: 1, payload: say(payload) })
    const prove = (first: string, binding = 'biws', word = password) => {
      const [, nonce, salt, rounds] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(first)!
      const salted = pbkdf2Sync(word.normalize('NFKC'), Buffer.from(salt, 'base64'), Number(rounds), 32, 'sha256')
      const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest()
      const clientKey = hmac(salted, 'Client Key')
      const stored = createHash('sha256').update(clientKey).digest()
      const signature = hmac(stored, `n=hongyan,r=abcdefgh,${first},c=${binding},r=${nonce}`)
      const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]))
      return `c=${binding},r=${nonce},p=${proof.toString('base64')}`
    }
    const text = (reply: any) => reply.payload.buffer.toString()

    t.match(await start('other'), { ok: 0, code: 18 }, 'an unknown user')
    t.match(await go('c=biws,r=x,p=AAAA'), { ok: 0, code: 17 }, 'no conversation')
    const first = text(await start())
    t.match(await go(prove(first, 'biws', 'wrong')), { ok: 0, code: 18 }, 'a wrong password')
    t.match(await go(prove(first)), { ok: 0, code: 17 }, 'and the conversation is over')
    const used = prove(first)
    const second = text(await start())
    t.not(second, first)
    t.match(await go(used), { ok: 0, code: 18 }, 'a nonce of another conversation')
    t.match(await go(prove(text(await start()), 'eSws')), { ok: 0, code: 18 }, 'another channel binding than announced')
    const proof = prove(text(await start()))
    t.match(await line.ask({ find: 'a', $db: 'hongyan' }), { code: 13 }, 'half way is not in')
    t.match(text(await go(proof)), /^v=/)
    t.match(await line.ask({ find: 'a', $db: 'hongyan' }), { code: 13 })
    t.match(await go(''), { ok: 1, done: true })
    t.match(await line.ask({ find: 'a', $db: 'hongyan' }), { ok: 1 })
    t.match(await line.ask({ logout: 1 }), { ok: 1 })
    t.match(await line.ask({ find: 'a', $db: 'hongyan' }), { code: 13 })
    await start()
    t.match(await go(proof), { ok: 0, code: 18 }, 'the whole exchange replayed')
    line.hang()
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
