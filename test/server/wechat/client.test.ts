import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'
import t from 'tap'
import { MockAgent } from 'undici'
import { createWechatClient } from '../../../server/wechat/client.js'
import { parseJson } from '../../../server/wechat/json.js'

type Test = { teardown(end: () => unknown): void }
type Reply = (response: ServerResponse, asked: { url: string; body: string; type: string | undefined }) => void

/** A real HTTP server on a free port; closed with the test. */
async function serve(t: Test, reply: Reply) {
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => reply(response, { url: request.url!, body, type: request.headers['content-type'] }))
  })
  return listen(t, server)
}

/** A server that speaks raw bytes: `talk` gets the socket once the first bytes of a request came in. */
async function serveRaw(t: Test, talk: (socket: Socket) => void) {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => talk(socket))
  })
  return listen(t, server)
}

async function listen(t: Test, server: Server | TcpServer) {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((done) => server.close(done))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function clientFor(t: Test, options: Parameters<typeof createWechatClient>[0] = {}) {
  const client = createWechatClient(options)
  t.teardown(() => client.close())
  return client
}

const get = (base: string, path = '/cgi-bin/x') => ({ base, method: 'GET' as const, path })
const post = (base: string, json: unknown = { touser: 'o1' }) => ({
  base,
  method: 'POST' as const,
  path: '/send',
  json
})

t.test('an answer', async (t) => {
  t.test('is a value with errcode, rid and a body that lost no digit', async (t) => {
    const base = await serve(t, (response) =>
      response.end('{"errcode":0,"errmsg":"ok","msgid":1988810812324360001,"small":12}')
    )
    const result = await clientFor(t).call(post(base))
    t.match(result, { kind: 'answer', errcode: 0, errmsg: 'ok', rid: null, httpStatus: 200, ms: Number })
    t.same(result.kind === 'answer' && result.body, {
      errcode: 0,
      errmsg: 'ok',
      msgid: '1988810812324360001',
      small: 12
    })
  })

  t.test('keeps the trace mark of each age', async (t) => {
    const marks: Record<string, string> = {
      'invalid openid rid: 66a1b2c3-0a1b2c3d-4e5f6071': '66a1b2c3-0a1b2c3d-4e5f6071',
      'invalid openid hint: [Ab12Ca01234567]': 'Ab12Ca01234567',
      'invalid code, hints: [ req_id: AbCdEfGh-xyz12A ]': 'AbCdEfGh-xyz12A'
    }
    const base = await serve(t, (response, { url }) =>
      response.end(JSON.stringify({ errmsg: decodeURIComponent(url.slice(2)), errcode: 40003 }))
    )
    const client = clientFor(t)
    for (const [errmsg, rid] of Object.entries(marks)) {
      const path = `/?${encodeURIComponent(errmsg)}`
      t.match(await client.call({ base, method: 'GET', path }), { kind: 'answer', errcode: 40003, errmsg, rid })
    }
  })

  t.test('without errcode is a success, whatever its content type, after a byte order mark too', async (t) => {
    const base = await serve(t, (response) => {
      response.setHeader('content-type', 'text/plain')
      response.end('\ufeff{"access_token":"a","expires_in":7200}')
    })
    t.match(await clientFor(t).call(get(base)), { kind: 'answer', errcode: 0, body: { access_token: 'a' } })
  })

  t.test('comes to the request as it was meant: prefix, query, JSON unescaped, form', async (t) => {
    const base = await serve(t, (response, asked) => response.end(JSON.stringify({ asked })))
    const client = clientFor(t)
    const query = { access_token: 'a+b/c=', next_openid: undefined, offset: 0 }
    const json = { data: { thing1: { value: '东门柜机' } } }
    t.match(await client.call({ base: `${base}/wx/`, method: 'POST', path: '/p', query, json }), {
      body: {
        asked: {
          url: '/wx/p?access_token=a%2Bb%2Fc%3D&offset=0',
          body: '{"data":{"thing1":{"value":"东门柜机"}}}',
          type: 'application/json; charset=utf-8'
        }
      }
    })
    const form = [['tid', '401'], ['kidList[0]', '1'], ['sceneDesc', '取件 提醒']] as const // prettier-ignore
    const sent = await client.call({ base, method: 'POST', path: '/f', form })
    t.equal(sent.kind === 'answer' && sent.body.asked.type, 'application/x-www-form-urlencoded')
    const read = new URLSearchParams(sent.kind === 'answer' ? sent.body.asked.body : '')
    t.same([...read], [['tid', '401'], ['kidList[0]', '1'], ['sceneDesc', '取件 提醒']]) // prettier-ignore
  })

  t.test('can come from a mock given as dispatcher', async (t) => {
    const mock = new MockAgent()
    mock.disableNetConnect()
    mock
      .get('https://api.weixin.qq.com')
      .intercept({ path: '/send?access_token=t', method: 'POST', body: '{"touser":"o1"}' })
      .reply(200, { errcode: 43101, errmsg: 'user refuse to accept the msg' })
    const client = createWechatClient({ dispatcher: mock })
    const result = await client.call({ ...post('https://api.weixin.qq.com'), query: { access_token: 't' } })
    t.match(result, { kind: 'answer', errcode: 43101 })
    mock.assertNoPendingInterceptors()
    await mock.close()
  })
})

t.test('a call that was not sent', async (t) => {
  const client = clientFor(t, { connectTimeoutMs: 500 })

  t.test('is one nobody listens for', async (t) => {
    const server = createTcpServer()
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const { port } = server.address() as AddressInfo
    await new Promise((done) => server.close(done))
    t.match(await client.call(post(`http://127.0.0.1:${port}`)), { kind: 'notSent', reason: /ECONNREFUSED/ })
  })

  t.test('is one whose host has no address', async (t) => {
    t.match(await client.call(get('http://no-such-host.invalid')), { kind: 'notSent', reason: /ENOTFOUND|EAI_AGAIN/ })
  })

  t.test('is one to a server that does not speak TLS', async (t) => {
    const base = await serveRaw(t, (socket) => socket.end('no'))
    t.match(await client.call(post(base.replace('http:', 'https:'))), { kind: 'notSent' })
  })

  t.test('is one whose address is no URL', async (t) => {
    t.match(await client.call(get('nowhere')), { kind: 'notSent', reason: /Invalid URL/ })
  })

  t.test('is one that found no free connection in time, and it is never written later', async (t) => {
    const seen: string[] = []
    const held: ServerResponse[] = []
    const base = await serve(t, (response, { body }) => {
      seen.push(body)
      held.push(response)
    })
    const one = clientFor(t, { connections: 1 })
    const first = one.call(post(base, { n: 1 }))
    const second = await one.call({ ...post(base, { n: 2 }), timeoutMs: 50 })
    t.match(second, { kind: 'notSent', reason: 'timeout: no connection in time' })
    held[0]!.end('{"errcode":0}')
    t.match(await first, { kind: 'answer' })
    const third = one.call(post(base, { n: 3 }))
    while (held.length < 2) await new Promise((done) => setImmediate(done))
    held[1]!.end('{"errcode":0}')
    t.match(await third, { kind: 'answer' })
    t.same(seen, ['{"n":1}', '{"n":3}'])
  })
})

t.test('a call that was refused', async (t) => {
  t.test('is any 4xx, and a redirect, which is not followed', async (t) => {
    let calls = 0
    const base = await serve(t, (response, { url }) => {
      calls += 1
      response.writeHead(Number(url.slice(1)), { location: '/200' })
      response.end('<html>moved or not</html>')
    })
    const client = clientFor(t)
    for (const httpStatus of [301, 302, 403, 404, 412, 429]) {
      t.match(await client.call(get(base, `/${httpStatus}`)), {
        kind: 'refused',
        httpStatus,
        reason: `HTTP ${httpStatus}`
      })
    }
    t.equal(calls, 6)
  })
})

t.test('a call without an answer', async (t) => {
  const client = clientFor(t, { maxBodyBytes: 100_000, totalTimeoutMs: 150 })
  const bodies: Record<string, (response: ServerResponse) => unknown> = {
    'an HTML page': (response) => response.end('<html>busy</html>'),
    'nothing at all': (response) => response.end(),
    'half a JSON text': (response) => response.end('{"errcode":0,"errm'),
    'a list': (response) => response.end('[1]'),
    'a bare word': (response) => response.end('null'),
    'an errcode that is no number': (response) => response.end('{"errcode":"x"}'),
    'a 502': (response) => response.writeHead(502).end('{"errcode":0}'),
    'a 503 with JSON': (response) => response.writeHead(503).end('{"errcode":0,"errmsg":"ok"}'),
    'a body without end': (response) => {
      const chunk = ' '.repeat(16_384)
      const more = () => response.write(chunk, () => !response.destroyed && setImmediate(more))
      more()
    },
    'a body cut off by a reset': (response) => {
      response.writeHead(200, { 'content-length': '50' })
      response.write('{"errcode":0')
      setTimeout(() => response.destroy(), 20)
    },
    'a connection closed instead of an answer': (response) => response.destroy(),
    silence: () => {},
    'a body that drips for ever': (response) => {
      const drip = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(drip))
    }
  }
  for (const [what, reply] of Object.entries(bodies)) {
    t.test(`got ${what}`, async (t) => {
      const base = await serve(t, reply)
      const result = await client.call(post(base))
      t.match(result, { kind: 'noAnswer', reason: /./ })
      if (/50\d/.test(what)) t.match(result, { httpStatus: Number(/50\d/.exec(what)![0]) })
    })
  }

  t.test('got bytes that are not HTTP', async (t) => {
    const base = await serveRaw(t, (socket) => socket.end('SSH-2.0-nothing\r\n'))
    t.match(await client.call(post(base)), { kind: 'noAnswer' })
  })

  t.test('got a reset in the middle of the headers', async (t) => {
    const base = await serveRaw(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-')
      setTimeout(() => socket.resetAndDestroy(), 20)
    })
    t.match(await client.call(post(base)), { kind: 'noAnswer' })
  })

  t.test('is posted once, also over a kept connection that dies', async (t) => {
    let posts = 0
    const base = await serve(t, (response, { body }) => {
      if (body === '') return response.end('{}')
      posts += 1
      response.destroy()
    })
    const one = clientFor(t, { connections: 1 })
    t.match(await one.call(get(base)), { kind: 'answer' })
    t.match(await one.call(post(base)), { kind: 'noAnswer' })
    t.match(await one.call(get(base)), { kind: 'answer' })
    t.equal(posts, 1)
  })
})

