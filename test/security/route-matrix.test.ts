import { createHmac } from 'node:crypto'
import t from 'tap'
import { Role, Scope } from '../../shared/operator.js'
import { testKeyring } from '../support/build-app.js'
import { createSealer } from '../../server/platform/sealing.js'
import { ACCESS, type Reach, type Who } from './access.js'
import { askFor, buildThings } from './things.js'

/**
 * Every route of /openapi.json, asked by everybody who may not: without a token, with spoilt, forged and expired ones, with
 * the wrong kind, role and scope, and with a good one that is bound to another account.
 */

t.setTimeout(240_000)

type Headers = Record<string, string>
const RANKS: Role[] = ['viewer', 'editor', 'operator', 'owner']
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const refused = (status: number) => [401, 403, 404].includes(status)

t.test('the route matrix', async (t) => {
  const w = await buildThings(t)
  const { rooms, clock, mine, other, app } = w
  const document = (await app.inject('/openapi.json')).json() as {
    paths: Record<string, Record<string, { security?: Record<string, unknown>[]; description?: string }>>
  }
  const calls = Object.entries(document.paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path}`)
  )

  t.test('names every route there is, and says of it what the document says', async (t) => {
    t.same(Object.keys(ACCESS).sort(), [...calls].sort())
    for (const [call, [who]] of Object.entries(ACCESS)) {
      const [verb, path] = call.split(' ') as [string, string]
      const { security, description = '' } = document.paths[path]![verb.toLowerCase()]!
      const kinds = (security ?? []).flatMap((each) => Object.keys(each)).sort()
      const told = /A key with the scope `([\w:]+)`/.exec(description)?.[1]
      const least = /of the role (\w+) or above/.exec(description)?.[1]
      if (who === 'anybody') t.same(kinds, [], call)
      else if (who === 'phone') t.same(kinds, ['phone'], call)
      else t.same([told, least], [who.scope, who.role], call)
    }
  })

  // Callers of every kind; each token is good but for what its name says.
  const recipient = w.recipient
  const bound = { accountId: mine, recipientId: recipient.id, personId: w.who.id }
  const phone = w.phone(bound)
  const owner = await w.login('owner')
  const everything = await w.key(Scope.options)
  const good = owner.authorization!.slice('Bearer '.length)
  const [head, claims, signature] = good.split('.') as [string, string, string]
  const said = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>
  const signed = (header: object, payload: object, key: Buffer | string, algorithm = 'sha256') => {
    const text = `${part(header)}.${part(payload)}`
    return bearer(`${text}.${createHmac(algorithm, key).update(text).digest('base64url')}`)
  }
  const tokenKey = createSealer(testKeyring).derive('tokens')
  const now = clock.now()
  clock.set(new Date(now.getTime() - 3 * 3_600_000))
  const [oldOwner, oldPhone] = [bearer(rooms.tokens.operator(String(said.sub)).token), w.phone(bound)]
  clock.set(now)
  const expired = await rooms.apiKeys.create({
    name: 'over',
    scopes: Scope.options,
    expiresAt: new Date(now.getTime() - 1)
  })
  const revoked = await rooms.apiKeys.create({ name: 'revoked', scopes: Scope.options })
  await rooms.apiKeys.callerOf(revoked.key)
  await rooms.apiKeys.remove(revoked.id, null)
  const left = await rooms.operators.create({ email: 'left@example.com', password: 'correct horse', role: 'owner' })
  const ofLeft = bearer(rooms.tokens.operator(left.id).token)
  await rooms.operators.remove(left.id)
  const { iat: _iat, exp: _exp, ...timeless } = said

  const NOBODY: Record<string, Headers> = {
    'no token': {},
    'an empty token': { authorization: 'Bearer ' },
    'another scheme': { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` },
    'the token without its scheme': { authorization: good },
    'the token as a cookie': { cookie: `authorization=${good}; hongyan_refresh=${good}` },
    nonsense: bearer('nonsense'),
    'an unknown API key': bearer('hk_0123456789abcdef0123456789abcdef'),
    'a revoked API key': bearer(revoked.key),
    'an expired API key': bearer(expired.key),
    'an expired operator': oldOwner,
    'an expired phone': oldPhone,
    'an operator who left': ofLeft,
    'alg none': bearer(`${part({ alg: 'none', typ: 'JWT' })}.${claims}.`),
    'alg none with a signature': bearer(`${part({ alg: 'none', typ: 'JWT' })}.${claims}.${signature}`),
    'another key': signed({ alg: 'HS256', typ: 'JWT' }, said, 'another key'),
    'an empty key': signed({ alg: 'HS256', typ: 'JWT' }, said, ''),
    'another algorithm': signed({ alg: 'HS512', typ: 'JWT' }, said, tokenKey, 'sha512'),
    'claims changed': bearer(`${head}.${part({ ...said, sub: 'somebody else' })}.${signature}`),
    'a longer life written in': bearer(`${head}.${part({ ...said, exp: 9_999_999_999 })}.${signature}`),
    'a signature cut off': bearer(`${head}.${claims}`),
    'no end': signed({ alg: 'HS256', typ: 'JWT' }, timeless, tokenKey),
    'an end that is no number': signed({ alg: 'HS256', typ: 'JWT' }, { ...said, exp: 'never' }, tokenKey),
    'a kind nobody has': signed({ alg: 'HS256', typ: 'JWT' }, { ...said, k: 'x' }, tokenKey)
  }
  const roles = {} as Record<Role, Headers>
  for (const role of Role.options) roles[role] = await w.login(role)
  const strangers: Record<string, Headers> = {
    'an owner of another account': await w.login('owner', [other]),
    'a key of another account': await w.key(Scope.options, [other]),
    'an owner of no account': await w.login('owner', []),
    'a key of no account': await w.key(Scope.options, [])
  }

  let asked = 0
  async function ask(call: string, headers: Headers, params: Record<string, string> = {}) {
    const [method, path] = call.split(' ') as [string, string]
    const { params: own = {}, query = {}, body, headers: more = {} } = askFor(call, w)
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? own[name] ?? ''))
    asked++
    const answer = await app.inject({
      method: method as 'GET',
      url,
      query,
      headers: { ...more, ...headers },
      ...(body !== undefined && { payload: body as never })
    })
    if (answer.statusCode >= 500 && answer.statusCode !== 502) t.fail(`${call} was answered ${answer.statusCode}`)
    return answer
  }

  t.test('nobody is nobody', async (t) => {
    for (const [call, [who]] of Object.entries(ACCESS)) {
      if (who === 'anybody') continue
      for (const [name, headers] of Object.entries(NOBODY)) {
        const { statusCode } = await ask(call, headers)
        if (statusCode !== 401) t.equal(statusCode, 401, `${call}: ${name}`)
        if (call.startsWith('GET ')) {
          const { statusCode: ofHead } = await ask(call.replace('GET', 'HEAD'), headers)
          if (ofHead !== 401) t.equal(ofHead, 401, `HEAD ${call}: ${name}`)
        }
      }
    }
    t.equal((await app.inject({ url: '/v1/me', headers: owner })).statusCode, 200, 'and the good token is good')
  })

  t.test('a token of the wrong kind, a role too low and a scope too few', async (t) => {
    for (const [call, [who]] of Object.entries(ACCESS)) {
      if (who === 'anybody') continue
      for (const [name, headers] of Object.entries(await wrongOnes(who))) {
        const { statusCode } = await ask(call, headers)
        if (statusCode !== 403) t.equal(statusCode, 403, `${call}: ${name}`)
      }
    }
    t.pass()
  })

  async function wrongOnes(who: Who): Promise<Record<string, Headers>> {
    if (who === 'phone') return { 'an owner': owner, 'a key with every scope': everything }
    if (who === 'anybody') return {}
    const wrong: Record<string, Headers> = { 'a phone': phone }
    for (const role of RANKS.slice(0, RANKS.indexOf(who.role))) wrong[role] = roles[role]
    if (who.scope === undefined) wrong['a key'] = everything
    else wrong['a key with every other scope'] = await otherScopes(who.scope)
    return wrong
  }
  const lacking = new Map<Scope, Promise<Headers>>()
  function otherScopes(scope: Scope): Promise<Headers> {
    const known = lacking.get(scope) ?? w.key(Scope.options.filter((each) => each !== scope))
    lacking.set(scope, known)
    return known
  }

  t.test('the role, and the scope alone, are enough', async (t) => {
    for (const [call, [who, reach]] of Object.entries(ACCESS)) {
      if (who === 'anybody' || who === 'phone') continue
      // Of things that are not there, so that nothing is changed.
      const nobodys = { id: 'nobodys', templateId: 'nobodys', titleId: 'nobodys', testerId: 'nobodys' }
      const harmless = reach !== 'all' && !/^(POST|PUT|PATCH|DELETE) [^{]*$|stream/.test(call)
      const callers = [roles[who.role], ...(who.scope === undefined ? [] : [await w.key([who.scope])])]
      for (const headers of harmless ? callers : []) {
        const { statusCode } = await ask(call, headers, nobodys)
        if (statusCode === 401 || statusCode === 403) t.fail(`${call} was answered ${statusCode}`)
      }
    }
    t.pass()
  })

  t.test("another account's things do not exist", async (t) => {
    const ids = [mine, w.who.id, w.who.externalId, w.campaignId, w.runId, w.messageId, w.credentialId, recipient.id]
    const secret = [...ids, w.webhookId, w.keyId, w.breakerId, w.suppressionId, 'alert-of-mine', w.who.openId.shop]
    const counts = async () =>
      Promise.all(
        ['people', 'messages', 'campaigns', 'credentials', 'webhooks', 'optOuts', 'apiKeys', 'accounts'].map((name) =>
          w.db.collection(name).countDocuments({})
        )
      )
    const before = await counts()
    for (const [call, [who, reach]] of Object.entries(ACCESS)) {
      if (who === 'anybody' || who === 'phone' || reach === 'shared') continue
      for (const [name, headers] of Object.entries(strangers)) {
        if (who.scope === undefined && name.startsWith('a key')) continue
        const { statusCode, body } = await ask(call, headers)
        const fine = isFine(reach, statusCode)
        const leaks = statusCode < 300 ? secret.filter((id) => body.includes(id)) : []
        if (!fine || leaks.length > 0) t.same([statusCode, leaks], [404, []], `${call}: ${name}: ${body.slice(0, 200)}`)
      }
    }
    t.same(await counts(), before, 'and nothing was made or removed')
  })

  function isFine(reach: Reach, status: number): boolean {
    if (reach === 'all') return status === 403
    return reach === 'filtered' ? status === 200 || refused(status) : refused(status)
  }

  t.test('what anybody may ask is answered whatever token comes along', async (t) => {
    for (const [call, [who]] of Object.entries(ACCESS)) {
      if (who !== 'anybody') continue
      for (const [name, headers] of Object.entries({ ...NOBODY, 'an owner': owner, 'a phone': phone })) {
        const { statusCode } = await ask(call, headers)
        if (statusCode >= 500) t.fail(`${call}: ${name}: ${statusCode}`)
      }
    }
    t.pass()
  })

  t.teardown(() => t.comment(`${calls.length} routes, ${asked} requests`))
})
