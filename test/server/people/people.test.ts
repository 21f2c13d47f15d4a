import t from 'tap'
import { createPeople, type People } from '../../../server/people/people.js'
import { fieldUpdate, takenOver, winnerOf } from '../../../server/people/fields.js'
import { InvalidInput, NotFound } from '../../../server/platform/errors.js'
import { room, sealer } from './room.js'
import { watch } from './watch.js'

t.test('the rules of a merge', async (t) => {
  const none = { attributes: {}, tags: {}, setAt: { attributes: {}, tags: {} } }
  const winner = {
    attributes: { city: '上海', age: 30 },
    tags: { vip: true as const },
    setAt: { attributes: { city: 10, age: 10 }, tags: { vip: 10 } }
  }
  t.same(takenOver(winner, none), { set: {}, unset: {} }, 'nothing comes from nobody')
  t.same(takenOver(none, winner).set, {
    'attributes.city': '上海',
    'attributes.age': 30,
    'setAt.attributes.city': 10,
    'setAt.attributes.age': 10,
    'tags.vip': true,
    'setAt.tags.vip': 10
  })
  const newer = {
    attributes: { city: '杭州' },
    tags: {},
    setAt: { attributes: { city: 11, age: 10 }, tags: { vip: 12 } }
  }
  t.same(
    takenOver(winner, newer),
    {
      set: { 'attributes.city': '杭州', 'setAt.attributes.city': 11, 'setAt.tags.vip': 12 },
      unset: { 'tags.vip': '' }
    },
    'the newer value stays, also when it is "taken away"; a tie is the winner\'s'
  )
  t.same(fieldUpdate({ attributes: { a: 1, b: null } }, new Date(5)), {
    set: { 'attributes.a': 1, 'setAt.attributes.a': 5, 'setAt.attributes.b': 5 },
    unset: { 'attributes.b': '' }
  })
  const at = (ms: number, _id: string) => ({ _id, createdAt: new Date(ms) })
  t.equal(winnerOf(at(2, 'a'), at(1, 'b'))[0]._id, 'b', 'the older wins')
  t.equal(winnerOf(at(1, 'b'), at(1, 'a'))[0]._id, 'a', 'a tie is decided by id')
})

t.test('recipients', async (t) => {
  const { people, db, clock } = await room(t)

  t.test('are made once, however often and however parallel they are met', async (t) => {
    const met = await Promise.all(Array.from({ length: 20 }, () => people.recipient('a1', 'oAnn')))
    t.equal(new Set(met.map((each) => each.id)).size, 1)
    t.equal(met[0]!.id, people.recipientId('a1', 'oAnn'))
    t.equal(await db.collection('recipients').countDocuments({}), 1)
    t.equal(await db.collection('people').countDocuments({}), 1)
    t.not(
      (await people.recipient('a2', 'oAnn')).personId,
      met[0]!.personId,
      'the same openid elsewhere is somebody else'
    )
  })

  t.test('in bulk, in order, with doubles', async (t) => {
    const ids = Array.from({ length: 1_500 }, (_, i) => `oBulk${i % 1_400}`)
    const rows = await people.recipients('a1', ids, { followingAt: clock.now() })
    t.equal(rows.length, 1_500)
    t.equal(rows[0]!.id, rows[1_400]!.id)
    t.same(
      rows.map((row) => row.id),
      ids.map((id) => people.recipientId('a1', id))
    )
    t.ok((await people.byIds([rows[7]!.id])).get(rows[7]!.id)!.follower)
    t.same([...(await people.openIds([rows[7]!.id])).values()], ['oBulk7'])
  })

  t.test('keep no openid or unionid in clear', async (t) => {
    await people.recipient('a1', 'oSecretOpenId', { unionId: 'uSecretUnion' })
    await people.identify({ accountId: 'a1', openId: 'oSecretOpenId', externalId: 'member-1' })
    for (const { name } of await db.listCollections()) {
      const text = JSON.stringify(await db.collection(name).find({}).toArray())
      t.notMatch(text, /oSecretOpenId|uSecretUnion/, name)
    }
  })

  t.test('what is known of reaching them follows the newest news', async (t) => {
    const { id } = await people.recipient('a1', 'oReach')
    const at = (s: number) => new Date(clock.now().getTime() + s * 1000)
    await people.setReach(id, 'blocked', at(10))
    await people.setReach(id, 'ok', at(5))
    const now = async () => (await people.byIds([id])).get(id)!
    t.equal((await now()).reach, 'blocked')
    await people.interacted(id, at(12))
    t.match(await now(), { reach: 'ok', lastInteractionAt: at(12).toISOString() })
    await people.follow(id, false, at(20))
    await people.follow(id, true, at(15))
    t.match(await now(), { reach: 'unfollowed', follower: false })
    await people.follow(id, true, at(30))
    t.match(await now(), { reach: 'ok', follower: true, followedAt: at(30).toISOString() })
  })

  t.test('who was not seen since a moment follows no more', async (t) => {
    const before = clock.now()
    await people.recipients('svc', ['o1', 'o2', 'o3'], { followingAt: before })
    clock.advance(1000)
    await people.recipients('svc', ['o1'], { followingAt: clock.now() })
    await people.follow(people.recipientId('svc', 'o3'), true, new Date(clock.now().getTime() + 500))
    t.equal(await people.unseenFollowers('svc', clock.now()), 1)
    const known = await people.byIds(['o1', 'o2', 'o3'].map((o) => people.recipientId('svc', o)))
    t.same([...known.values()].map((r) => r.follower).sort(), [false, true, true])
    t.equal(known.get(people.recipientId('svc', 'o2'))!.reach, 'unfollowed')
  })
})

