import { Long, ObjectId } from 'mongodb'
import { inspect } from 'node:util'
import t from 'tap'
import { refusal, withStore } from './with-store.js'

t.test('documents', async (t) => {
  const { db } = await withStore(t)
  const things = db.collection<any>('things')

  t.test('are inserted with an _id in front, made if need be', async (t) => {
    await things.insertMany([{ a: 1, _id: 1 }, { a: 2 }], { forceServerObjectId: true })
    const [first, second] = await things.find().toArray()
    t.same(Object.keys(first), ['_id', 'a'])
    t.ok(second._id instanceof ObjectId)
    for (const [_id, code] of [
      [[1], 53],
      [/x/, 53],
      [{ $a: 1 }, 52],
      [undefined, null]
    ] as const) {
      if (code !== null)
        t.equal((await refusal(things.insertOne({ _id } as any, { ignoreUndefined: false }))).code, code)
    }
  })

  t.test('are found by a pattern that would backtrack for ever, and the store goes on', async (t) => {
    const texts = db.collection<any>('texts')
    await texts.insertOne({ s: `${'a'.repeat(40)}!` })
    const began = performance.now()
    t.same(await texts.find({ s: /^(a+)+$/ }).toArray(), [])
    t.equal(await texts.countDocuments({ s: /^(A+)+!$/i }), 1)
    t.equal((await refusal(texts.findOne({ s: { $regex: '^(?=a)(a+)+$' } }))).code, 51091)
    t.match(await db.command({ ping: 1 }), { ok: 1 })
    t.ok(performance.now() - began < 1000)
  })

  t.test('take and lose many elements at once', async (t) => {
    const lists = db.collection<any>('lists')
    const many = Array.from({ length: 20_000 }, (_, n) => n)
    const few = Array.from({ length: 4_000 }, (_, n) => n + 18_000)
    await lists.insertOne({ _id: 1, list: many })
    await lists.updateOne({ _id: 1 }, { $addToSet: { list: { $each: [...few, 'x', 'x', Long.fromNumber(5)] } } })
    t.equal((await lists.findOne({ _id: 1 })).list.length, 22_001)
    await lists.updateOne({ _id: 1 }, { $pullAll: { list: [...few, 'x'] } as any })
    t.same((await lists.findOne({ _id: 1 })).list.length, 18_000)
  })

  t.test('keep their types and the order of their fields', async (t) => {
    const { insertedId } = await things.insertOne({
      z: Long.fromString('9007199254740993'),
      y: { b: 1, a: [null, { q: new Date(0) }] },
      '10': 1,
      '9': 2
    })
    const found = await things.findOne({ _id: insertedId }, { promoteLongs: false })
    t.equal(String(found.z), '9007199254740993')
    t.same(Object.keys(found.y), ['b', 'a'])
    t.equal(
      (await things.findOne({ z: Long.fromString('9007199254740993') }))?._id.toHexString(),
      insertedId.toHexString()
    )
  })

  t.test('an unordered batch goes on past refusals, an ordered one stops', async (t) => {
    const batch = db.collection<any>('batch')
    await batch.insertOne({ _id: 2 })
    const docs = [{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 2 }, { _id: 4 }]
    const unordered = await refusal(batch.insertMany(docs, { ordered: false }))
    t.match(unordered, { code: 11000, error: { insertedCount: 3, writeErrors: [{ index: 1 }, { index: 3 }] } })
    t.equal(await batch.countDocuments(), 4)
    await batch.deleteMany({ _id: { $gt: 2 } })
    t.match(await refusal(batch.insertMany(docs.slice(2), { ordered: true })), { error: { insertedCount: 1 } })
    t.same(
      (await batch.find().toArray()).map(({ _id }) => _id),
      [2, 1, 3]
    )
    const raw = await db.command({ insert: 'batch', documents: [{ _id: 2 }, { _id: 9 }], ordered: false })
    t.match(raw, {
      n: 1,
      writeErrors: [{ index: 0, code: 11000, keyPattern: { _id: 1 }, keyValue: { _id: 2 } }],
      ok: 1
    })
  })

  t.test('are found in order, by pages, in batches, and in part', async (t) => {
    const many = db.collection<any>('many')
    await many.insertMany(
      Array.from({ length: 350 }, (_, i) => ({ _id: i, n: (i * 11) % 350, tags: [i % 3, i % 5], text: `t${i}` }))
    )
    t.same(
      (await many.find().sort({ n: -1 }).skip(10).limit(3).toArray()).map(({ n }) => n),
      [339, 338, 337]
    )
    t.same(
      (
        await many
          .find({ tags: 4 }, { projection: { n: 1, _id: 0 } })
          .limit(1)
          .toArray()
      )[0],
      { n: 44 }
    )
    const cursor = many.find({}, { batchSize: 7 })
    t.equal((await cursor.toArray()).length, 350)
    t.same(
      (await many.find().sort({ $natural: -1 }).limit(2).toArray()).map(({ _id }) => _id),
      [349, 348]
    )
    t.same((await many.distinct('tags')).sort(), [0, 1, 2, 3, 4])
    t.equal(await many.countDocuments({ n: { $lt: 50 } }), 50)
    t.equal(await many.countDocuments({ n: { $lt: 50 } }, { skip: 5, limit: 10 }), 10)
    t.equal(await many.estimatedDocumentCount(), 350)
    t.same(
      await many
        .aggregate([
          { $match: { n: { $lt: 10 } } },
          { $sort: { n: -1 } },
          { $limit: 2 },
          { $project: { n: 1, _id: 0 } }
        ])
        .toArray(),
      [{ n: 9 }, { n: 8 }]
    )
  })

  t.test('a cursor is closed when asked, and belongs to its collection', async (t) => {
    const first = await db.command({ find: 'many', batchSize: 2 })
    const id = first.cursor.id
    t.equal((await refusal(db.command({ getMore: Long.fromString(String(id)), collection: 'things' }))).code, 13)
    t.match(await db.command({ killCursors: 'many', cursors: [Long.fromString(String(id))] }), { cursorsKilled: [id] })
    t.equal((await refusal(db.command({ getMore: Long.fromString(String(id)), collection: 'many' }))).code, 43)
    t.equal(String((await db.command({ find: 'many', batchSize: 2, singleBatch: true })).cursor.id), '0')
  })

  t.test('are updated: one, many, by upsert, by pipeline, and counted truly', async (t) => {
    const rows = db.collection<any>('rows')
    await rows.insertMany([
      { _id: 1, g: 'a', v: 1 },
      { _id: 2, g: 'a', v: 1 },
      { _id: 3, g: 'b', v: 5, list: [{ k: 1 }, { k: 2 }] }
    ])
    t.match(await rows.updateMany({ g: 'a' }, { $set: { v: 1 }, $min: { low: 3 } }), {
      matchedCount: 2,
      modifiedCount: 2
    })
    t.match(await rows.updateMany({ g: 'a' }, { $set: { v: 1 } }), { matchedCount: 2, modifiedCount: 0 })
    t.match(await rows.updateOne({ g: 'c' }, { $inc: { v: 4 }, $setOnInsert: { born: true } }, { upsert: true }), {
      upsertedCount: 1
    })
    t.match(await rows.findOne({ g: 'c' }), { g: 'c', v: 4, born: true, _id: ObjectId })
    await rows.updateOne({ _id: 3, 'list.k': 2 }, { $set: { 'list.$.done': true } })
    await rows.updateOne({ _id: 3 }, { $set: { 'list.$[x].seen': 1 } }, { arrayFilters: [{ 'x.k': 1 }] })
    t.same((await rows.findOne({ _id: 3 }))?.list, [
      { k: 1, seen: 1 },
      { k: 2, done: true }
    ])
    await rows.updateMany({}, [{ $set: { twice: { $multiply: ['$v', 2] }, at: '$$NOW' } }])
    const all = await rows.find().toArray()
    t.ok(
      all.every((row) => row.twice === row.v * 2 && row.at.getTime() === all[0].at.getTime()),
      'one $$NOW a command'
    )
    t.equal((await refusal(rows.updateOne({ _id: 1 }, { $set: { _id: 2 } }))).code, 66)
    t.match(await refusal(rows.updateOne({ _id: 2 }, { $set: { 'v.x': 1 } })), { code: 28 })
    t.match(await rows.replaceOne({ _id: 1 }, { only: 1 }), { modifiedCount: 1 })
    t.same(await rows.findOne({ _id: 1 }), { _id: 1, only: 1 })
    t.match(
      await rows.bulkWrite([
        { updateOne: { filter: { _id: 1 }, update: { $inc: { n: 1 } } } },
        { updateOne: { filter: { _id: 1, n: 1 }, update: { $inc: { n: 1 } } } }
      ]),
      { modifiedCount: 2 },
      'each sees the one before'
    )
  })

  t.test('findAndModify gives the document before or after, and says what it did', async (t) => {
    const jobs = db.collection<any>('jobs')
    await jobs.insertMany([
      { _id: 1, p: 2 },
      { _id: 2, p: 9 },
      { _id: 3, p: 5 }
    ])
    const options = {
      sort: { p: -1 as const },
      projection: { p: 1, taken: 1, _id: 0 },
      includeResultMetadata: true as const
    }
    t.match(await jobs.findOneAndUpdate({}, { $set: { taken: 1 } }, { ...options, returnDocument: 'after' }), {
      value: { p: 9, taken: 1 },
      lastErrorObject: { n: 1, updatedExisting: true }
    })
    t.match(await jobs.findOneAndUpdate({ taken: 7 }, { $set: { p: 1 } }, options), {
      value: null,
      lastErrorObject: { n: 0, updatedExisting: false }
    })
    t.match(
      await jobs.findOneAndUpdate({ _id: 50 }, [{ $set: { p: { $ifNull: ['$p', 1] }, at: '$$NOW' } }], {
        ...options,
        upsert: true,
        returnDocument: 'after'
      }),
      { value: { p: 1 }, lastErrorObject: { upserted: 50, n: 1 } }
    )
    t.match(await jobs.findOneAndDelete({ p: { $gt: 1 } }, { sort: { p: 1 } }), { _id: 1 })
    t.equal((await refusal(db.command({ findAndModify: 'jobs', query: {}, remove: true, update: {} }))).code, 9)
  })

  t.test('32 who want one row: one gets it', async (t) => {
    const prize = db.collection<any>('prize')
    for (let round = 0; round < 5; round++) {
      await prize.insertOne({ _id: round, free: true, sends: 1 })
      const got = await Promise.all(
        Array.from({ length: 32 }, (_, i) =>
          prize.findOneAndUpdate(
            { _id: round, free: true, sends: { $gt: 0 } },
            { $set: { free: false, by: i }, $inc: { sends: -1 } }
          )
        )
      )
      t.equal(got.filter((row) => row !== null).length, 1)
    }
    t.same(await prize.distinct('sends'), [0])
    const upserts = await Promise.all(
      Array.from({ length: 16 }, () => prize.updateOne({ key: 'once' }, { $inc: { n: 1 } }, { upsert: true }))
    )
    t.equal(upserts.filter((result) => result.upsertedCount === 1).length, 1)
  })

  t.test('are deleted: one or all, in slices', async (t) => {
    const gone = db.collection<any>('gone')
    await gone.insertMany(Array.from({ length: 2_500 }, (_, i) => ({ _id: i, half: i % 2 })))
    t.match(await gone.deleteOne({ half: 1 }), { deletedCount: 1 })
    t.match(await gone.deleteMany({ half: 1 }), { deletedCount: 1_249 })
    t.match(await gone.deleteMany({}), { deletedCount: 1_250 })
    t.equal(await gone.estimatedDocumentCount(), 0)
  })

  t.test('go where $out and $merge say', async (t) => {
    const source = db.collection<any>('many')
    await db.collection('sums').createIndex({ n: 1 })
    await source
      .aggregate([{ $group: { _id: { $arrayElemAt: ['$tags', 0] }, n: { $sum: 1 } } }, { $out: 'sums' }])
      .toArray()
    t.same(
      (await db.collection('sums').find().sort({ _id: 1 }).toArray()).map(({ n }) => n),
      [117, 117, 116]
    )
    t.same(
      (await db.collection('sums').indexes()).map(({ name }) => name),
      ['_id_', 'n_1'],
      'indexes stay'
    )
    await source
      .aggregate([
        { $match: { _id: { $lt: 4 } } },
        { $project: { extra: '$n' } },
        { $merge: { into: 'sums', whenMatched: 'merge', whenNotMatched: 'insert' } }
      ])
      .toArray()
    t.same(await db.collection('sums').find().sort({ _id: 1 }).toArray(), [
      { _id: 0, n: 117, extra: 0 },
      { _id: 1, n: 117, extra: 11 },
      { _id: 2, n: 116, extra: 22 },
      { _id: 3, extra: 33 }
    ])
    await source
      .aggregate([
        { $match: { _id: 1 } },
        { $merge: { into: 'sums', whenMatched: [{ $set: { n: { $add: ['$n', '$$new.n'] } } }] } }
      ])
      .toArray()
    t.equal((await db.collection('sums').findOne({ _id: 1 as any }))?.n, 128)
    t.same((await db.listCollections({ name: /^tmp/ }).toArray()).length, 0)
  })
})

