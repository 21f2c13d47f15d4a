import t, { type Test } from 'tap'
import { createFollowers, type MintFollow } from '../../../server/followers/followers.js'
import type { WechatApi } from '../../../server/wechat/api.js'
import { silentLog } from '../../../server/platform/log.js'
import { buildTestApp } from '../../support/build-app.js'

const MINI = 'wx5b1a2c3d4e5f6001'
const SVC = 'wx5b1a2c3d4e5f6003'
const SECRET = '6003a1b2c3d4e5f60718293a4b5c6d7e'

async function room(t: Test) {
  const server = await buildTestApp(t, { wechat: 'sandbox' })
  const { rooms, parts, db, clock } = server
  const minted: Parameters<MintFollow>[1][] = []
  const minting = { now: 0, most: 0 }
  const followers = createFollowers({
    db,
    clock,
    log: silentLog(),
    sealer: parts.sealer,
    accounts: rooms.accounts,
    people: rooms.people,
    wechat: rooms.wechat,
    jobs: rooms.jobs,
    operations: rooms.operations,
    mint: async (_account, right) => {
      minting.now++
      minting.most = Math.max(minting.most, minting.now)
      await new Promise((next) => setImmediate(next))
      minting.now--
      minted.push(right)
    }
  })
  await followers.ready()
  const service = await server.account({ kind: 'service', appId: SVC, secret: SECRET, name: 'svc', mode: 'sandbox' })
  const mini = await server.account({
    appId: MINI,
    secret: '6001a1b2c3d4e5f60718293a4b5c6d7e',
    name: 'mini',
    mode: 'sandbox'
  })
  const sync = async (options = {}) => {
    const { operationId } = await followers.startSync(service.id, options)
    await rooms.jobs.run('followers.sync', { accountId: service.id, operationId })
    return rooms.operations.get(operationId)
  }
  return { ...server, sandbox: server.sandbox!, people: rooms.people, followers, service, mini, minted, minting, sync }
}
const openIdsOf = (users: { openids: Record<string, string> }[], appid: string) =>
  users.map((user) => user.openids[appid]!)

