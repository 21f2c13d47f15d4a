import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Connection } from 'mongoose'
import t, { type Test } from 'tap'
import { openEmbedded } from '../../server/embedded/embedded.js'
import { codeAt, stepAt } from '../../server/operators/totp.js'
import { keyOf, SEALED_PLACES, sealedIn } from '../../server/resealing/places.js'
import { run } from '../server/commands/run.js'
import { APPS, LEGACY } from '../journeys/fields-world.js'
import { SHIPPED } from '../journeys/fields-stories.js'
import { buildThings, type Things } from './things.js'

/**
 * A store after everything that brings something secret into it: looked through row by row, as an export, and as the bytes
 * of its files. Nothing of it is there to read.
 */

t.setTimeout(200_000)

const AES_KEY = 'kitDemoEncodingAESKey0123456789abcdefghijkA'

t.test('a secret is found however it is written', async (t) => {
  const secrets = new Map([['it', 'oStranger_0123456789']])
  const bytes = Buffer.from('..oStranger_0123456789...')
  for (const shift of [0, 1, 2]) t.same(namesIn(bytes.subarray(shift).toString('base64'), secrets), ['it'])
  t.same(namesIn(bytes.toString('base64url'), secrets), ['it'])
  t.same(namesIn(`{"a":"${bytes.toString('hex')}"}`, secrets), ['it'])
  t.same(namesIn(bytes.toString('latin1'), secrets, 'latin1'), ['it'])
  t.same(namesIn('oStranger_012345678', secrets), [])
})

t.test('a dump of everything', async (t) => {
  const given = process.env.MONGODB_URI
  const dir = t.testdir()
  const store = given ? null : await openEmbedded({ dir, worker: false })
  if (store !== null) process.env.MONGODB_URI = store.uri
  t.teardown(async () => {
    if (store !== null) delete process.env.MONGODB_URI
    await store?.close()
  })
  // Within it, so that its database is gone before the store is.
  await t.test('holds nothing in clear', async (t) => {
    const w = await buildThings(t)
    const secrets = await bringSecrets(t, w)
    const rows = await rowsOf(w.db)
    t.ok(rows.length > 100, `${rows.length} rows of ${new Set(rows.map(({ name }) => name)).size} collections`)

    t.test('row by row', async (t) => {
      for (const { name, row } of rows) {
        const found = namesIn(JSON.stringify(row), secrets)
        if (found.length > 0) t.same(found, [], `${name}: ${JSON.stringify(row).slice(0, 400)}`)
      }
      t.ok(secrets.size > 40, `${secrets.size} secrets, each raw, as base64 and as hex`)
    })

    t.test('as an export', async (t) => {
      const file = join(t.testdir(), 'all.jsonl')
      const uri = process.env.MONGODB_URI!.replace(/^(mongodb:\/\/[^/]+)(\/[^?]*)?/, `$1/${w.db.name}`)
      t.match(await run(['export', '--uri', uri, file]), { code: 0, err: /the keys are not in it/ })
      const text = await readFile(file, 'utf8')
      t.ok(text.split('\n').length > rows.length)
      t.same(namesIn(text, secrets), [])
    })

    t.test('as the bytes on the disk, of all that was ever written', { skip: store === null }, async (t) => {
      let bytes = 0
      for (const file of await filesIn(dir)) {
        const text = (await readFile(file)).toString('latin1')
        bytes += text.length
        t.same(namesIn(text, secrets, 'latin1'), [], file.slice(dir.length))
      }
      t.ok(bytes > 100_000, `${bytes} bytes`)
    })

    t.test('and what is sealed is where it is said to be', async (t) => {
      const strays: string[] = []
      const held = new Set<string>()
      for (const { name, row } of rows) {
        const places = SEALED_PLACES.filter(({ collection }) => collection === name).flatMap(({ paths }) => paths)
        const known = sealedIn(row, places)
        for (const { path } of known) held.add(`${name}.${path.replaceAll(/\.\d+/g, '[]')}`)
        const all = textsIn(row).filter(({ value }) => keyOf(value) === 'k1')
        for (const { path } of all) if (!known.some((each) => each.path === path)) strays.push(`${name}: ${path}`)
      }
      t.same(strays, [], 'a new place is entered in SEALED_PLACES, or its values are lost when their key is retired')
      t.comment(`sealed: ${[...held].sort().join(', ')}`)
      t.ok(held.size >= 14)
    })
  })
})

