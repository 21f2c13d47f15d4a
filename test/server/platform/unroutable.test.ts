import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { createHttp } from '../../../server/platform/http.js'
import { unroutable } from '../../../server/platform/unroutable.js'
import { silentLog } from '../../../server/platform/log.js'

const TYPE = 'application/problem+json; charset=utf-8'

async function bare(t: Test) {
  const app = await createHttp({ log: silentLog(), tokenKey: Buffer.alloc(32), trustProxy: false })
  t.teardown(() => app.close())
  app.get('/things/:id', async () => ({ ok: true }))
  app.post('/things', { schema: { body: z.looseObject({}) } }, async (request) => request.body)
  return app
}

/** What comes back for these bytes until the server hangs up; with the open socket for saying more. */
function say(port: number, text: string) {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk) => (heard += String(chunk)))
  socket.on('error', () => {})
  socket.write(text)
  const answer = once(socket, 'close').then(() => {
    const [head = '', body = ''] = heard.split('\r\n\r\n')
    const headers = Object.fromEntries(
      head
        .split('\r\n')
        .slice(1)
        .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])
    )
    return { status: Number(head.split(' ')[1]), headers, body: body === '' ? null : JSON.parse(body) }
  })
  return { socket, answer }
}

t.test('what the router cannot take is answered with a problem', async (t) => {
  const app = await bare(t)
  const refused = async (url: string, headers = {}) => {
    const answer = await app.inject({ url, headers })
    t.equal(answer.headers['content-type'], TYPE)
    t.equal(answer.headers['x-content-type-options'], 'nosniff')
    t.equal(answer.headers['x-request-id'], answer.json().requestId)
    return answer.json()
  }
  t.match(await refused(`/things/${'x'.repeat(201)}`), { status: 414, code: 'request.too-long' })
  t.match(await refused('/things/%zz'), { status: 400, code: 'request.malformed' })
  t.match(await refused('/things/%E0%A4%A'), { status: 400, code: 'request.malformed' })
  t.equal((await refused('/things/%zz', { 'accept-language': 'zh-CN' })).title, '请求无法解析')
  t.equal((await app.inject(`/things/${'x'.repeat(200)}`)).statusCode, 200)
})