t.test('followers', async (t) => {
  const { sandbox, people, service, mini, followers, minted, minting, sync, clock, db, rooms } = await room(t)
  const users = sandbox.controls.addUsers({ count: 250, appids: [MINI, SVC], followers: [SVC] }) as any[]
  const before = sandbox.requests({ path: '/cgi-bin/user/info/batchget' }).length
  const batches = () => sandbox.requests({ path: '/cgi-bin/user/info/batchget' }).length - before
  const [ann, bob] = users
  const annHere = await people.recipient(mini.id, ann.openids[MINI], { unionId: ann.unionid })

  t.test('are brought over and joined to mini-program users', async (t) => {
    clock.advance(1000)
    const done = await sync()
    t.match(done, { state: 'done', done: 250, total: 250, result: { followers: 250, joined: 250, gone: 0 } })
    t.equal(batches(), 3, 'a hundred at a time')
    const there = await people.recipientsOf(service.id, [annHere.personId])
    t.equal(there.get(annHere.personId)?.id, people.recipientId(service.id, ann.openids[SVC]))
    t.equal(await db.collection('recipients').countDocuments({ accountId: service.id, follower: true }), 250)
    t.equal(await db.collection('people').countDocuments({ mergedInto: null }), 250)
    t.equal(minted.length, 250, 'all followed within 48 hours')
    t.equal(new Set(minted.map(({ recipientId }) => recipientId)).size, 250)
    t.equal(minting.most, 16, 'some at a time')
    t.match(minted[0], { source: /follow|scan/, key: /^\d+$/ })
  })

  t.test('a second time costs one call, and finds who left', async (t) => {
    sandbox.controls.setFollowers({
      appid: SVC,
      openids: openIdsOf(users.slice(0, 3), SVC),
      follow: false,
      push: false
    })
    clock.advance(60_000)
    t.match(await sync(), { state: 'done', result: { followers: 247, joined: 0, gone: 3 } })
    t.equal(batches(), 3, 'nobody is asked about twice')
    const gone = await people.byIds([people.recipientId(service.id, bob.openids[SVC])])
    t.match([...gone.values()], [{ follower: false, reach: 'unfollowed' }])
    clock.advance(60_000)
    await sync({ full: true })
    t.equal(batches(), 6, 'unless that is wanted')
  })

  t.test('go on after a crash where they stood', async (t) => {
    clock.advance(60_000)
    const { operationId } = await followers.startSync(service.id)
    const again = await followers.startSync(service.id)
    t.equal(again.operationId, operationId, 'one at a time')
    sandbox.controls.addRule({ path: '/cgi-bin/user/get', times: 1, action: { errcode: -1 } })
    await t.rejects(
      rooms.jobs.run('followers.sync', { accountId: service.id, operationId }),
      'what may pass is left to the job queue'
    )
    t.match(await rooms.operations.get(operationId), { state: 'running' })
    await rooms.jobs.run('followers.sync', { accountId: service.id, operationId })
    t.match(await rooms.operations.get(operationId), { state: 'done', result: { followers: 247 } })
    await rooms.jobs.run('followers.sync', { accountId: service.id, operationId }) // repeated by a stalled worker: nothing
  })

  t.test('a list that ends early marks nobody as gone', async (t) => {
    clock.advance(60_000)
    const { operationId } = await followers.startSync(service.id)
    const { get } = rooms.wechat.users
    const following = () => people.models.recipients.countDocuments({ accountId: service.id, follower: true })
    const before = await following()
    const run = () => rooms.jobs.run('followers.sync', { accountId: service.id, operationId })
    for (const body of [
      { total: 247, count: 0 },
      { total: 247, count: 1, data: { openid: [bob.openids[SVC]] }, next_openid: '' }
    ]) {
      rooms.wechat.users.get = async () => ({
        kind: 'answer',
        errcode: 0,
        errmsg: '',
        rid: null,
        body,
        httpStatus: 200,
        ms: 1
      })
      await t.rejects(run(), { code: 'followers.ended-early' })
    }
    rooms.wechat.users.get = get
    t.equal(await following(), before)
    await run()
    t.match(await rooms.operations.get(operationId), { state: 'done', result: { followers: 247, gone: 0 } })
  })

  t.test('what cannot pass ends it with a reason', async (t) => {
    sandbox.controls.addRule({ path: '/cgi-bin/user/get', action: { errcode: 48001 } })
    clock.advance(60_000)
    t.match(await sync(), { state: 'failed', error: /48001/ })
    sandbox.controls.removeRules()
    t.match(await sync(), { state: 'done' }, 'and the next try begins anew')
    await t.rejects(followers.startSync(mini.id), { code: 'followers.no-service-account' })
  })

  t.test('a follower met by a push is asked for a unionid', async (t) => {
    const [eve] = sandbox.controls.addUsers({ count: 1, appids: [MINI, SVC], followers: [SVC] }) as any[]
    const here = await people.recipient(mini.id, eve.openids[MINI], { unionId: eve.unionid })
    const there = await people.recipient(service.id, eve.openids[SVC])
    await rooms.jobs.run('followers.learn', { accountId: service.id, recipientIds: [there.id, 'unknown'] })
    const persons = await people.personIdsOf([there.id, here.id])
    t.equal(persons.get(there.id), persons.get(here.id))
  })

  t.test('who followed more than 48 hours ago brings no right', async (t) => {
    clock.advance(49 * 3_600_000)
    minted.length = 0
    t.match(await sync({ full: true }), { state: 'done', result: { followers: 248 } })
    t.equal(minted.length, 0)
  })

  t.test('no openid is kept in clear', async (t) => {
    for (const name of ['followerSyncs', 'operations', 'agendaJobs', 'recipients']) {
      const text = JSON.stringify(await db.collection(name).find({}).toArray())
      t.notOk(
        openIdsOf(users, SVC).some((openId) => text.includes(openId)),
        name
      )
    }
  })
})

