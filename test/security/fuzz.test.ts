import t from 'tap'
import { Scope } from '../../shared/operator.js'
import { ACCESS } from './access.js'
import { bodyOf, createChance, oddText, sampleOf, spoilt, type Schema } from './fuzz-values.js'
import { askFor, buildThings } from './things.js'

/**
 * Every route is sent input made of its own schema with something wrong about it. Whatever it is, the answer is no fault of
 * ours, is a problem document when it is a refusal, and tells nothing of what is inside. `HONGYAN_FUZZ_SEED` plays another
 * lot, `HONGYAN_FUZZ_REQUESTS` more of it.
 */

const SEED = Number(process.env.HONGYAN_FUZZ_SEED ?? 1)
const REQUESTS = Number(process.env.HONGYAN_FUZZ_REQUESTS ?? 20_500)
const AT_ONCE = 16

/** What no answer holds: stacks, places on the disk, words of the store and of the runtime. */
const INSIDE =
  /\.[cm]?[jt]s:\d+|\\n +at |node_modules|\/server\/\w+|\/dist\/|Mongo(Server|Network|Bulk)?Error|E11000|TypeError|ReferenceError|RangeError|SyntaxError|undefined is not|Cannot read prop|keys\.json|BSON/

type Operation = {
  parameters?: { name: string; in: string; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
type Document = {
  paths: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, Schema> }
}

/** Served, and not in the document. */
const OUTSIDE: [string, string][] = [
  ['GET', '/callback/{appId}'],
  ['POST', '/callback/{appId}'],
  ['GET', '/platform/callback'],
  ['POST', '/platform/callback'],
  ['GET', '/o/{tag}'],
  ['GET', '/healthz'],
  ['GET', '/readyz'],
  ['GET', '/v1/{nothing}'],
  ['POST', '/{nothing}'],
  ['GET', '/docs/{nothing}'],
  ['GET', '/assets/{nothing}']
]

t.setTimeout(300_000)

t.test('nonsense made of the schemas', async (t) => {
  const w = await buildThings(t)
  const { app, rooms } = w
  const document = (await app.inject('/openapi.json')).json() as Document
  const chance = createChance(SEED)
  const meant = (schema: Schema): Schema =>
    schema.$ref === undefined ? schema : (document.components?.schemas?.[schema.$ref.split('/').at(-1)!] ?? {})

  const key = await w.key(Scope.options)
  const password = 'correct horse battery'
  const { id: ownerId } = await rooms.operators.create({ email: 'fuzz@example.com', password, role: 'owner' })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  let owner = bearer(rooms.tokens.operator(ownerId).token)
  let phone = w.phone({ accountId: w.mine, recipientId: w.recipient.id, personId: w.who.id })
  const callers = async (call: string): Promise<Record<string, string>> => {
    const who = ACCESS[call]?.[0] ?? 'anybody'
    if (who === 'phone') return phone
    // Who was logged out everywhere is nobody from then on.
    if (call === 'POST /v1/auth/logout-everywhere') return w.login('viewer')
    if (who === 'anybody') return {}
    return who.scope === undefined ? owner : key
  }
  const ids = [w.mine, w.other, w.who.id, w.who.externalId, w.campaignId, w.runId, w.audienceId, w.messageId]
  const routes = Object.entries(document.paths)
    .flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, of]) => ({ method: verb.toUpperCase(), path, of })))
    // One of it starts a whole WeChat; what it takes is nothing.
    .filter(({ method, path }) => `${method} ${path}` !== 'POST /v1/tryout')
    .concat(OUTSIDE.map(([method, path]) => ({ method, path, of: {} })))

  const statuses = new Map<number, number>()
  const faults: string[] = []
  let asked = 0

  async function fuzz({ method, path, of }: (typeof routes)[number]): Promise<void> {
    const call = `${method} ${path}`
    const own = call in ACCESS ? askFor(call, w) : { params: {}, query: {}, body: undefined, headers: {} }
    // What is there is kept for the other routes.
    const real = method !== 'DELETE' && chance.one(0.6)
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      real ? encodeURIComponent((own.params as Record<string, string>)[name] ?? '') : oddText(chance)
    )
    const query = queryOf(of, own.query ?? {})
    const { payload, type } = bodyFor(method, of, own.body)
    const headers: Record<string, string> = {
      ...(await callers(call)),
      ...(chance.one(0.8) && {
        'idempotency-key': chance.one(0.9) ? `f${asked}` : chance.pick(['', 'é', 'x'.repeat(300)])
      }),
      ...(chance.one(0.05) && { 'if-match': chance.pick(['*', '"x"', 'W/"1"', '"'.repeat(100)]) }),
      ...(chance.one(0.05) && { 'accept-language': chance.pick(['zh', 'xx;q=nan', ',,,', 'en'.repeat(2_000)]) }),
      ...(chance.one(0.05) && { accept: chance.pick(['text/html', '*/*', 'image/png;q=x', '']) }),
      ...(chance.one(0.03) && { cookie: chance.pick(['hongyan_refresh=x', '=;=;', 'hongyan_refresh=%00']) }),
      ...(chance.one(0.03) && { 'x-forwarded-for': chance.pick(['::1', 'x', '1.1.1.1,'.repeat(50)]) }),
      ...(type !== null && { 'content-type': type })
    }
    asked++
    const url = `${filled}${query}`
    const answer = await app.inject({ method: method as 'GET', url, headers, ...(payload !== null && { payload }) })
    const { statusCode, body } = answer
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    // An administrator's browser is told in a page.
    const isPage = path === '/v1/platform/authorizations/return' && headers.accept === 'text/html'
    const wrong = isPage && statusCode < 500 ? null : faultOf(statusCode, String(answer.headers['content-type']), body)
    if (wrong !== null) {
      const sent = payload === null ? '' : payload.toString().slice(0, 300)
      faults.push(`${wrong}: ${method} ${url.slice(0, 300)} [${type}] ${sent} → ${statusCode} ${body.slice(0, 300)}`)
    }
  }

  function queryOf({ parameters = [] }: Operation, own: Record<string, string>): string {
    const parts = chance.one(0.7)
      ? Object.entries(own).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      : []
    for (const { name, in: place, schema } of parameters) {
      if (place !== 'query' || !chance.one(0.25)) continue
      const value = chance.one(0.4) ? sampleOf(schema, meant, chance, ids) : oddText(chance)
      const said = typeof value === 'string' ? value : encodeURIComponent(JSON.stringify(value))
      parts.push(
        chance.one(0.15) ? `${name}${chance.pick(['[]', '[$ne]', '[a][b]', '%00'])}=${said}` : `${name}=${said}`
      )
    }
    if (chance.one(0.1))
      parts.push(`${chance.pick(['__proto__', 'unknown', '%00', '', 'constructor[prototype][x]'])}=1`)
    return parts.length === 0 ? '' : `?${parts.join('&')}`
  }

  function bodyFor(method: string, { requestBody }: Operation, own: unknown) {
    if (method === 'GET' || method === 'HEAD' || (method === 'DELETE' && chance.one(0.9))) {
      return { payload: null, type: null }
    }
    const schema = requestBody?.content['application/json']?.schema
    const good =
      own !== undefined && chance.one(0.5) ? own : schema === undefined ? {} : sampleOf(schema, meant, chance, ids)
    const value = chance.one(0.85) ? spoilt(good, chance) : good
    const type = chance.one(0.92)
      ? 'application/json'
      : chance.pick([
          'text/plain',
          'application/xml',
          'text/xml',
          'application/json; charset=utf-16',
          'multipart/form-data',
          'application/x-www-form-urlencoded',
          'text/csv',
          'application/x-ndjson',
          'json',
          '',
          'application/json, text/plain',
          'application/__proto__'
        ])
    return { payload: bodyOf(value, chance), type }
  }

  while (asked < REQUESTS) {
    for (let from = 0; from < routes.length; from += AT_ONCE) {
      await Promise.all(routes.slice(from, from + AT_ONCE).map(fuzz))
    }
    // What limits guessing at doors is not what is looked at here; tokens would be over by then.
    w.clock.advance(61_000)
    owner = bearer(rooms.tokens.operator(ownerId).token)
    phone = w.phone({ accountId: w.mine, recipientId: w.recipient.id, personId: w.who.id })
    if (faults.length > 20) break
  }

  t.same(faults.slice(0, 20), [], `no fault in ${asked} requests (seed ${SEED})`)
  t.equal(({} as { role?: string }).role, undefined, 'no prototype was written to')
  t.ok((statuses.get(422) ?? 0) > REQUESTS / 10, 'many came as far as the schemas')
  t.ok([200, 201, 202, 204].reduce((sum, status) => sum + (statuses.get(status) ?? 0), 0) > 500, 'and some were right')
  t.equal((await app.inject({ url: '/v1/accounts', headers: owner })).statusCode, 200, 'it still serves')
  t.equal((await rooms.accounts.list()).length >= 3, true)
  const told = [...statuses].sort(([a], [b]) => a - b).map(([status, times]) => `${status}×${times}`)
  t.comment(`${asked} requests to ${routes.length} routes: ${told.join(' ')}`)
})

/** What is wrong with an answer; null: nothing. */
function faultOf(status: number, type: string, body: string): string | null {
  // WeChat, asked about something nobody has, says so: the one fault that is not ours.
  if (status >= 500 && !(status === 502 && /"code":"(wechat|upstream)\./.test(body))) return 'a fault of ours'
  if (INSIDE.test(body) && status >= 400) return 'it tells of what is inside'
  if (status < 400 || body === '') return null
  if (!type.startsWith('application/problem+json')) return `a refusal as ${type}`
  const problem = JSON.parse(body) as Record<string, unknown>
  for (const name of ['type', 'title', 'code', 'requestId']) if (typeof problem[name] !== 'string') return `no ${name}`
  return problem.status === status ? null : 'another status in it'
}