t.test('who is who', async (t) => {
  const { people, clock } = await room(t)

  t.test('a unionid joins a follower to a mini-program user', async (t) => {
    const mini = await people.recipient('mini', 'oMini', { unionId: 'u1' })
    const follower = await people.recipient('svc', 'oSvc', { unionId: 'u1' })
    t.equal(follower.personId, mini.personId)
    t.same((await people.person(mini.personId)).accountIds.sort(), ['mini', 'svc'])
    const found = await people.recipientsOf('svc', [mini.personId])
    t.equal(found.get(mini.personId)!.id, follower.id)
    t.match(await people.resolve('svc', { unionId: 'u1' }), { recipient: { id: follower.id }, personId: mini.personId })
  })

  t.test('a unionid learnt late merges two persons', async (t) => {
    const first = await people.recipient('mini', 'oLate')
    clock.advance(1000)
    const second = await people.recipient('svc', 'oLate2', { unionId: 'u2' })
    await people.patch(first.personId, { attributes: { city: '上海', a: 1 }, tags: { old: true } })
    clock.advance(1000)
    await people.patch(second.personId, { attributes: { city: '杭州', b: 2 }, tags: { vip: '金' } })
    await people.optOut(second.personId, 'news', 'test')
    const joined = await people.recipient('mini', 'oLate', { unionId: 'u2' })
    t.equal(joined.personId, first.personId, 'the older stays')
    const person = await people.person(second.personId)
    t.match(person, {
      id: first.personId,
      attributes: { city: '杭州', a: 1, b: 2 },
      tags: { old: true, vip: '金' },
      topics: ['news'],
      was: [second.personId]
    })
    t.same((await people.recipientsOf('svc', [first.personId])).get(first.personId)?.id, second.id)
    t.same(
      (await people.recipientsOf('svc', [second.personId])).get(second.personId)?.id,
      second.id,
      'a former id works'
    )
    t.same(
      [...(await people.optedOut([second.personId, first.personId], 'news'))].sort(),
      [second.personId, first.personId].sort()
    )
    t.same([...(await people.optedOut([first.personId]))], [])
    t.same([...(await people.persons([second.personId])).keys()], [second.personId])
  })

  t.test('identify', async (t) => {
    const one = await people.identify({ externalId: 'x1', attributes: { city: '上海' } })
    const same = await people.identify({ externalId: 'x1', tags: { vip: true } })
    t.equal(same.id, one.id)
    t.match(same, { externalId: 'x1', attributes: { city: '上海' }, tags: { vip: true } })
    clock.advance(1) // who came first stays
    const withOpenId = await people.identify({ externalId: 'x1', accountId: 'mini', openId: 'oX1' })
    t.equal(withOpenId.id, one.id)
    const recipient = await people.recipient('mini', 'oX1')
    t.equal((await people.personIdsOf([recipient.id])).get(recipient.id), one.id)
    t.match(await people.resolve('mini', { externalId: 'x1' }), { recipient: { id: recipient.id }, personId: one.id })
    t.match(await people.resolve('other', { externalId: 'x1' }), { recipient: null, personId: one.id })
    t.same(await people.resolve('mini', { externalId: 'nobody' }), { recipient: null, personId: null })

    clock.advance(1)
    const apart = await people.identify({ externalId: 'x2', unionId: 'u9' })
    const both = await people.identify({ externalId: 'x1', unionId: 'u9' })
    t.equal(both.id, one.id, 'two persons named at once are joined')
    t.same(both.was.includes(apart.id), true)
    t.equal((await people.find({ externalId: 'x2' }))!.id, one.id, 'and both of its names work')

    await t.rejects(people.identify({ attributes: { a: 1 } }), InvalidInput)
    await t.rejects(people.identify({ openId: 'o' }), InvalidInput)
    await t.rejects(people.identify({ externalId: 'x1', tags: { 'v1.2': true } }), InvalidInput)
    await t.rejects(people.patch('nobody', {}), NotFound)
    t.match(await people.patch(one.id, { attributes: { city: null } }), { attributes: {} })
  })

  t.test('all at once: the same new keys name one person', async (t) => {
    const bodies = [
      { externalId: 'p1', unionId: 'pu1' },
      { unionId: 'pu1', accountId: 'mini', openId: 'oP1' },
      { externalId: 'p1', accountId: 'svc', openId: 'oP2' },
      { accountId: 'svc', openId: 'oP2', unionId: 'pu1' }
    ]
    await Promise.all(
      [...bodies, ...bodies, ...bodies].map((body, i) => people.identify({ ...body, attributes: { [`k${i}`]: i } }))
    )
    const ids = new Set<string>()
    for (const to of [{ externalId: 'p1' }, { unionId: 'pu1' }]) ids.add((await people.find(to))!.id)
    for (const [account, openId] of [
      ['mini', 'oP1'],
      ['svc', 'oP2']
    ] as const)
      ids.add((await people.find({ openId }, account))!.id)
    t.equal(ids.size, 1)
    const { attributes } = await people.person([...ids][0]!)
    t.equal(Object.keys(attributes).length, 12, 'nothing anybody said is lost')
  })

  t.test('opt-outs', async (t) => {
    const { id } = await people.identify({ externalId: 'quiet' })
    const record = await people.optOut(id, null, 'phone')
    await people.optOut(id, null, 'phone')
    t.same([...(await people.optedOut([id, 'nobody']))], [id])
    await people.removeOptOut(record._id)
    t.same([...(await people.optedOut([id]))], [])
    await t.rejects(people.removeOptOut(record._id), NotFound)
    await people.optOut(id, '活动', 'phone')
    t.same([...(await people.optedOut([id], '活动'))], [id])
    await people.optIn(id, '活动')
    t.same([...(await people.optedOut([id], '活动'))], [])
    await t.rejects(people.optOut('nobody', null, 'x'), NotFound)
  })

  t.test('erasing', async (t) => {
    const erased: unknown[] = []
    people.onErase(async (who) => void erased.push(who))
    const before = await people.recipient('mini', 'oGone', { unionId: 'uGone' })
    await people.identify({ externalId: 'gone', unionId: 'uGone', attributes: { city: '上海' } })
    await people.optOut(before.personId, null, 'x')
    await people.erase(before.personId)
    t.match(erased, [{ personIds: [before.personId], recipientIds: [before.id] }])
    await t.rejects(people.person(before.personId), NotFound)
    t.equal(await people.find({ externalId: 'gone' }), null)
    t.equal(await people.find({ openId: 'oGone' }, 'mini'), null)
    t.equal((await people.openIds([before.id])).size, 0)
    await t.rejects(people.erase('nobody'), NotFound)

    const back = await people.recipient('mini', 'oGone', { unionId: 'uGone' })
    t.equal(back.id, before.id, 'rows of messages still name them')
    t.not(back.personId, before.personId, 'a new person')
    t.match(await people.person(back.personId), { attributes: {}, optedOut: false, externalId: null })
    t.same([...(await people.openIds([back.id])).values()], ['oGone'])
    t.not((await people.identify({ externalId: 'gone' })).id, back.personId)
  })
})

