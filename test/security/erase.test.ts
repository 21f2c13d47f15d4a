import { createHash } from 'node:crypto'
import type { Connection } from 'mongoose'
import t from 'tap'
import { LEGACY } from '../journeys/fields-world.js'
import { SHIPPED } from '../journeys/fields-stories.js'
import { buildThings } from './things.js'

t.setTimeout(120_000)

const EXTERNAL = 'customer-to-be-forgotten'
const SAID = '只说给这一个人听的话'

t.test('a person who is erased', async (t) => {
  const w = await buildThings(t)
  const { app, ask, rooms, db } = w
  const key = await w.key(['people:read', 'recipients:identify'])
  // Somebody with something in every room, beside others of whom nothing may change.
  const who = await w.somebody({ apps: ['shop', 'service'], grants: 2, forms: 3, follows: true })
  const openIds = [who.openId.shop, who.openId.service]
  const known = { unionId: who.unionId, accountId: w.mine, openId: who.openId.shop }
  const { id } = await ask('POST', '/v1/people/identify', {
    ...known,
    attributes: { secret: '喜欢桂花糕' },
    tags: { vip: 'yes-forget' }
  })
  const twin = await ask('POST', '/v1/people/identify', { externalId: EXTERNAL, attributes: { nick: '小雁-forget' } })
  const { id: joined } = await ask('POST', '/v1/people/identify', { externalId: EXTERNAL, unionId: who.unionId })
  await w.does({ ...who, externalId: EXTERNAL }, 'order_placed', { note: SAID, orderId: 'order-forget-1' })
  await w.handIn('shop', who.openId.shop, [
    { source: 'payment', value: 'wx-forget-prepay', orderId: 'order-forget-2', result: 'pending' }
  ])
  const content = { ...SHIPPED, keyword1: SAID }
  const send = (more: object, idempotency: string) =>
    ask(
      'POST',
      '/v1/messages',
      { accountId: w.mine, to: { personId: joined }, templateId: LEGACY, content, ...more },
      { 'idempotency-key': idempotency }
    )
  await send({ reference: 'reference-forget' }, 'sent')
  await w.flush()
  await send({ at: w.instant(3_600_000), reference: 'reference-forget-2' }, 'waiting')
  await ask('POST', '/v1/opt-outs', { personId: joined, topic: 'topic-forget' })
  const list = await ask('POST', '/v1/audiences', { name: '名单', personIds: [joined, w.who.id] })
  const recipient = await rooms.people.recipient(w.mine, who.openId.shop)
  const { code } = await ask('POST', `/v1/accounts/${w.mine}/tester-codes`)
  await rooms.testers.enrol({ accountId: w.mine, recipientId: recipient.id }, code)
  await push(who.openId.service)
  await w.flush()

  async function push(openId: string) {
    const service = await rooms.accounts.get(w.accounts.service)
    await ask('PATCH', `/v1/accounts/${service.id}`, { callback: { token: 'callbacktoken0123' } })
    const [timestamp, nonce] = ['1898902800', 'n0nce']
    const signature = createHash('sha1').update(['callbacktoken0123', timestamp, nonce].sort().join('')).digest('hex')
    const payload = `<xml><ToUserName>x</ToUserName><FromUserName>${openId}</FromUserName><CreateTime>${timestamp}</CreateTime><MsgType>text</MsgType><Content>${SAID}</Content><MsgId>1</MsgId></xml>`
    const url = `/callback/${service.appId}?${new URLSearchParams({ signature, timestamp, nonce }).toString()}`
    const answer = await app.inject({ method: 'POST', url, headers: { 'content-type': 'text/xml' }, payload })
    t.equal(answer.statusCode, 200)
  }

  await t.test('could have their data first, all of it', async (t) => {
    const exported = await app.inject({ url: `/v1/people/${joined}/export`, headers: key })
    t.equal(exported.statusCode, 200)
    t.match(exported.headers, { 'content-disposition': /attachment/, 'cache-control': 'no-store' })
    for (const said of [
      EXTERNAL,
      SAID,
      '喜欢桂花糕',
      '小雁-forget',
      'topic-forget',
      'reference-forget',
      who.unionId,
      ...openIds
    ]) {
      t.ok(exported.body.includes(said), said)
    }
    const body = exported.json()
    t.match(body, { complete: true, person: { id: joined, unionId: who.unionId, tags: { vip: 'yes-forget' } } })
    t.same(new Set(body.timeline.map(({ kind }: { kind: string }) => kind)).size >= 4, true)
    t.equal(body.messages.length, 2)
    const owner = await app.inject({ url: `/v1/people/${joined}/export`, headers: w.owner })
    for (const hidden of [who.unionId, ...openIds]) t.notOk(owner.body.includes(hidden), 'not for who may not see ids')
    t.equal(
      (await app.inject({ url: `/v1/people/${joined}/export`, headers: await w.login('editor') })).statusCode,
      403
    )
  })

  const others = await rowsBeside(db, [id, twin.id, joined])
  const before = await countsOf(db)
  const erased = await app.inject({ method: 'DELETE', url: `/v1/people/${joined}`, headers: w.owner })
  t.equal(erased.statusCode, 204)
  await w.flush()
  const after = await countsOf(db)
  const beside = await rowsBeside(db, [id, twin.id, joined])

  t.test('is found nowhere', async (t) => {
    const words = [
      EXTERNAL,
      SAID,
      '喜欢桂花糕',
      'yes-forget',
      '小雁-forget',
      'order-forget',
      'reference-forget',
      'topic-forget'
    ]
    let rows = 0
    for (const { name, row } of await allRows(db)) {
      rows++
      const text = JSON.stringify(row)
      const left = [...words, ...openIds, who.unionId].filter((word) => text.includes(word))
      // What is sealed must not be kept either.
      const opened =
        text
          .match(/k1\.[\w-]{38,}/g)
          ?.map((sealed) => w.parts.sealer.open(sealed))
          .join(' ') ?? ''
      const sealed =
        name === 'idempotencyKeys'
          ? []
          : [...openIds, who.unionId, SAID, 'wx-forget-prepay'].filter((word) => opened.includes(word))
      if (left.length + sealed.length > 0) t.same({ left, sealed }, {}, `${name}: ${text.slice(0, 300)}`)
    }
    t.comment(`${rows} rows looked through`)
    const hashes = [w.parts.sealer.hash('union', who.unionId)]
    t.equal(
      await db
        .collection('identities')
        .countDocuments({ $or: [{ _id: { $in: hashes as never } }, { personId: joined }] }),
      0
    )
    t.equal(await db.collection('testers').countDocuments({ recipientId: recipient.id }), 0)
    t.notMatch(await ask('GET', `/v1/audiences/${list.id}`), { personIds: [joined] })
  })
  t.test('is answered for as one who never was', async (t) => {
    for (const path of ['', '/timeline', '/export']) {
      t.equal((await app.inject({ url: `/v1/people/${joined}${path}`, headers: w.owner })).statusCode, 404)
    }
    const lookup = { method: 'POST', url: '/v1/people/lookup', headers: w.owner } as const
    t.equal((await app.inject({ ...lookup, payload: { externalId: EXTERNAL } })).statusCode, 404)
    t.equal((await app.inject({ ...lookup, payload: { unionId: who.unionId } })).statusCode, 404)
    const again = await rooms.people.recipient(w.mine, who.openId.shop)
    t.not(again.personId, joined, 'and who comes again is somebody new')
    t.equal((await rooms.credentials.sendsLeft(w.mine, again.id)).form, 0, 'with none of the old rights')
  })
  t.test('leaves the counts as they were, and everybody else', async (t) => {
    t.same(after, before)
    t.same(beside, others)
    const counters = await db.collection('messages').countDocuments({ accountId: w.mine })
    t.ok(counters >= 3, 'the messages are there, empty')
  })
})

async function allRows(db: Connection) {
  const store = db.getClient().db(db.name)
  const names = (await store.listCollections().toArray()).map(({ name }) => name)
  const lists = await Promise.all(
    names.map(async (name) => (await store.collection(name).find().toArray()).map((row) => ({ name, row })))
  )
  return lists.flat()
}

const COUNTED = ['people', 'recipients', 'messages', 'events', 'credentials', 'runs', 'counters']

async function countsOf(db: Connection): Promise<Record<string, number>> {
  const counts = await Promise.all(
    COUNTED.map(async (name) => [name, await db.collection(name).countDocuments({})] as const)
  )
  return Object.fromEntries(counts)
}

/** Of people and messages, those that are nobody's of these. */
async function rowsBeside(db: Connection, ids: string[]): Promise<string[]> {
  const rows = [
    ...(await db
      .collection('people')
      .find({ _id: { $nin: ids as never[] }, was: { $nin: ids } })
      .sort({ _id: 1 })
      .toArray()),
    ...(await db
      .collection('messages')
      .find({ personId: { $nin: [...ids, null] } })
      .sort({ _id: 1 })
      .toArray())
  ]
  return rows.map((row) => JSON.stringify(row))
}