t.test('collections and databases are listed, made once, measured and dropped', async (t) => {
  const { db, client } = await withStore(t)
  await db.createCollection('one')
  t.equal((await refusal(db.createCollection('one'))).code, 48)
  await db.collection<any>('two').insertMany([{ _id: 1, filler: 'x'.repeat(100) }, { _id: 2 }])
  await client.db('elsewhere').collection('three').insertOne({ a: 1 })
  t.match(await db.listCollections().toArray(), [
    { name: 'one', type: 'collection', idIndex: { name: '_id_' } },
    { name: 'two' }
  ])
  t.same(await db.listCollections({ name: 'two' }, { nameOnly: true }).toArray(), [{ name: 'two', type: 'collection' }])
  t.match((await client.db().admin().listDatabases()).databases, [{ name: 'elsewhere' }, { name: 'hongyan' }])
  t.match(await db.stats(), { collections: 2, objects: 2, indexes: 2 })
  t.match(await db.command({ collStats: 'two' }), { count: 2, nindexes: 1 })
  t.equal(await db.collection('two').drop(), true)
  t.same(await db.collection('two').find().toArray(), [])
  await db.collection<any>('two').insertOne({ _id: 1 })
  t.equal(await db.collection('two').countDocuments(), 1, 'a new one of the name starts empty')
  await db.dropDatabase()
  t.same((await client.db().admin().listDatabases({ nameOnly: true })).databases, [{ name: 'elsewhere' }])
  for (const name of ['a$b', 'system.x', '.a', 'x'.repeat(260)])
    t.equal((await refusal(db.command({ create: name }))).code, 73, name)
})

