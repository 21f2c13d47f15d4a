import t from 'tap'
import type { Rule } from '../../../shared/audience.js'
import type { AudienceSource } from '../../../server/audiences/audiences.js'
import { openStore, type Rooms } from '../campaigns/rooms.js'

const store = await openStore(t)
const backend = { kind: 'key' as const, id: 'k' }

/** Every person of a source, read in batches of `limit`; as their attribute `n`. */
async function everybody(rooms: Rooms, accountId: string, source: AudienceSource, limit: number, createdBefore?: Date) {
  const account = await rooms.accounts.get(accountId)
  const ids: string[] = []
  for (let after: string | null = null; ;) {
    const options = { after, limit, createdBefore: createdBefore ?? null }
    const page: Awaited<ReturnType<Rooms['audiences']['stream']>> = await rooms.audiences.stream(
      source,
      account,
      options
    )
    ids.push(...page.persons.map(({ id }) => id))
    if (page.next === null) break
    after = page.next
  }
  const persons = await rooms.people.persons(ids)
  return ids.map((id) => persons.get(id)!.attributes.n as number).sort((a, b) => a - b)
}

t.test('an audience', async (t) => {
  const rooms = await store.rooms(t)
  const { people, events, audiences, accounts, clock } = rooms
  const { id: accountId } = await rooms.account()
  const now = clock.now()
  const daysAgo = (n: number) => new Date(now.getTime() - n * 86_400_000)
  const crowd = await rooms.crowd(accountId, [
    { n: 0, age: 17, city: '上海' },
    { n: 1, age: 18, city: '北京' },
    { n: 2, age: 30, city: '上海', vip: true },
    { n: 3, city: '成都' },
    { n: 4, age: '40' },
    { n: 5 }
  ])
  await people.patch(crowd[1]!.personId, { tags: { 会员: '金卡' } })
  await people.patch(crowd[2]!.personId, { tags: { 会员: true } })
  const did = (n: number, id: string, name: string, days: number, properties = {}) =>
    events.intake(backend, null, [
      { id, name, at: daysAgo(days), properties, personId: crowd[n]!.personId, recipientId: null }
    ])
  await did(0, 'a', 'bought', 1, { amount: 5 })
  await did(0, 'b', 'bought', 20, { amount: 500 })
  await did(1, 'c', 'bought', 40, { amount: 500 })
  await did(2, 'd', 'left', 1)
  await rooms.credentials.keep(await accounts.get(accountId), [
    { id: 'g0', recipientId: crowd[0]!.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: now },
    { id: 'g3', recipientId: crowd[3]!.id, source: 'form', value: 'f'.repeat(32), caughtAt: now },
    { id: 'g5', recipientId: crowd[5]!.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: now }
  ])
  await people.setReach(crowd[5]!.id, 'blocked', now)

  const bought: Rule = { did: 'bought' }
  const table: [string, Rule, number[]][] = [
    ['everybody', { all: [] }, [0, 1, 2, 3, 4, 5]],
    ['a number', { attribute: 'age', op: 'gte', value: 18 }, [1, 2]],
    ['a text', { attribute: 'city', op: 'eq', value: '上海' }, [0, 2]],
    ['a text within', { attribute: 'city', op: 'contains', value: '京' }, [1]],
    ['a list', { attribute: 'city', op: 'in', value: ['北京', '成都'] }, [1, 3]],
    ['different or missing', { attribute: 'city', op: 'ne', value: '上海' }, [1, 3, 4, 5]],
    ['known', { attribute: 'age', op: 'exists' }, [0, 1, 2, 4]],
    ['not known', { attribute: 'age', op: 'exists', value: false }, [3, 5]],
    ['a truth', { attribute: 'vip', op: 'eq', value: true }, [2]],
    ['a tag', { tag: '会员', op: 'exists' }, [1, 2]],
    ['a tag with its value', { tag: '会员', op: 'eq', value: '金卡' }, [1]],
    ['an event', bought, [0, 1]],
    ['an event lately', { did: 'bought', withinDays: 30 }, [0]],
    ['an event often', { did: 'bought', atLeast: 2 }, [0]],
    ['an event often, lately', { did: 'bought', atLeast: 2, withinDays: 7 }, []],
    ['an event of some kind', { did: 'bought', where: { amount: { gte: 100 } } }, [0, 1]],
    ['an event of some kind, lately', { did: 'bought', where: { amount: { gte: 100 } }, withinDays: 10 }, []],
    ['no event', { not: [bought] }, [2, 3, 4, 5]],
    ['neither event', { not: [bought, { did: 'left' }] }, [3, 4, 5]],
    ['neither event nor attribute', { not: [bought, { attribute: 'city', op: 'eq', value: '成都' }] }, [2, 4, 5]],
    ['an event or an attribute', { any: [bought, { attribute: 'vip', op: 'exists' }] }, [0, 1, 2]],
    ['an event and an attribute', { all: [bought, { attribute: 'city', op: 'eq', value: '上海' }] }, [0]],
    ['both events', { all: [bought, { not: [{ did: 'left' }] }, { attribute: 'age', op: 'gt', value: 17 }] }, [1]],
    ['a right to send', { reachable: true }, [0, 3]],
    ['a right to send this', { reachable: true, templateId: 'T' }, [0]],
    ['no right to send', { not: [{ reachable: true }] }, [1, 2, 4, 5]],
    [
      'all of it',
      { all: [{ any: [bought, { did: 'left' }] }, { not: [{ reachable: true, templateId: 'T' }] }] },
      [1, 2]
    ]
  ]
  for (const [name, rule, expected] of table) {
    t.test(`by ${name} holds the same in batches of any size`, async (t) => {
      t.same(await everybody(rooms, accountId, { rule }, 1_000), expected)
      t.same(await everybody(rooms, accountId, { rule }, 1), expected)
      const account = await accounts.get(accountId)
      for (const [n, { personId }] of crowd.entries()) {
        t.equal(await audiences.matches({ rule }, account, personId), expected.includes(n))
      }
    })
  }

  t.test('is counted with its reach and some of its people', async (t) => {
    const account = await accounts.get(accountId)
    const preview = await audiences.preview(account, { rule: { all: [] } }, { templateId: 'T' })
    t.match(preview, { count: 6, reachable: 1 })
    t.equal(preview.samples.length, 6)
    t.match(await audiences.preview(account, { rule: { attribute: 'vip', op: 'exists' } }), {
      count: 1,
      reachable: 0,
      samples: [{ personId: crowd[2]!.personId, attributes: { n: 2 } }]
    })
  })

  t.test('can be a list, which follows persons who become one', async (t) => {
    clock.advance(1_000) // the older person stays, with what was said of them last
    const twin = await people.identify({ externalId: 'twin', attributes: { n: 6 } })
    const source = { personIds: [twin.id, crowd[3]!.personId, 'nobody'] }
    t.same(await everybody(rooms, accountId, source, 1), [3, 6])
    await people.identify({ externalId: 'twin', accountId, openId: 'open-4' })
    t.same(await everybody(rooms, accountId, source, 1_000), [3, 6])
    t.ok(await audiences.matches(source, await accounts.get(accountId), crowd[4]!.personId))
    await did(4, 'z', 'came', 0)
    t.same(await everybody(rooms, accountId, { rule: { did: 'came' } }, 2), [6], 'events under the former id count')
  })

  t.test('leaves out who came after it was frozen', async (t) => {
    clock.advance(1_000)
    const frozen = clock.now()
    clock.advance(1_000)
    await people.identify({ externalId: 'late', attributes: { n: 9 } })
    t.notOk((await everybody(rooms, accountId, { rule: { all: [] } }, 2, frozen)).includes(9))
    t.ok((await everybody(rooms, accountId, { rule: { all: [] } }, 2)).includes(9))
  })
})