/** Brings secrets of every kind into the store by the ways they come in. @returns them by what they are */
async function bringSecrets(t: Test, w: Things): Promise<Map<string, string>> {
  const { app, rooms, sandbox, accounts, ask } = w
  const secrets = new Map<string, string>()
  const keep = (what: string, value: unknown) => {
    if (typeof value === 'string' && value.length >= 8) secrets.set(`${what} ${secrets.size}`, value)
    return value as string
  }
  for (const [name, { secret }] of Object.entries(APPS)) keep(`app secret of ${name}`, secret)

  // People of every source, in every account.
  const people = [
    await w.somebody({
      apps: ['shop', 'clinic', 'service'],
      grants: 2,
      forms: 2,
      follows: true,
      attributes: { city: '苏州' }
    }),
    await w.somebody({ apps: ['shop', 'service'], forms: 1, follows: true })
  ]
  for (const who of [w.who, ...people]) {
    for (const openId of Object.values(who.openId)) keep('openid', openId)
    keep('unionid', who.unionId)
  }
  const [one] = people
  const shop = one!.openId.shop
  const values = {
    form: 'form-value-0123456789',
    prepay: 'wx2030030401020304prepayid',
    pending: 'wx20300304pendingprepay'
  }
  for (const value of Object.values(values)) keep('credential value', value)
  await w.handIn('shop', shop, [
    { source: 'form', value: values.form },
    { source: 'payment', value: values.prepay, orderId: 'order-1', result: 'ok' },
    { source: 'payment', value: values.pending, orderId: 'order-2', result: 'pending' }
  ])
  await ask('POST', '/v1/credentials/confirm', {
    accountId: w.mine,
    orderId: 'order-2',
    paidAt: w.instant(),
    openId: shop
  })
  // A phone: its login, its token, what it hands in.
  const { code } = sandbox!.controls.mintCode({ appid: APPS.shop.appid, openid: shop }) as { code: string }
  const session = await ask('POST', '/v1/capture/session', { appId: APPS.shop.appid, code })
  keep('phone token', session.token)
  const minted = await ask('POST', '/v1/capture/sessions', { accountId: w.mine, openId: shop })
  const phone = { authorization: `Bearer ${keep('phone token', minted.token)}` }
  const caught = {
    id: 'c1',
    source: 'form',
    value: keep('credential value', 'phone-form-value-42'),
    caughtAt: w.instant()
  }
  await ask('POST', '/v1/capture/credentials', { sentAt: w.instant(), items: [caught] }, phone)
  await ask(
    'POST',
    '/v1/capture/events',
    { sentAt: w.instant(), items: [{ id: 'e', name: 'looked', at: w.instant() }] },
    phone
  )

  // Messages of every kind, one of them to a stranger's openid, one in doubt.
  const stranger = keep('openid', `oStranger_${randomBytes(10).toString('hex')}`)
  for (const openId of [shop, stranger]) {
    const body = { accountId: w.mine, to: { openId }, templateId: LEGACY, content: SHIPPED, waitForCredential: true }
    await ask('POST', '/v1/messages', body, { 'idempotency-key': `m-${openId}` })
  }
  sandbox!.controls.addRule({
    path: '/cgi-bin/message/wxopen/template/send',
    openid: shop,
    times: 1,
    action: { reset: 'after' }
  } as never)
  await w.flush()

  // WeChat's pushes, of which one is kept whole.
  const service = await rooms.accounts.get(accounts.service)
  const token = keep('callback token', 'callbacktoken0123')
  const callback = { token, aesKey: keep('callback key', AES_KEY) }
  await ask('PATCH', `/v1/accounts/${service.id}`, { callback })
  const follower = one!.openId.service
  const said = '<Content><![CDATA[在吗]]></Content><MsgId>1234567890123456</MsgId>'
  await push(app, service.appId, token, follower, `<MsgType><![CDATA[text]]></MsgType>${said}`)
  await push(
    app,
    service.appId,
    token,
    follower,
    '<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[odd_one]]></Event>'
  )
  await w.flush()

  // A file with openids, one line of it wrong.
  const imported = keep('openid', `oImported_${randomBytes(10).toString('hex')}`)
  const csv = `accountId,openId,unionId\n${w.mine},${imported},${keep('unionid', 'union-imported-0001')}\nnobody,${imported},\n`
  await app.inject({
    method: 'POST',
    url: '/v1/people/import',
    headers: { ...w.owner, 'content-type': 'text/csv' },
    payload: csv
  })
  await w.flush()

  // The third-party platform.
  const platform = {
    appId: 'wx5b1a2c3d4e5f6009',
    secret: '6009a1b2c3d4e5f60718293a4b5c6d7e',
    token: 'platformtoken01',
    aesKey: 'platformEncodingAESKey0123456789abcdefghijA'
  }
  for (const name of ['secret', 'token', 'aesKey'] as const) keep(`platform ${name}`, platform[name])
  await ask('PATCH', '/v1/platform', { ...platform, mode: 'sandbox' })
  await rooms.platforms.keepTicket(platform.appId, keep('platform ticket', 'ticket@@@0123456789'), w.clock.now())

  // Who runs it: passwords, cookies, keys, codes.
  const password = keep('password', 'an unusual passphrase 77')
  const email = 'dump@example.com'
  await ask('POST', '/v1/operators', { email, password, role: 'owner' }, w.owner)
  const login = await app.inject({ method: 'POST', url: '/v1/auth/login', payload: { email, password } })
  keep('operator token', login.json().token)
  keep('refresh token', login.cookies[0]!.value)
  const mine = { authorization: `Bearer ${login.json().token}` }
  keep(
    'API key',
    (
      await ask(
        'POST',
        '/v1/api-keys',
        { name: 'k', scopes: ['accounts:read'] },
        { ...w.owner, 'idempotency-key': 'k1' }
      )
    ).key
  )
  keep('tester code', (await ask('POST', `/v1/accounts/${w.mine}/tester-codes`, undefined, mine)).code)
  await secondFactor(w, mine, password, keep)
  // Webhooks and alert targets: addresses with keys in them, and what they are told.
  const url = 'http://127.0.0.1:9/hook?key='
  const hook = await ask('POST', '/v1/webhooks', {
    url: url + keep('webhook key', 'hookkey-0123456789'),
    events: ['message.accepted', 'message.skipped']
  })
  keep('webhook secret', hook.secret)
  keep('webhook secret', hook.secret.replace('whsec_', ''))
  keep('webhook secret', (await ask('POST', `/v1/webhooks/${hook.id}/rotate-secret`)).secret)
  await ask('PATCH', '/v1/settings', {
    alerts: { targets: [{ name: '群', url: url + keep('robot key', 'robotkey-0123456789') }] }
  })
  const { templateId } = w.campaign
  await ask(
    'POST',
    '/v1/messages',
    { accountId: w.mine, to: { openId: shop }, templateId, content: w.campaign.content },
    { 'idempotency-key': 'news' }
  )
  await w.flush()
  // WeChat's own tokens.
  keep('access token', (await ask('GET', `/v1/accounts/${w.mine}/token`)).token)
  return secrets
}

