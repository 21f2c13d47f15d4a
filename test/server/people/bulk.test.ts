import t from 'tap'
import { createPeople } from '../../../server/people/people.js'
import { room, sealer } from './room.js'
import { watch } from './watch.js'

t.test('many at once, with unionids', async (t) => {
  const { db, clock, people } = await room(t)
  let commands = 0
  const counted = createPeople({ db: watch(db, () => void commands++), clock, sealer })
  const met = (n: number, account: string) =>
    Array.from({ length: n }, (_, i) => ({ openId: `o${account}${i}`, unionId: `u${i}` }))
  const count = (collection: string, filter = {}) => db.collection(collection).countDocuments(filter)

  t.test('are made, and joined where they are known, by a handful of commands', async (t) => {
    const first = await counted.recipients('svc', met(500, 'svc'))
    t.ok(commands <= 12, `${commands} commands for strangers`)
    t.equal(new Set(first.map(({ personId }) => personId)).size, 500)
    t.equal(await count('people', { mergedInto: null, sealedUnionId: { $type: 'string' } }), 500)
    t.equal(await count('recipients', { unionHash: { $type: 'string' } }), 500)

    commands = 0
    const there = await counted.recipients('mini', met(500, 'mini'))
    t.ok(commands <= 12, `${commands} commands for those known elsewhere`)
    t.same(
      there.map(({ personId }) => personId),
      first.map(({ personId }) => personId)
    )
    t.equal(await count('people'), 500)
    t.equal(await count('people', { accountIds: ['svc', 'mini'] }), 500)

    commands = 0
    await counted.recipients('mini', met(500, 'mini'))
    t.ok(commands <= 2, 'nothing is written for those who are as they should be')
  })

  t.test('learnt late are joined in bulk too, but for those who are two persons', async (t) => {
    const bare = Array.from({ length: 300 }, (_, i) => `oLate${i}`)
    await people.recipients('late', bare)
    // ten of them are known elsewhere by their unionid; two are one and the same
    const unionOf = (i: number) => (i < 10 ? `u${i}` : i === 11 ? 'late10' : `late${i}`)
    commands = 0
    const rows = await counted.recipients(
      'late',
      bare.map((openId, i) => ({ openId, unionId: unionOf(i) }))
    )
    t.ok(commands < 300, `${commands} commands`)
    t.equal(rows[10]!.personId, rows[11]!.personId)
    for (const i of [0, 9, 10, 299]) {
      t.equal((await people.find({ unionId: unionOf(i) }))!.id, rows[i]!.personId)
      t.match(await people.find({ openId: bare[i]! }, 'late'), { id: rows[i]!.personId, accountIds: /late/ })
    }
    t.equal(await count('people', { mergedInto: null }), 500 + 300 - 11)
    t.equal(await count('people', { todo: true }), 0)
  })

  t.test('by three processes at the same time become the same persons', async (t) => {
    const rooms = [1, 2, 3].map(() => createPeople({ db, clock, sealer }))
    const batch = (account: string) =>
      Array.from({ length: 24 }, (_, i) => ({ openId: `oR${account}${i}`, unionId: `r${i % 20}` }))
    await Promise.all(rooms.flatMap((each) => ['a', 'b'].map((account) => each.recipients(account, batch(account)))))
    await rooms[0]!.finish()
    const ids = ['a', 'b'].flatMap((account) => batch(account).map(({ openId }) => people.recipientId(account, openId)))
    const persons = await people.personIdsOf(ids)
    t.equal(persons.size, 48)
    t.equal(new Set(persons.values()).size, 20)
    for (const [i, { openId, unionId }] of batch('a').entries()) {
      const owner = (await people.find({ unionId }))!
      t.equal(owner.id, persons.get(people.recipientId('a', openId)), `${i}`)
      t.same([...owner.accountIds].sort(), ['a', 'b'])
    }
  })

  t.test('cut off between any two writes are the same after the next try', async (t) => {
    const batch = (after: number) => [
      { openId: `oC${after}`, unionId: `c${after}` },
      { openId: `oD${after}`, unionId: `d${after}` },
      { openId: `oE${after}` },
      { openId: `oF${after}`, unionId: `f${after}` }
    ]
    let died = 0
    for (let after = 0; ; after++) {
      const before = await count('people', { mergedInto: null })
      const known = await people.recipient('elsewhere', `oK${after}`, { unionId: `d${after}` })
      await people.recipient('cut', `oF${after}`)
      let writes = 0
      const mortal = watch(db, (verb) => {
        if (/^(update|insert|delete|findOneAnd|bulkWrite)/.test(verb) && writes++ >= after) throw new Error('dead')
      })
      const alive = await createPeople({ db: mortal, clock, sealer })
        .recipients('cut', batch(after))
        .then(
          () => true,
          () => false
        )
      if (!alive) died++
      const rows = await people.recipients('cut', batch(after))
      t.equal(rows[1]!.personId, known.personId)
      t.equal(new Set(rows.map(({ personId }) => personId)).size, 4)
      for (const [i, { unionId }] of batch(after).entries()) {
        if (unionId !== undefined) t.equal((await people.find({ unionId }))!.id, rows[i]!.personId)
      }
      t.equal(await count('people', { mergedInto: null }), before + 4, `died after ${after} writes`)
      if (alive) break
    }
    t.ok(died >= 6, `${died} places to die in`)
  })

  t.test('cut off, and met again when the unionid is known by another account, leave nobody behind', async (t) => {
    let died = 0
    for (let after = 0; ; after++) {
      const before = await count('people', { mergedInto: null })
      const [one, two] = [{ openId: `oG${after}`, unionId: `g${after}` }, { openId: `oH${after}` }]
      let writes = 0
      const mortal = watch(db, (verb) => {
        if (/^(update|insert|delete|findOneAnd|bulkWrite)/.test(verb) && writes++ >= after) throw new Error('dead')
      })
      const alive = await createPeople({ db: mortal, clock, sealer })
        .recipients('torn', [one, two])
        .then(
          () => true,
          () => false
        )
      if (!alive) died++
      const elsewhere = await people.recipient('elsewhere', `oG${after}`, { unionId: `g${after}` })
      const rows = await people.recipients('torn', [one, two])
      t.equal(rows[0]!.personId, (await people.person(elsewhere.personId)).id)
      t.equal(await count('people', { mergedInto: null }), before + 2, `died after ${after} writes`)
      if (alive) break
    }
    t.ok(died >= 3, `${died} places to die in`)
  })

  t.test('by external ids', async (t) => {
    const ids = Array.from({ length: 400 }, (_, i) => `member${i}`)
    const old = await people.identify({ externalId: 'member7', attributes: { a: 1 } })
    const gone = await people.identify({ externalId: 'member8' })
    await people.erase(gone.id)
    await db.collection('identities').insertMany([
      // one claimed for somebody who was never made, one that an erasure has not reached yet
      {
        _id: sealer.hash('external', 'member9') as never,
        kind: 'external',
        personId: 'unborn',
        createdAt: clock.now()
      },
      { _id: sealer.hash('external', 'member8') as never, kind: 'external', personId: gone.id, createdAt: clock.now() }
    ])
    commands = 0
    const [found, again] = await Promise.all([counted.byExternalIds([...ids, 'member1']), people.byExternalIds(ids)])
    t.ok(commands < 40, `${commands} commands`)
    t.same([...found.entries()].sort(), [...again.entries()].sort(), 'two processes make the same persons')
    t.equal(found.size, 400)
    t.equal(new Set(found.values()).size, 400)
    t.equal(found.get('member7'), old.id)
    t.equal(found.get('member9'), 'unborn')
    t.not(found.get('member8'), gone.id)
    for (const id of ['member0', 'member8', 'member9']) {
      t.match(await people.person(found.get(id)!), { externalId: id })
      t.equal((await people.find({ externalId: id }))!.id, found.get(id))
    }
    commands = 0
    await counted.byExternalIds(ids)
    t.equal(commands, 2, 'those who are known cost two reads')
  })
})

