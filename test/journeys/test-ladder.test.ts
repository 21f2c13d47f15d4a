import t from 'tap'
import { BRAND, liveApp, until } from '../support/live-app.js'
import { openApiClient } from '../support/openapi-client.js'

const SHIPPED = 'SandboxServiceShipped_'.padEnd(43, '0')
const CALLBACK_TOKEN = 'callbacktoken'

t.test(
  'an operator writes a code to the service account, sees the card first, and goes online by the ladder',
  async (t) => {
    const { url, sandbox, rooms, db } = await liveApp(t)
    const { call } = await openApiClient(url)
    const setup = { code: await rooms.operators.setupCode(), email: 'o@example.com', password: 'correct horse battery' }
    await call('POST', '/v1/setup', { body: setup })
    const { code: _code, ...login } = setup
    const bearer: string = (await call('POST', '/v1/auth/login', { body: login })).body.token
    const as = (options: object = {}) => ({ bearer, ...options })

    const account = (
      await call(
        'POST',
        '/v1/accounts',
        as({
          body: {
            kind: 'service',
            ...BRAND,
            name: 'brand',
            mode: 'sandbox',
            apiBase: sandbox.url,
            callback: { token: CALLBACK_TOKEN },
            testLadder: 'required'
          }
        })
      )
    ).body
    t.equal(account.testLadder, 'required')
    sandbox.controls.putApp({
      ...sandbox.controls.apps().find((app: any) => app.appid === BRAND.appId)!,
      callback: { url: `${url}/callback/${BRAND.appId}`, token: CALLBACK_TOKEN }
    } as never)
    await call('GET', '/v1/templates', as({ query: { accountId: account.id, live: 'true' } }))
    const fans = sandbox.controls.addUsers({ count: 2, appids: [BRAND.appId], followers: [BRAND.appId] })
    const [stranger] = sandbox.controls.addUsers({ count: 1, appids: [BRAND.appId], followers: [] })
    const openIdOf = ({ openids }: { openids: Record<string, string> }) => openids[BRAND.appId]!
    const operator = openIdOf(fans[0]!)
    const synced = (
      await call('POST', '/v1/accounts/{id}/followers/sync', as({ params: { id: account.id }, body: {} }))
    ).body
    await until(
      'the followers',
      async () => (await call('GET', '/v1/operations/{id}', as({ params: { id: synced.id } }))).body,
      ({ state }) => state === 'done'
    )
    const known = { accountId: account.id, openId: openIdOf(stranger!) }
    await call('POST', '/v1/people/identify', as({ body: known }))
    const audience = (await call('POST', '/v1/audiences', as({ body: { name: '全部', rule: { all: [] } } }))).body
    const campaign = (
      await call(
        'POST',
        '/v1/campaigns',
        as({
          body: {
            name: '发货',
            accountId: account.id,
            audienceId: audience.id,
            templateId: SHIPPED,
            trigger: { kind: 'once', at: new Date(Date.now() + 3_600_000).toISOString(), zone: 'Asia/Shanghai' },
            content: { character_string1: '8231', thing2: '蓝色水杯', time3: '2026-03-01 10:00' },
            open: { url: 'https://shop.test/orders/8231' }
          }
        })
      )
    ).body
    const params = { id: campaign.id }

    const untried = await call('POST', '/v1/campaigns/{id}/activate', as({ params }))
    t.equal(untried.status, 422)
    t.same(
      untried.body.errors.map((each: any) => each.code),
      ['ladder.test-missing', 'ladder.dry-run-missing']
    )
    const nobody = await call('POST', '/v1/campaigns/{id}/test-sends', as({ params, body: { to: 'me' } }))
    t.match(nobody, { status: 409, body: { code: 'testers.not-enrolled' } })

    // the code is written to the service account; what WeChat pushes is signed
    const given = (await call('POST', '/v1/accounts/{id}/tester-codes', as({ params: { id: account.id } }))).body
    await fetch(`${sandbox.url}/sandbox/interactions`, {
      method: 'POST',
      body: JSON.stringify({
        appid: BRAND.appId,
        openid: operator,
        kind: 'text',
        text: ` ${given.code.toLowerCase()}`
      })
    })
    const testers = await until(
      'the tester',
      async () => (await call('GET', '/v1/accounts/{id}/testers', as({ params: { id: account.id } }))).body.data,
      (list) => list.length === 1
    )
    t.match(testers, [{ via: 'message', operatorId: /./ }])

    // the card goes out for real, on a right of the operator's own
    const sent = await call('POST', '/v1/campaigns/{id}/test-sends', as({ params, body: { to: 'me' } }))
    t.match(sent, {
      status: 202,
      body: { messages: [{ personId: testers[0].personId, state: 'planned', reason: null }] }
    })
    const id = sent.body.messages[0].id as string
    const read = async () => (await call('GET', '/v1/messages/{id}', as({ params: { id } }))).body
    await until('the card', read, ({ state }) => state === 'accepted' || state === 'delivered')
    t.match(await read(), {
      test: true,
      runId: null,
      campaignId: campaign.id,
      credential: { source: /^(follow|scan|reply)$/ }
    })
    const card = (await db.collection('messages').findOne({}))!
    t.equal(sandbox.controls.ledger({}).rows.length, 1)
    const link = sandbox.controls.ledger({}).rows[0]!.url as string
    t.match(link, /\/o\/[\w-]{22}\.[\w-]{8}$/)
    const followed = await fetch(`${url}${new URL(link).pathname}`, { redirect: 'manual' })
    t.same([followed.status, followed.headers.get('location')], [302, 'https://shop.test/orders/8231'])
    t.ok((await read()).openedAt)
    t.equal(card.test, true)

    // everybody, without sending
    const begun = await call('POST', '/v1/campaigns/{id}/dry-run', as({ params }))
    t.equal(begun.status, 202)
    const walked = await until(
      'the dry run',
      async () => (await call('GET', '/v1/operations/{id}', as({ params: { id: begun.body.id } }))).body,
      ({ state }) => state !== 'running'
    )
    t.match(walked, {
      state: 'done',
      result: { total: 3, byState: { sent: 2, skipped: 1 }, byReason: { suppressed: 1 }, rendering: [] }
    })
    t.equal(sandbox.controls.ledger({}).rows.length, 1, 'nothing went out')
    t.equal(await db.collection('messages').countDocuments({}), 1)
    const online = await call('POST', '/v1/campaigns/{id}/activate', as({ params }))
    t.match(online, { status: 200, body: { state: 'online' } })
  }
)