t.test('what is no HTTP is answered with a problem, and the line is closed', async (t) => {
  const app = await bare(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const refused = async (text: string) => {
    const { status, headers, body } = await say(port, text).answer
    t.equal(headers['content-type'], TYPE)
    t.equal(headers.connection, 'close')
    t.equal(headers['x-request-id'], body.requestId)
    t.equal(Number(headers['content-length']), Buffer.byteLength(JSON.stringify(body)))
    t.equal(body.status, status)
    return body
  }
  const host = 'Host: hongyan.test\r\n'
  t.match(await refused(`GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(20_000)}\r\n\r\n`), {
    status: 431,
    code: 'request.headers-too-large'
  })
  t.match(await refused('nonsense\r\n\r\n'), { status: 400, code: 'request.malformed' })
  t.match(await refused(`GET / HTTP/1.1\r\n${host}A: b\r\n : c\r\n\r\n`), { status: 400, code: 'request.malformed' })
  t.match(await refused(`POST /things HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`), {
    status: 400,
    code: 'request.malformed'
  })
  t.match(await refused('GET /things/1 HTTP/1.1\r\nConnection: close\r\n\r\n'), {
    status: 400,
    detail: 'the Host header is missing'
  })
  t.match(await refused(`GET /things/1 HTTP/1.1\r\n${host}Expect: miracles\r\n\r\n`), {
    status: 417,
    code: 'request.expectation'
  })
})

t.test('half a request is not waited for without end', async (t) => {
  const app = await bare(t)
  t.ok(app.server.requestTimeout > 0 && app.server.headersTimeout <= app.server.requestTimeout)
  const socket = { writable: true, heard: '', destroyed: false }
  const written = (text: string, done: () => void) => {
    socket.heard = text
    done()
  }
  unroutable.clientErrorHandler(
    Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    Object.assign(socket, { end: written, destroy: () => (socket.destroyed = true) }) as never
  )
  t.match(socket.heard, /^HTTP\/1\.1 408 Request Timeout\r\n[^]*"code":"request.timeout"/)
  t.ok(socket.destroyed)
})

t.test('a request that comes while the server stops is told to come again', async (t) => {
  const app = await bare(t)
  let arrived = () => {}
  let go = () => {}
  const waiting = new Promise<void>((resolve) => (arrived = resolve))
  const gate = new Promise<void>((resolve) => (go = resolve))
  app.get('/slow', async () => {
    arrived()
    await gate
    return { slow: true }
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: hongyan.test\r\nConnection: close\r\n\r\n`
  const first = say(port, request('/slow'))
  const late = say(port, '')
  await Promise.all([waiting, once(late.socket, 'connect')])
  // Half a request, so that it is no idle connection, which would simply be hung up.
  late.socket.write('GET /things/1 HTTP/1.1\r\n')
  await app.inject('/things/1')
  const closed = app.close()
  late.socket.write('Host: hongyan.test\r\n\r\n')
  t.match(await late.answer, {
    status: 503,
    headers: { 'content-type': TYPE, 'retry-after': '2' },
    body: { code: 'server.stopping' }
  })
  go()
  t.match((await first.answer).body, { slow: true }, 'what was begun is finished')
  await closed
})

t.test('a body', async (t) => {
  const app = await bare(t)
  const post = async (payload: string, type: string | null = 'application/json') => {
    const headers = type === null ? {} : { 'content-type': type }
    const answer = await app.inject({ method: 'POST', url: '/things', payload, headers })
    if (answer.statusCode !== 200) t.equal(answer.headers['content-type'], TYPE)
    return answer.json()
  }
  t.test('that is no JSON, empty, too large or of another type', async (t) => {
    t.match(await post('{"a":'), { status: 400, code: 'request.malformed', detail: 'the body is not JSON' })
    t.match(await post(''), { status: 422, code: 'request.invalid', errors: [{ pointer: '' }] })
    t.match(await post(`"${'x'.repeat(2_100_000)}"`), { status: 413, code: 'request.too-large' })
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', '/', null]) {
      t.match(await post('a=1', type), { status: 415, code: 'request.media-type' }, `${type}`)
    }
  })
  t.test('that names a prototype is told the place', async (t) => {
    const place = async (payload: string) => {
      const { status, code, errors } = await post(payload)
      t.same([status, code, errors?.length], [422, 'request.forbidden-name', 1], payload)
      return errors[0].pointer
    }
    t.equal(await place('{"__proto__":{"admin":true}}'), '/__proto__')
    t.equal(await place('{"a":[1,{"b/c":{"\\u005f_proto__":1}}]}'), '/a/1/b~1c/__proto__')
    t.equal(await place('{"constructor":{"prototype":{}}}'), '/constructor/prototype')
    t.equal(await place('{"a":[{"b":{"_bsontype":"ObjectId","id":"x"}}]}'), '/a/0/b/_bsontype')
    t.equal(await place('{"\\u005fbsontype":"Long"}'), '/_bsontype')
    const deep = 200_000
    t.equal((await place(`{"a":${'['.repeat(deep)}{"__proto__":1}${']'.repeat(deep)}}`)).length, 2 + 2 * deep + 10)
  })
  t.test('that is nested without end is refused before anything recurses over it', async (t) => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    t.same(Object.keys(await post(nested(64))), ['a'])
    for (const depth of [65, 1_000, 500_000]) {
      t.match(await post(nested(depth)), { status: 422, code: 'request.too-deep', errors: [{ code: 'too_deep' }] })
    }
  })
  t.test('may say the word all the same', async (t) => {
    const harmless = { constructor: { name: 'x' }, text: '"__proto__"' }
    t.same(await post(JSON.stringify(harmless)), harmless)
  })
})