t.test(
  'an answer of ten megabytes is given up at four, one that comes byte by byte when its time is over',
  async (t) => {
    let written = 0
    const big = await serve(t, (response) => {
      const chunk = Buffer.alloc(1 << 20, 32)
      response.writeHead(200, { 'content-length': String(10 << 20) })
      const more = () => {
        if (response.destroyed || written === 10 << 20) return
        written += chunk.length
        response.write(chunk, more)
      }
      more()
    })
    const client = clientFor(t)
    t.match(await client.call(post(big)), { kind: 'noAnswer', reason: 'answer longer than 4194304 bytes' })
    t.ok(written < 10 << 20, 'the rest is not waited for')

    const slow = await serveRaw(t, (socket) => {
      let sent = 0
      const text = `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(10_000)}`
      const drip = setInterval(() => socket.write(text[sent++]!), 5)
      socket.on('close', () => clearInterval(drip))
    })
    t.match(await client.call({ ...post(slow), timeoutMs: 120 }), { kind: 'noAnswer', reason: /timeout/i })
  }
)

t.test('calls that name an account take turns', async (t) => {
  const held: ServerResponse[] = []
  const seen: string[] = []
  const base = await serve(t, (response, { body }) => {
    seen.push(JSON.parse(body).n)
    held.push(response)
  })
  const client = clientFor(t, { maxPerAccount: 2 })
  const call = (n: string, account?: string, timeoutMs?: number) =>
    client.call({ ...post(base, { n }), ...(account && { account }), ...(timeoutMs && { timeoutMs }) })
  const arrived = async (count: number) => {
    while (seen.length < count) await new Promise((done) => setImmediate(done))
  }
  const first = [call('a1', 'a'), call('a2', 'a')]
  const late = call('a3', 'a', 30)
  const third = call('a4', 'a')
  const others = [call('b1', 'b'), call('free')]
  await arrived(4)
  t.same([...seen].sort(), ['a1', 'a2', 'b1', 'free'], 'neither another account nor a send waits')
  t.match(await late, { kind: 'notSent', reason: 'timeout: no connection in time' })
  held[seen.indexOf('a1')]!.end('{}')
  await arrived(5)
  t.equal(seen[4], 'a4', 'one that was given up leaves the queue')
  for (const response of held) response.end('{}')
  for (const result of await Promise.all([...first, third, ...others])) t.match(result, { kind: 'answer' })

  t.match(await client.call({ ...get('nowhere'), account: 'a' }), { kind: 'notSent' })
  for (let i = 0; i < 5; i++) t.match(await client.call({ ...get('http://no-such-host.invalid'), account: 'a' }), { kind: 'notSent' }) // prettier-ignore
  const again = call('a5', 'a')
  await arrived(6)
  held.at(-1)!.end('{}')
  t.match(await again, { kind: 'answer' }, 'a call that came to nothing gave its place back')

  const dispatcher = {
    dispatch() {
      throw new Error('closed')
    }
  }
  const broken = clientFor(t, { dispatcher: dispatcher as never, maxPerAccount: 1 })
  for (let i = 0; i < 2; i++) t.match(await broken.call({ ...get(base), account: 'a' }), { kind: 'notSent', reason: 'closed' }) // prettier-ignore
})