t.test('what a sender asks of a batch', async (t) => {
  const { db, clock, people } = await room(t)
  const finds: string[] = []
  const counted = createPeople({
    db: watch(db, (verb, collection) => void (verb.startsWith('find') && finds.push(collection))),
    clock,
    sealer
  })
  const [ann, bob, eve] = await people.recipients('a1', ['oAnn', 'oBob', 'oEve'])
  clock.advance(1000)
  const late = await people.recipient('a2', 'oLate', { unionId: 'u1' })
  await people.optOut(late.personId, 'news', 'x')

  t.test('where they are costs one read', async (t) => {
    await people.erase(eve!.personId)
    const found = await counted.addresses([ann!.id, bob!.id, eve!.id, 'unknown'])
    t.same(finds.splice(0), ['recipients'])
    t.equal(found.size, 3)
    t.same(found.get(ann!.id), { recipient: (await people.byIds([ann!.id])).get(ann!.id), openId: 'oAnn' })
    t.equal(found.get(eve!.id)!.openId, null)
  })

  t.test('who wants nothing costs one read, and one more for persons who were merged', async (t) => {
    const everybody = [ann!, bob!, eve!, late].map(({ personId }) => personId)
    t.same([...(await counted.optedOut(everybody))], [])
    t.same([...(await counted.optedOut(everybody, 'news'))], [late.personId])
    t.same(finds.splice(0), ['people', 'people'])
    await people.optOut(bob!.personId, null, 'x')
    await people.recipient('a1', 'oAnn', { unionId: 'u1' })
    t.same(
      [...(await counted.optedOut(everybody, 'news'))].sort(),
      [ann!.personId, bob!.personId, late.personId].sort(),
      'a former id leads to who they are now'
    )
    t.same([...(await counted.optedOut(everybody))], [bob!.personId])
    await people.optIn(late.personId, 'news')
    t.same([...(await counted.optedOut(everybody, 'news'))], [bob!.personId], 'in both directions')
    finds.length = 0
    t.same([...(await counted.optedOut([]))], [])
    t.same(finds, [])
  })
})