t.test('what is not done here is refused with a code, never left out', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertMany(Array.from({ length: 20_000 }, (_, i) => ({ _id: i, a: i, filler: 'x'.repeat(40) })))
  const refused: [number, Record<string, unknown>][] = [
    [59, { renameCollection: 'x.a', to: 'x.b' }],
    [59, { explain: { ping: 1 } }],
    [40415, { explain: { find: 'rows', frobnicate: 1 } }],
    [16, { explain: { delete: 'rows', deletes: [] } }],
    [72, { create: 'made', capped: true, size: 1_000 }],
    [72, { create: 'made', size: 1_000 }],
    [72, { create: 'made', viewOn: 'rows', pipeline: [] }],
    [72, { create: 'made', collation: { locale: 'zh' } }],
    [72, { create: 'made', autoIndexId: false }],
    [72, { find: 'rows', collation: { locale: 'zh' } }],
    [72, { find: 'rows', tailable: true }],
    [72, { find: 'rows', showRecordId: true }],
    [72, { find: 'rows', min: { a: 1 }, hint: { a: 1 } }],
    [72, { createIndexes: 'rows', indexes: [{ key: { a: 1 }, name: 'a', collation: { locale: 'zh' } }] }],
    [72, { createIndexes: 'rows', indexes: [{ key: { a: 1 }, name: 'a', hidden: true }] }],
    [67, { createIndexes: 'rows', indexes: [{ key: { '$**': 1 }, name: 'all' }] }],
    [67, { createIndexes: 'rows', indexes: [{ key: { a: 'text' }, name: 'a' }] }],
    [2, { find: 'rows', filter: { $where: 'true' } }],
    [2, { find: 'rows', filter: { $text: { $search: 'a' } } }],
    [2, { find: 'rows', filter: { $jsonSchema: {} } }],
    [2, { find: 'rows', filter: { a: { $near: [0, 0] } } }],
    [2, { find: 'rows', projection: { a: { $meta: 'textScore' } } }],
    [40324, { aggregate: 'rows', pipeline: [{ $graphLookup: {} }], cursor: {} }],
    [40324, { aggregate: 'rows', pipeline: [{ $changeStream: {} }], cursor: {} }],
    [168, { aggregate: 'rows', pipeline: [{ $set: { a: { $function: {} } } }], cursor: {} }],
    [72, { aggregate: 'rows', pipeline: [], explain: true }],
    [40415, { aggregate: 'rows', pipeline: [], cursor: { frobnicate: 1 } }],
    [51024, { aggregate: 'rows', pipeline: [], cursor: { batchSize: -1 } }],
    [40415, { listCollections: 1, cursor: { frobnicate: 1 } }],
    [9, { find: 'rows', let: { Upper: 1 } }],
    [123, { find: 'rows', readConcern: { level: 'snapshot' } }],
    [2, { find: 'rows', readConcern: { level: 'lax' } }],
    [72, { find: 'rows', readConcern: { afterClusterTime: 1 } }],
    [20, { find: 'rows', startTransaction: true, autocommit: false, txnNumber: 1n }],
    [2, { insert: 'rows', documents: [{ _id: -1 }], writeConcern: { w: 3 } }],
    [2, { insert: 'rows', documents: [{ _id: -1 }], writeConcern: { w: 'nearby' } }],
    [9, { insert: 'rows', documents: [{ _id: -1 }], writeConcern: { w: -1 } }],
    [322, { ping: 1, apiVersion: '2' }],
    [323, { dbStats: 1, apiVersion: '1', apiStrict: true }],
    [14, { find: 'rows', maxTimeMS: 'long' }],
    [2, { find: 'rows', maxTimeMS: -1 }],
    [2, { getMore: 1n, collection: 'rows', maxTimeMS: 5 }],
    [50, { find: 'rows', filter: { filler: 'y' }, maxTimeMS: 1 }],
    [50, { count: 'rows', query: { filler: 'y' }, maxTimeMS: 1 }],
    [50, { distinct: 'rows', key: 'a', maxTimeMS: 1 }],
    [50, { aggregate: 'rows', pipeline: [{ $group: { _id: '$a' } }], cursor: {}, maxTimeMS: 1 }],
    [50, { update: 'rows', updates: [{ q: {}, u: { $inc: { a: 1 } }, multi: true }], maxTimeMS: 1 }],
    [51024, { collStats: 'rows', scale: 0 }]
  ]
  for (const [code, command] of refused)
    t.equal((await refusal(db.command(command))).code, code, inspect(command, { depth: 4 }))
  t.notOk((await db.listCollections({ name: 'made' }).toArray()).length)
  t.equal(await rows.findOne({ _id: -1 }), null)
  t.equal((await rows.find({}, { maxTimeMS: 60_000, batchSize: 5_000 }).toArray()).length, 20_000, 'time enough')
})

t.test('a collection and its indexes are measured', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertMany(Array.from({ length: 500 }, (_, i) => ({ _id: i, name: `name ${i}` })))
  await rows.createIndex({ name: 1 })
  await rows.createIndex({ rare: 1 }, { sparse: true })
  const { indexSizes, totalIndexSize, size, totalSize } = await db.command({ collStats: 'rows' })
  t.ok(indexSizes.name_1 > indexSizes._id_ && indexSizes._id_ >= 500 * 10, JSON.stringify(indexSizes))
  t.equal(indexSizes.rare_1, 0)
  t.equal(totalIndexSize, indexSizes.name_1 + indexSizes._id_)
  t.equal(totalSize, size + totalIndexSize)
  t.match(await db.command({ dbStats: 1, scale: 2 }), {
    indexSize: totalIndexSize / 2,
    dataSize: size / 2,
    scaleFactor: 2
  })
})