t.test('a service account reaches', async (t) => {
  const rooms = await store.rooms(t)
  const { people, accounts, audiences, clock } = rooms
  const { id } = await rooms.account('service')
  const now = clock.now()
  const [follower, stranger] = await rooms.crowd(id, [{ n: 0 }, { n: 1 }])
  await people.follow(follower!.id, true, now)
  const reachable = async () =>
    (await audiences.preview(await accounts.get(id), { rule: { all: [] } }, { templateId: 'T' })).reachable
  t.equal(await reachable(), 0, 'no follower without a window while windows bind bulk messages')
  await rooms.credentials.mint(await accounts.get(id), {
    recipientId: follower!.id,
    source: 'follow',
    at: now,
    key: '1'
  })
  await rooms.credentials.mint(await accounts.get(id), {
    recipientId: stranger!.id,
    source: 'follow',
    at: now,
    key: '2'
  })
  t.equal(await reachable(), 1, 'followers with a window')
  clock.advance(49 * 3_600_000)
  t.equal(await reachable(), 0, 'not after it closed')
  await accounts.patch(id, { serviceWindow: { bulk: false, transactional: false } })
  t.equal(await reachable(), 1, 'every follower when windows are off')
})

t.test('a saved audience', async (t) => {
  const { audiences } = await store.rooms(t)
  const made = await audiences.create({ name: '老客', rule: { did: 'bought' } })
  t.same(await audiences.get(made.id), made)
  const patched = await audiences.patch(made.id, { personIds: ['b', 'a', 'b'] })
  t.match(patched, { name: '老客', rule: null, personIds: ['b', 'a'] })
  t.same(await audiences.sourceOf(made.id), { personIds: ['b', 'a'] })
  t.match(await audiences.page({ limit: 10 }), { data: [{ id: made.id }], page: { nextCursor: null } })
  await t.rejects(audiences.create({ name: 'x', personIds: ['a', 'b'.repeat(65)] }), {
    errors: [{ pointer: '/personIds/1', code: 'audience.idTooLong' }]
  })
  await t.rejects(audiences.create({ name: 'x' }), { errors: [{ code: 'audience.ruleOrList' }] })
  await t.rejects(audiences.create({ name: 'x', rule: { tag: '$x', op: 'exists' } }), { code: 'request.invalid' })
  await audiences.remove(made.id)
  await t.rejects(audiences.get(made.id), { status: 404, code: 'audiences.not-found' })
  await t.rejects(audiences.remove(made.id), { code: 'audiences.not-found' })
})