t.test('a log', async (t) => {
  t.test('tells path and outcome, never a token, secret or body', async (t) => {
    const lines: unknown[] = []
    const log = {
      debug: (fields: object, message: string) => lines.push([fields, message]),
      warn: (fields: object, message: string) => lines.push([fields, message])
    }
    const mock = new MockAgent()
    mock.disableNetConnect()
    const client = createWechatClient({ dispatcher: mock, log })
    const query = { access_token: 'TOKEN', secret: 'SECRET', js_code: 'CODE' }
    const result = await client.call({ ...post('https://api.weixin.qq.com', { touser: 'OPENID' }), query })
    t.equal(result.kind, 'notSent')
    mock.get('https://api.weixin.qq.com').intercept({ path: '/ok', method: 'GET' }).reply(200, { errcode: 0 })
    await client.call(get('https://api.weixin.qq.com', '/ok'))
    mock.get('https://api.weixin.qq.com').intercept({ path: '/bad', method: 'GET' }).reply(200, { errcode: 40003 })
    await client.call(get('https://api.weixin.qq.com', '/bad'))
    t.notMatch(JSON.stringify([lines, result]), /TOKEN|SECRET|CODE|OPENID/)
    t.same(lines.map((line: any) => [line[0].path, line[0].kind, line[0].errcode]), [
      ['/send', 'notSent', undefined],
      ['/bad', 'answer', 40003]
    ]) // prettier-ignore
    await mock.close()
  })
})

t.test('JSON text', async (t) => {
  t.test('keeps whole numbers a double cannot hold as strings, and all others as numbers', async (t) => {
    t.same(parseJson('{"a":9007199254740993,"b":[-1988810812324360001],"c":9007199254740991,"d":1234567890123456.5}'), {
      a: '9007199254740993',
      b: ['-1988810812324360001'],
      c: 9007199254740991,
      d: 1234567890123456.5
    })
  })
  t.test('leaves digits inside texts alone, and the last of two equal keys counts', async (t) => {
    t.same(parseJson('{"s":": 1988810812324360001","n":1988810812324360001,"n":2}'), {
      s: ': 1988810812324360001',
      n: 2
    })
  })
  t.test('that is broken is a SyntaxError', async (t) => {
    t.throws(() => parseJson('{"n":1988810812324360001'), { name: 'SyntaxError' })
  })
})