t.test('a merge may die between any two writes', async (t) => {
  const { db, clock } = await room(t)
  const dying = { after: Infinity, writes: 0 }

  /** A room whose process dies at the n-th write: that one and all later ones never happen. */
  function mortal(after: number): People {
    dying.writes = 0
    dying.after = after
    const watched = watch(db, (verb) => {
      if (/^(update|insert|delete|findOneAnd|bulkWrite)/.test(verb) && dying.writes++ >= dying.after) {
        throw new Error('dead')
      }
    })
    return createPeople({ db: watched, clock, sealer })
  }

  let died = 0
  for (let after = 0; ; after++) {
    const people = createPeople({ db, clock, sealer })
    const [mini, union] = [`oM${after}`, `uM${after}`]
    const first = await people.recipient('mini', mini)
    clock.advance(1000)
    const second = await people.recipient('svc', `oS${after}`, { unionId: union })
    await people.patch(first.personId, { attributes: { a: 'first', n: 1 } })
    clock.advance(1000)
    await people.patch(second.personId, { attributes: { a: 'second' }, tags: { vip: true } })
    await people.optOut(second.personId, null, 'x')
    const alive = await mortal(after)
      .recipient('mini', mini, { unionId: union })
      .then(
        () => true,
        () => false
      )
    if (!alive) died++

    // whatever it left, readers see one of the two states, and the next try (or the sweep) completes it
    const survivor = createPeople({ db, clock, sealer })
    t.ok((await survivor.persons([first.personId, second.personId])).size === 2, 'both ids lead somewhere')
    t.ok((await survivor.optedOut([second.personId])).has(second.personId), 'an opt-out is never forgotten')
    if (after % 2 === 0) await survivor.finish()
    await survivor.recipient('mini', mini, { unionId: union })
    await survivor.finish()
    const person = await survivor.person(second.personId)
    t.match(
      person,
      {
        id: first.personId,
        attributes: { a: 'second', n: 1 },
        tags: { vip: true },
        optedOut: true,
        was: [second.personId]
      },
      `died after ${after} writes`
    )
    t.equal((await survivor.recipientsOf('svc', [first.personId])).get(first.personId)?.id, second.id)
    t.equal((await survivor.recipientsOf('mini', [second.personId])).get(second.personId)?.id, first.id)
    t.equal((await survivor.find({ unionId: union }))!.id, first.personId)
    t.equal(await db.collection('people').countDocuments({ todo: true }), 0)
    if (alive) break
  }
  t.ok(died >= 7, `${died} places to die in`)

  died = 0
  for (let after = 0; ; after++) {
    const people = createPeople({ db, clock, sealer })
    const who = await people.identify({
      externalId: `e${after}`,
      accountId: 'mini',
      openId: `oE${after}`,
      attributes: { a: 1 }
    })
    const alive = await mortal(after)
      .erase(who.id)
      .then(
        () => true,
        () => false
      )
    if (!alive) died++
    const survivor = createPeople({ db, clock, sealer })
    await survivor.finish()
    if (after === 0) await survivor.erase(who.id)
    await t.rejects(survivor.person(who.id), NotFound, `erasing died after ${after} writes`)
    t.equal(await survivor.find({ externalId: `e${after}` }), null)
    t.equal((await survivor.openIds([people.recipientId('mini', `oE${after}`)])).size, 0)
    if (alive) break
  }
  t.ok(died >= 5)
})

t.test('many processes merge a ring of persons at once', async (t) => {
  const { db, clock } = await room(t)
  const rooms = [1, 2, 3].map(() => createPeople({ db, clock, sealer }))
  const n = 6
  for (let i = 0; i < n; i++) {
    await rooms[0]!.identify({ externalId: `r${i}`, attributes: { [`k${i}`]: i } })
    clock.advance(10)
  }
  const names = [...Array(n).keys()]
  // one externalId and one unionid name a pair; the pairs make a ring
  await Promise.all(
    names.flatMap((i) => [
      rooms[i % 3]!.identify({ externalId: `r${i}`, unionId: `ring${i}` }),
      rooms[(i + 1) % 3]!.identify({ externalId: `r${(i + 1) % n}`, unionId: `ring${i}` })
    ])
  )
  await rooms[0]!.finish()
  const found = await Promise.all(names.map((i) => rooms[1]!.find({ externalId: `r${i}` })))
  t.equal(new Set(found.map((person) => person!.id)).size, 1)
  t.same(
    Object.keys(found[0]!.attributes).sort(),
    names.map((i) => `k${i}`)
  )
  t.equal(await db.collection('people').countDocuments({ mergedInto: null }), 1)
  t.ok(found[0]!.was.length >= n - 1)
})
