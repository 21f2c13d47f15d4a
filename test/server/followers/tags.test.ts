import t from 'tap'
import { createFollowers } from '../../../server/followers/followers.js'
import { tagName } from '../../../server/followers/tags.js'
import { silentLog } from '../../../server/platform/log.js'
import { buildTestApp } from '../../support/build-app.js'

const answer = (body: object, errcode = 0) => ({
  kind: 'answer',
  errcode,
  errmsg: errcode === 0 ? 'ok' : 'api unauthorized',
  rid: null,
  body,
  httpStatus: 200,
  ms: 1
})

t.test('a tag of WeChat keeps its name behind wechat:, as far as a name can hold it', async (t) => {
  t.equal(tagName('星标组'), 'wechat:星标组')
  t.equal(tagName('a.b$c'), 'wechat:a·b·c')
  t.equal(tagName('x'.repeat(80)).length, 64)
})

t.test('tags of followers', async (t) => {
  const server = await buildTestApp(t)
  const { rooms, parts, db, clock } = server
  const { people, operations, jobs } = rooms
  const [one, two] = [await server.account({ kind: 'service' }), await server.account({ kind: 'service' })]
  const fans = Array.from({ length: 12 }, (_, i) => `oFan${String(i).padStart(5, '0')}`)
  /** What WeChat has of each account: followers and their tags. */
  const there = new Map<string, { fans: string[]; tags: Map<number, { name: string; of: string[] }> }>()
  there.set(one.appId, {
    fans: fans.slice(0, 5),
    tags: new Map([
      [2, { name: '星标', of: fans.slice(0, 3) }],
      [100, { name: '会员.金', of: [fans[0]!] }]
    ])
  })
  there.set(two.appId, { fans: ['oTwo'], tags: new Map() })
  const calls: [number, string | undefined][] = []
  const trouble = { after: Infinity, errcode: 0 }
  const wechat = {
    users: {
      get: async ({ appId }: { appId: string }) => {
        const all = there.get(appId)!.fans
        return answer({ total: all.length, count: all.length, data: { openid: all }, next_openid: all.at(-1) })
      },
      batchGet: async ({ appId }: { appId: string }, asked: string[]) =>
        answer({
          user_info_list: asked.map((openid) => ({
            subscribe: 1,
            openid,
            ...(openid === 'oTwo' || (appId === one.appId && openid === fans[0]) ? { unionid: 'u' } : {})
          }))
        })
    },
    tags: {
      list: async ({ appId }: { appId: string }) =>
        trouble.errcode !== 0
          ? answer({}, trouble.errcode)
          : answer({ tags: [...there.get(appId)!.tags].map(([id, { name, of }]) => ({ id, name, count: of.length })) }),
      members: async ({ appId }: { appId: string }, id: number, next?: string) => {
        calls.push([id, next])
        if (trouble.after-- === 0) throw new Error('kill -9')
        const all = there.get(appId)!.tags.get(id)!.of
        const openid = all.slice(next === undefined ? 0 : all.indexOf(next) + 1).slice(0, 4)
        return answer(
          openid.length === 0
            ? { count: 0, next_openid: '' }
            : { count: openid.length, data: { openid }, next_openid: openid.at(-1) }
        )
      }
    }
  }
  const followers = createFollowers({
    db,
    clock,
    log: silentLog(),
    sealer: parts.sealer,
    accounts: rooms.accounts,
    people,
    jobs,
    operations,
    wechat: wechat as never
  })
  await followers.ready()
  const run = (accountId: string, operationId: string) => jobs.run('followers.sync', { accountId, operationId })
  async function sync(of = one, options = {}) {
    clock.advance(60_000)
    const { operationId } = await followers.startSync(of.id, options)
    await run(of.id, operationId)
    return operations.get(operationId)
  }
  const tagsOf = async (i: number, of = one) => (await people.find({ openId: fans[i]! }, of.id))!.tags

  t.test('come as tags of people', async (t) => {
    t.match(await sync(), { state: 'done', result: { followers: 5, tags: 2, untagged: 0 } })
    t.same(await tagsOf(0), { 'wechat:星标': true, 'wechat:会员·金': true })
    t.same(await tagsOf(2), { 'wechat:星标': true })
    t.same(await tagsOf(3), {})
    const before = await db.collection('people').find().toArray()
    await sync()
    t.same(await db.collection('people').find().toArray(), before, 'again is nothing')
    calls.length = 0
    t.equal(((await sync(one, { tags: false })).result as any).tags, undefined)
    t.same(calls, [], 'unless they are not wanted')
  })

  t.test('go when they are taken away, and our own stay', async (t) => {
    await people.patch((await people.find({ openId: fans[1]! }, one.id))!.id, { tags: { 星标: true } })
    there.get(one.appId)!.tags.get(2)!.of = [fans[0]!]
    t.match(await sync(), { result: { untagged: 2 } })
    t.same(await tagsOf(0), { 'wechat:星标': true, 'wechat:会员·金': true })
    t.same(await tagsOf(1), { 星标: true })
    t.same(await tagsOf(2), {})
    there.get(one.appId)!.tags.delete(100)
    t.match(await sync(), { result: { tags: 1, untagged: 1 } })
    t.same(await tagsOf(0), { 'wechat:星标': true }, 'a tag that is no more')
  })

  t.test('stay while another account gives them too', async (t) => {
    there.get(two.appId)!.tags.set(5, { name: '星标', of: ['oTwo'] })
    await sync(two, { full: true })
    await sync(one, { full: true })
    t.equal((await people.find({ openId: 'oTwo' }, two.id))!.id, (await people.find({ openId: fans[0]! }, one.id))!.id)
    there.get(one.appId)!.tags.get(2)!.of = []
    t.match(await sync(one), { result: { untagged: 1 } })
    t.same(await tagsOf(0), { 'wechat:星标': true })
    there.get(two.appId)!.tags.get(5)!.of = []
    await sync(two)
    t.same(await tagsOf(0), {})
  })

  t.test('are gone on with where a crash left them', async (t) => {
    there.get(one.appId)!.fans = [fans[0]!]
    there.get(one.appId)!.tags = new Map([
      [3, { name: 'a', of: fans.slice(0, 6) }],
      [4, { name: 'b', of: fans.slice(0, 2) }]
    ])
    clock.advance(60_000)
    const { operationId } = await followers.startSync(one.id)
    calls.length = 0
    trouble.after = 1
    await t.rejects(run(one.id, operationId), { message: 'kill -9' })
    t.match(await db.collection('followerSyncs').findOne({ _id: one.id as never }), {
      listed: true,
      tagPlace: { tagId: 3, openId: /^k1\./ }
    })
    await run(one.id, operationId)
    t.same(calls, [
      [3, undefined],
      [3, fans[3]],
      [3, fans[3]],
      [3, fans[5]],
      [4, undefined],
      [4, fans[1]]
    ])
    t.match(await operations.get(operationId), { state: 'done', result: { followers: 1, tags: 2 } })
    t.equal(await db.collection('people').countDocuments({ 'tags.wechat:a': true }), 6)
    t.equal(await db.collection('people').countDocuments({ 'tags.wechat:b': true }), 2)
  })

  t.test('an account that may not read them has its followers all the same', async (t) => {
    trouble.errcode = 48001
    t.match(await sync(), { state: 'done', result: { followers: 1, tags: null, tagsProblem: String } })
    trouble.errcode = 0
    t.equal(await db.collection('people').countDocuments({ 'tags.wechat:b': true }), 2, 'nothing is taken away')
  })

  t.test('are forgotten with the person', async (t) => {
    const { id } = (await people.find({ openId: fans[1]! }, one.id))!
    const recipientId = people.recipientId(one.id, fans[1]!)
    t.equal(await db.collection('followerTags').countDocuments({ recipientId }), 2)
    await people.erase(id)
    t.equal(await db.collection('followerTags').countDocuments({ recipientId }), 0)
  })
})
