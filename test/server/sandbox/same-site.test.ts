import t from 'tap'
import { request } from 'undici'
import { createSandbox } from '../../../server/sandbox/sandbox.js'
import { isForeignPage } from '../../../server/sandbox/same-site.js'

t.test('who calls for a page of another site', async (t) => {
  const own = { host: '127.0.0.1:8199', origin: 'http://127.0.0.1:8199' }
  const table: [string, Parameters<typeof isForeignPage>[0], boolean][] = [
    ['curl', { host: '127.0.0.1:8199' }, false],
    ['a program, by any name', { host: 'sandbox.ci.example:80' }, false],
    ['its own page', { ...own, 'sec-fetch-site': 'same-origin' }, false],
    ['its own page, in an old browser', own, false],
    ['a person at the address bar', { host: 'localhost:8199', 'sec-fetch-site': 'none' }, false],
    ['a container beside it', { host: 'sandbox:8199', origin: 'http://sandbox:8199' }, false],
    ['over IPv6', { host: '[::1]:8199', origin: 'http://[::1]:8199' }, false],
    ['the host it was told to listen on', { host: 'dev.example:8199', 'sec-fetch-site': 'same-origin' }, false],
    ['a page from elsewhere', { ...own, origin: 'https://evil.example' }, true],
    ['a page without a name', { ...own, origin: 'null' }, true],
    ['a page of another port', { ...own, origin: 'http://127.0.0.1:9999' }, true],
    ['an image of a page from elsewhere', { host: '127.0.0.1:8199', 'sec-fetch-site': 'cross-site' }, true],
    ['a name that points here', { host: 'evil.example:8199', 'sec-fetch-site': 'same-origin' }, true],
    ['a name that points here, by its form', { host: 'evil.example', origin: 'http://evil.example' }, true]
  ]
  for (const [who, headers, foreign] of table) t.equal(isForeignPage(headers, 'dev.example'), foreign, who)
})

t.test('such calls change and read nothing', async (t) => {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 } })
  t.teardown(() => sandbox.close())
  const call = async (method: 'GET' | 'POST', path: string, headers: Record<string, string>, body?: string) =>
    (await request(sandbox.url + path, { method, headers, ...(body !== undefined && { body }) })).statusCode
  const evil = { origin: 'https://evil.example', 'content-type': 'text/plain' }
  const domains = '{"domains":["http://127.0.0.1:19991"]}'
  t.equal(await call('POST', '/sandbox/request-domains', evil, domains), 403)
  t.same(JSON.stringify(sandbox.controls.requestDomains()).includes('19991'), false)
  t.equal(await call('GET', '/sandbox/ledger', { 'sec-fetch-site': 'cross-site' }), 403)
  t.equal(await call('POST', '/sandbox/request-domains', { 'content-type': 'application/json' }, domains), 200)
  t.not(await call('GET', '/phone', { 'sec-fetch-site': 'cross-site' }), 403, 'a link from elsewhere leads to the page')
  t.equal(await call('GET', '/', { 'sec-fetch-site': 'cross-site' }), 200)
})