/** WeChat's two calls over a list of openids, in pages of three; `calls` are the next_openids asked with. */
function scripted(openIds: string[]) {
  const calls: (string | undefined)[] = []
  const infos: string[] = []
  const answer = (body: object) => ({
    kind: 'answer',
    errcode: 0,
    errmsg: 'ok',
    rid: null,
    body,
    httpStatus: 200,
    ms: 1
  })
  const users = {
    async get(_account: unknown, next?: string) {
      calls.push(next)
      const from = next === undefined ? 0 : openIds.indexOf(next) + 1
      const openid = openIds.slice(from, from + 3)
      const page = { total: openIds.length, count: openid.length, next_openid: openid.at(-1) ?? '' }
      return answer(openid.length === 0 ? page : { ...page, data: { openid } })
    },
    async batchGet(_account: unknown, asked: string[]) {
      infos.push(...asked)
      return answer({ user_info_list: asked.map((openid) => ({ subscribe: 1, openid, unionid: `union-${openid}` })) })
    }
  }
  return { calls, infos, wechat: { users } as unknown as WechatApi }
}

t.test('a synchronisation that dies', async (t) => {
  const server = await buildTestApp(t)
  const { rooms, parts, db, clock } = server
  const service = await server.account({ kind: 'service' })
  const openIds = Array.from({ length: 10 }, (_, i) => `oFan${i}`)
  const { calls, infos, wechat } = scripted(openIds)
  const dying = { after: Infinity }
  // A process ends right after its rows were stored, before the checkpoint is.
  const people = {
    ...rooms.people,
    recipients: async (...asked: Parameters<typeof rooms.people.recipients>) => {
      const met = await rooms.people.recipients(...asked)
      if (dying.after-- === 0) throw new Error('kill -9')
      return met
    }
  }
  const { accounts, jobs, operations } = rooms
  const others = { db, clock, log: silentLog(), sealer: parts.sealer, accounts, jobs, operations, wechat }
  const followers = createFollowers({ ...others, people })
  await followers.ready()
  const { operationId } = await followers.startSync(service.id, { tags: false })
  const run = () => jobs.run('followers.sync', { accountId: service.id, operationId })

  dying.after = 1
  await t.rejects(run(), { message: 'kill -9' })
  t.same(calls.splice(0), [undefined, 'oFan2'])
  t.match(await db.collection('followerSyncs').findOne({}), { state: 'running', done: 3, cursor: /^k1\./ })
  dying.after = 1
  await t.rejects(run(), 'and once more, a page on')
  t.same(calls.splice(0), ['oFan2', 'oFan5'], 'the page without a checkpoint is read again, none before it')
  await run()
  t.same(calls.splice(0), ['oFan5', 'oFan8'])
  t.match(await operations.get(operationId), { state: 'done', done: 10, total: 10, result: { followers: 10, gone: 0 } })
  t.same(infos, openIds, 'nobody is asked about twice')
  t.equal(await db.collection('recipients').countDocuments({ accountId: service.id, follower: true }), 10)
  t.equal(await db.collection('people').countDocuments({}), 10)
})

t.test('the route', async (t) => {
  const { app, service, mini, key, login, rooms } = await room(t)
  const post = (id: string, headers: object, payload?: object) =>
    app.inject({
      method: 'POST',
      url: `/v1/accounts/${id}/followers/sync`,
      headers: headers as never,
      ...(payload && { payload })
    })
  const begun = await post(SVC, await key(['people:write']))
  t.equal(begun.statusCode, 202, begun.body)
  t.equal(begun.headers.location, `/v1/operations/${begun.json().id}`)
  t.match(begun.json(), { kind: 'followers.sync', state: 'running', done: 0 })
  t.equal((await post(service.id, await login('editor'), { full: true })).json().id, begun.json().id)
  await rooms.jobs.run('followers.sync', { accountId: service.id, operationId: begun.json().id })
  t.equal((await post(service.id, await login('viewer'))).statusCode, 403)
  t.equal((await post(mini.id, await login('editor'))).statusCode, 422)
  t.equal((await post(service.id, await key(['people:write'], [mini.id]))).statusCode, 404)
})