/** Its secret and its codes, where there are such. */
async function secondFactor(
  { app, clock }: Things,
  headers: Record<string, string>,
  password: string,
  keep: (what: string, value: unknown) => string
): Promise<void> {
  const begun = (await app.inject({ method: 'POST', url: '/v1/me/totp', headers, payload: { password } })).json()
  keep('second factor', begun.secret)
  const bytes = Buffer.from(fromBase32(begun.secret))
  keep('second factor', bytes.toString('base64url'))
  const code = codeAt(bytes, stepAt(clock.now()))
  const confirmed = await app.inject({ method: 'PUT', url: '/v1/me/totp', headers, payload: { code } })
  for (const each of confirmed.json().recoveryCodes) keep('recovery code', each.replace('-', ''))
}

function fromBase32(text: string): number[] {
  const bits = Array.from(text, (letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')
  )
  return bits
    .join('')
    .match(/.{8}/g)!
    .map((byte) => parseInt(byte, 2))
}

/** A push as WeChat sends it in plain mode. */
async function push(app: Things['app'], appId: string, token: string, from: string, body: string) {
  const [timestamp, nonce] = ['1898902800', 'n0nce']
  const signature = createHash('sha1').update([token, timestamp, nonce].sort().join('')).digest('hex')
  const who = `<ToUserName>x</ToUserName><FromUserName><![CDATA[${from}]]></FromUserName>`
  const payload = `<xml>${who}<CreateTime>${timestamp}</CreateTime>${body}</xml>`
  const url = `/callback/${appId}?${new URLSearchParams({ signature, timestamp, nonce }).toString()}`
  const answer = await app.inject({ method: 'POST', url, headers: { 'content-type': 'text/xml' }, payload })
  if (answer.statusCode !== 200) throw new Error(`a push was answered ${answer.statusCode}: ${answer.body}`)
}

async function rowsOf(db: Connection): Promise<{ name: string; row: Record<string, unknown> }[]> {
  const store = db.getClient().db(db.name)
  const names = (await store.listCollections().toArray()).map(({ name }) => name)
  const lists = await Promise.all(
    names.map(async (name) => (await store.collection(name).find().toArray()).map((row) => ({ name, row })))
  )
  return lists.flat()
}

/** Which of these are in a text, in clear or only encoded. */
function namesIn(text: string, secrets: Map<string, string>, encoding: 'utf8' | 'latin1' = 'utf8'): string[] {
  const found: string[] = []
  for (const [name, secret] of secrets) {
    const bytes = Buffer.from(secret)
    // Somewhere in a longer text base64 begins at one of three places; what both neighbours touch is left out.
    const base64 = [0, 1, 2].map((shift) => Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64'))
    const inner = base64.map((each, shift) => each.slice(shift === 0 ? 0 : 4, -4)).filter((each) => each.length >= 8)
    const forms = [bytes.toString(encoding), bytes.toString('hex'), JSON.stringify(secret).slice(1, -1), ...inner]
    if (forms.some((form) => text.includes(form)) || inner.some((each) => text.includes(toUrl(each)))) found.push(name)
  }
  return found
}

function toUrl(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_')
}

/** Every text in a row and the way to it. */
function textsIn(value: unknown, path = ''): { path: string; value: string }[] {
  if (typeof value === 'string') return [{ path, value }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, each]) => textsIn(each, path === '' ? name : `${path}.${name}`))
}

async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => existsSync(file))
}
