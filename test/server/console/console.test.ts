import Fastify from 'fastify'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { brotliCompressSync, brotliDecompressSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { CONSOLE_CSP, consoleRoutes } from '../../../server/console/console.js'
import { installProblems } from '../../../server/platform/problem.js'
import { buildTestApp } from '../../support/build-app.js'

const PAGE = '<!doctype html><title>console</title>'
const SCRIPT = 'export const all = 1\n'.repeat(200)
const asPage = { accept: 'text/html,application/xhtml+xml' }

t.test('a built console', async (t) => {
  const dir = t.testdir({})
  mkdirSync(path.join(dir, 'assets'))
  writeFileSync(path.join(dir, 'index.html'), PAGE)
  writeFileSync(path.join(dir, 'assets/main-1a2b.js'), SCRIPT)
  writeFileSync(path.join(dir, 'assets/main-1a2b.js.br'), brotliCompressSync(SCRIPT))
  writeFileSync(path.join(dir, 'assets/main-1a2b.js.gz'), gzipSync(SCRIPT))
  const app = Fastify()
  installProblems(app)
  await app.register(consoleRoutes, { places: [pathToFileURL(`${dir}/`)] })
  t.teardown(() => app.close())

  t.test('is asked for anew each time, under a policy that runs nothing but its own files', async (t) => {
    const { statusCode, headers, body } = await app.inject({ url: '/', headers: asPage })
    t.equal(statusCode, 200)
    t.equal(body, PAGE)
    t.match(headers, { 'cache-control': 'no-cache', 'content-security-policy': CONSOLE_CSP })
    t.notMatch(CONSOLE_CSP, /unsafe/)
  })
  t.test('answers at its own addresses, however deep, and at nobody else’s', async (t) => {
    for (const url of ['/campaigns', '/templates/a/b', '/people/x?tab=1']) {
      t.equal((await app.inject({ url, headers: asPage })).body, PAGE, url)
    }
    for (const url of ['/v1/nothing', '/v1', '/docs/nothing', '/o/', '/callback/wx1', '/platform/x', '/healthz/x']) {
      const { statusCode, headers } = await app.inject({ url, headers: asPage })
      t.equal(statusCode, 404, url)
      t.match(headers['content-type'], 'application/problem+json')
    }
    t.equal((await app.inject({ url: '/campaigns', headers: { accept: 'application/json' } })).statusCode, 404)
    t.equal((await app.inject({ url: '/favicon.ico', headers: asPage })).statusCode, 404)
    t.equal((await app.inject({ method: 'POST', url: '/campaigns', headers: asPage })).statusCode, 404)
  })
  t.test('sends files whose name says what is inside once and for all, compressed beforehand', async (t) => {
    const url = '/assets/main-1a2b.js'
    const plain = await app.inject({ url })
    t.equal(plain.body, SCRIPT)
    t.match(plain.headers, { 'cache-control': 'public, max-age=31536000, immutable' })
    const small = await app.inject({ url, headers: { 'accept-encoding': 'br, gzip' } })
    t.equal(small.headers['content-encoding'], 'br')
    t.match(small.headers['content-type'], 'javascript')
    t.equal(brotliDecompressSync(small.rawPayload).toString(), SCRIPT)
    t.equal((await app.inject({ url, headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding'], 'gzip')
  })
  t.test('gives nothing away beside it', async (t) => {
    writeFileSync(path.join(dir, 'secret.txt'), 'x')
    for (const url of ['/assets/..%2fsecret.txt', '/assets/../secret.txt', '/secret.txt', '/assets/nothing.js']) {
      t.equal((await app.inject({ url, headers: asPage })).statusCode, 404, url)
    }
  })
})

t.test('a console that is not built says so, and the API goes on', async (t) => {
  const app = Fastify()
  installProblems(app)
  await app.register(consoleRoutes, { places: [new URL('file:///nowhere/')] })
  const { statusCode, body } = await app.inject({ url: '/', headers: asPage })
  t.equal(statusCode, 503)
  t.match(body, 'npm run build')
  await app.close()
})

t.test('before anybody signed in, a browser learns what to show first', async (t) => {
  const { app, rooms } = await buildTestApp(t)
  const state = async (cookies: Record<string, string> = {}) =>
    (await app.inject({ url: '/v1/auth/state', cookies })).json()
  t.same(await state(), { setUp: false, session: false })
  const code = (await rooms.operators.setupCode())!
  const body = { code, email: 'o@example.com', password: 'correct horse battery' }
  const made = await app.inject({ method: 'POST', url: '/v1/setup', payload: body })
  t.same(await state(), { setUp: true, session: false })
  const [{ name, value } = { name: '', value: '' }] = made.cookies
  t.same(await state({ [name]: value }), { setUp: true, session: true })
})
