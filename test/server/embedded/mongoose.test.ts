import mongoose from 'mongoose'
import t from 'tap'
import { withServer } from './with-server.js'
import { refusal } from './with-store.js'

t.test('mongoose', async (t) => {
  const { uri, embedded } = await withServer(t)
  const connection = await mongoose.createConnection(uri).asPromise()
  t.teardown(() => connection.close())
  const { Schema } = mongoose

  const personSchema = new Schema(
    {
      name: { type: String, required: true, unique: true },
      age: Number,
      tags: [String],
      home: { city: String },
      pets: [{ kind: String, name: String }],
      when: Date,
      any: Schema.Types.Mixed
    },
    { timestamps: true, optimisticConcurrency: true }
  )
  personSchema.index({ age: 1, 'home.city': -1 })
  personSchema.index({ when: 1 }, { expireAfterSeconds: 3600 })
  const Person = connection.model('Person', personSchema)
  const Book = connection.model(
    'Book',
    new Schema({
      title: String,
      author: { type: Schema.Types.ObjectId, ref: 'Person' },
      readers: [{ type: Schema.Types.ObjectId, ref: 'Person' }],
      price: Schema.Types.Decimal128,
      pages: BigInt
    })
  )
  await Promise.all([Person.init(), Book.init()])

  t.test('makes its collections and indexes, and finds them made', async (t) => {
    await Person.createIndexes()
    await Person.syncIndexes()
    t.same(
      (await Person.listIndexes()).map(({ name }) => name),
      ['_id_', 'name_1', 'age_1_home.city_-1', 'when_1']
    )
  })

  t.test('saves, changes, versions and stamps documents', async (t) => {
    const person = await Person.create({
      name: '鲁迅',
      age: 45,
      tags: ['a'],
      home: { city: '上海' },
      pets: [{ kind: 'cat', name: 'm' }]
    })
    const before = person.updatedAt
    person.tags.push('b')
    person.pets[0].name = 'n'
    person.any = { deep: [1, { x: null }] }
    person.markModified('any')
    await person.save()
    const found = await Person.findOne({ name: '鲁迅' }).orFail()
    t.match(found.toObject(), { tags: ['a', 'b'], pets: [{ name: 'n' }], any: { deep: [1, { x: null }] }, age: 45 })
    t.ok(found.updatedAt >= before && found.createdAt <= before)
    const stale = await Person.findOne({ name: '鲁迅' }).orFail()
    found.age = 46
    await found.save()
    stale.age = 47
    t.equal((await refusal(stale.save())).error.name, 'VersionError')
    t.equal((await refusal(Person.create({ name: '鲁迅' }))).code, 11000)
    t.match((await refusal(Person.create({ name: '鲁迅' }))).error, {
      keyValue: { name: '鲁迅' },
      keyPattern: { name: 1 }
    })
    t.equal((await refusal(Person.create({ age: 1 }))).error.name, 'ValidationError')
  })

  t.test('populates, one and many, and through virtuals', async (t) => {
    const [a, b] = await Person.create([
      { name: 'a', age: 1 },
      { name: 'b', age: 2 }
    ])
    await Book.create([
      { title: 'x', author: a._id, readers: [b._id, a._id], price: '12.50', pages: 5n },
      { title: 'y', author: b._id }
    ])
    const books = await Book.find()
      .sort({ title: 1 })
      .populate('author')
      .populate({ path: 'readers', select: 'name', options: { sort: { name: 1 } } })
      .lean<any[]>()
    t.same(
      books.map((book) => [book.title, book.author.name, book.readers.map((reader: any) => reader.name).sort()]),
      [
        ['x', 'a', ['a', 'b']],
        ['y', 'b', []]
      ]
    )
    t.equal(String(books[0].price), '12.50')
    const joined = await Book.aggregate([
      { $lookup: { from: 'people', localField: 'author', foreignField: '_id', as: 'author' } },
      { $unwind: '$author' },
      { $group: { _id: null, names: { $push: '$author.name' }, ages: { $sum: '$author.age' } } }
    ])
    t.same(joined, [{ _id: null, names: ['a', 'b'], ages: 3 }])
  })

  t.test('writes in bulk, upserts, counts and pages with cursors', async (t) => {
    const result = await Person.bulkWrite([
      { insertOne: { document: { name: 'bulk1' } as any } },
      { updateOne: { filter: { name: 'bulk1' }, update: { $inc: { age: 5 } } } },
      { updateOne: { filter: { name: 'bulk2' }, update: { $set: { age: 1 } }, upsert: true } },
      { replaceOne: { filter: { name: 'bulk2' }, replacement: { name: 'bulk3', age: 9 } as any } },
      { deleteOne: { filter: { name: 'nobody' } } }
    ])
    t.match(result, { insertedCount: 1, modifiedCount: 2, upsertedCount: 1, deletedCount: 0 })
    await Person.insertMany(
      Array.from({ length: 120 }, (_, i) => ({ name: `many${i}`, age: i, home: { city: i % 2 ? 'x' : 'y' } }))
    )
    let seen = 0
    for await (const person of Person.find({ name: /^many/ }).sort({ age: 1 }).cursor({ batchSize: 9 }))
      t.equal(person.age, seen++) || t.bailout()
    t.equal(seen, 120)
    t.equal(await Person.countDocuments({ 'home.city': 'x' }), 60)
    t.ok(await Person.exists({ name: 'many7' }))
    t.same(await Person.distinct('home.city', { name: /^many/ }), ['x', 'y'])
    const changed = await Person.findOneAndUpdate(
      { name: 'fresh' },
      { $set: { age: 3 }, $push: { tags: { $each: ['c', 'a'], $sort: 1 } } },
      { upsert: true, returnDocument: 'after' }
    )
    t.match(changed?.toObject(), { name: 'fresh', age: 3, tags: ['a', 'c'], createdAt: Date })
    t.match(await Person.updateMany({ name: /^many1/ }, { $unset: { home: 1 } }), { modifiedCount: 31 })
    t.match(await Person.deleteMany({ name: /^many/ }), { deletedCount: 120 })
  })

  t.test('tells kinds of one collection apart, and runs hooks', async (t) => {
    const Event = connection.model('Event', new Schema({ at: Date }, { discriminatorKey: 'kind' }))
    const Click = Event.discriminator('Click', new Schema({ url: String }))
    await Event.create({ at: new Date(0) })
    await Click.create({ url: 'u', at: new Date(1) })
    t.equal(await Event.countDocuments(), 2)
    t.match(await Click.find().lean(), [{ kind: 'Click', url: 'u' }])
    t.same(
      await Event.aggregate([
        { $match: { at: { $gte: new Date(0) } } },
        { $group: { _id: '$kind', n: { $count: {} } } },
        { $sort: { n: 1, _id: 1 } }
      ]),
      [
        { _id: null, n: 1 },
        { _id: 'Click', n: 1 }
      ]
    )
  })

  t.test('keeps the types of its schemas', async (t) => {
    const Thing = connection.model(
      'Thing',
      new Schema({
        map: { type: Map, of: Number },
        bytes: Buffer,
        uuid: Schema.Types.UUID,
        double: Schema.Types.Double,
        int: Schema.Types.Int32,
        big: BigInt,
        money: Schema.Types.Decimal128,
        nested: [[Number]]
      })
    )
    const uuid = new mongoose.Types.UUID()
    const { _id } = await Thing.create({
      map: { 'a b': 1, c: 2 },
      bytes: Buffer.from([0, 255]),
      uuid: uuid.toString(),
      double: 2,
      int: 3,
      big: 2n ** 60n,
      money: '0.10',
      nested: [[1, 2], []]
    })
    const found = await Thing.findOne({ _id, uuid: uuid.toString(), big: 2n ** 60n, 'map.c': 2 }).orFail()
    t.equal(found.map?.get('a b'), 1)
    t.same(found.bytes, Buffer.from([0, 255]))
    t.equal(found.big, 2n ** 60n)
    t.equal(String(found.money), '0.10')
    t.same(found.toObject().nested, [[1, 2], []])
    found.map?.set('c', 5)
    ;(found as any).nested[1].push(7)
    await found.save()
    t.match(await Thing.findById(_id).lean(), { map: { 'a b': 1, c: 5 }, nested: [[1, 2], [7]] })
    for (const [field, type] of Object.entries({ double: 'double', int: 'int', big: 'long', money: 'decimal' }))
      t.equal(await Thing.countDocuments({ [field]: { $type: type } }), 1, `${field} is stored as ${type}`)
  })

  t.test('versions arrays, and knows who was first', async (t) => {
    const List = connection.model('List', new Schema({ items: [{ name: String, done: Boolean }] }))
    const { _id } = await List.create({ items: [{ name: 'a' }, { name: 'b' }] })
    const [one, two] = await Promise.all([List.findById(_id).orFail(), List.findById(_id).orFail()])
    one.items.pull(one.items[0])
    await one.save()
    two.items[1].done = true
    t.equal((await refusal(two.save())).error.name, 'VersionError')
    t.match(await List.findById(_id).lean(), { __v: 1, items: [{ name: 'b' }] })
    await List.updateOne({ _id, 'items.name': 'b' }, { $set: { 'items.$.done': true } })
    await List.updateOne({ _id }, { $push: { items: { $each: [{ name: 'c' }], $position: 0 } } })
    const marked = { $set: { 'items.$[one].done': false } }
    await List.updateOne({ _id }, marked, { arrayFilters: [{ 'one.name': /^c/ }] })
    t.match(await List.findById(_id).lean(), {
      items: [
        { name: 'c', done: false },
        { name: 'b', done: true }
      ]
    })
  })

  t.test('finds and changes, replaces or removes in one', async (t) => {
    await Person.create({ name: 'solo', age: 1 })
    const changed = await Person.findOneAndUpdate(
      { name: 'solo' },
      { $inc: { age: 1 } },
      { includeResultMetadata: true }
    )
    t.match(changed, { value: { age: 1 }, lastErrorObject: { n: 1, updatedExisting: true } })
    const replaced = await Person.findOneAndReplace(
      { name: 'solo' },
      { name: 'duo', age: 9 },
      { returnDocument: 'after' }
    )
    t.match(replaced?.toObject(), { name: 'duo', age: 9, updatedAt: Date })
    t.match((await Person.findOneAndDelete({ name: 'duo' }))?.toObject(), { name: 'duo' })
    t.equal(await Person.findOneAndDelete({ name: 'duo' }), null)
    t.equal(await Person.findOneAndUpdate({ name: 'none' }, { age: 1 }), null)
    await Person.updateOne({ name: 'timeless' }, { age: 5 }, { upsert: true, timestamps: false })
    const timeless = await Person.findOne({ name: 'timeless' }).lean<any>()
    t.notOk('updatedAt' in timeless || 'createdAt' in timeless)
  })

  t.test('says of each document of a bulk whether it was a duplicate', async (t) => {
    const Unique = connection.model('Unique', new Schema({ code: { type: String, unique: true }, n: Number }))
    await Unique.init()
    await Unique.create({ code: 'b' })
    const docs = ['a', 'b', 'c', 'a', 'd'].map((code, n) => ({ code, n }))
    const loose = (await refusal(Unique.insertMany(docs, { ordered: false }))).error
    t.equal(loose.code, 11000)
    t.same(
      loose.writeErrors.map(({ err }: any) => [err.index, err.code]),
      [
        [1, 11000],
        [3, 11000]
      ]
    )
    t.same(await Unique.distinct('code'), ['a', 'b', 'c', 'd'])
    await Unique.deleteMany({})
    await Unique.create({ code: 'b' })
    const strict = (await refusal(Unique.insertMany(docs))).error
    t.match(strict, { code: 11000, insertedDocs: [{ code: 'a' }] })
    const bulk = Unique.bulkWrite([
      { updateOne: { filter: { code: 'a' }, update: { $set: { code: 'b' } } } },
      { deleteMany: { filter: {} } }
    ])
    t.match((await refusal(bulk)).error, { code: 11000, result: { deletedCount: 0 } })
    t.equal(await Unique.countDocuments(), 2)
    const again = connection.model('Again', new Schema({ n: Number }, { autoIndex: false }), 'uniques')
    await again.collection.insertMany([
      { code: 'x', n: 7 },
      { code: 'y', n: 7 }
    ])
    t.equal((await refusal(again.collection.createIndex({ n: 1 }, { unique: true }))).code, 11000)
    t.notOk(
      (await again.listIndexes()).some(({ key }) => 'n' in key),
      'an index that cannot be is not there'
    )
  })

  t.test('populates through arrays, virtuals and conditions', async (t) => {
    const authorSchema = new Schema({ name: String })
    authorSchema.virtual('works', { ref: 'Work', localField: '_id', foreignField: 'authors' })
    authorSchema.virtual('count', { ref: 'Work', localField: '_id', foreignField: 'authors', count: true })
    const Author = connection.model('Author', authorSchema)
    const Work = connection.model(
      'Work',
      new Schema({ title: String, year: Number, authors: [{ type: Schema.Types.ObjectId, ref: 'Author' }] })
    )
    const [lu, zhou] = await Author.create([{ name: 'lu' }, { name: 'zhou' }])
    await Work.create([
      { title: 'x', year: 1918, authors: [lu._id, zhou._id] },
      { title: 'y', year: 1921, authors: [lu._id] },
      { title: 'z', year: 1922, authors: [zhou._id] }
    ])
    const found = await Author.findOne({ name: 'lu' })
      .populate<{ works: any[] }>({
        path: 'works',
        match: { year: { $gt: 1900 } },
        options: { sort: { year: -1 } }
      })
      .populate<{ count: number }>('count')
      .orFail()
    t.same([found.works.map(({ title }) => title), found.count], [['y', 'x'], 2])
    const works = await Work.find({ year: { $lt: 1920 } }).populate<{ authors: any[] }>({
      path: 'authors',
      populate: { path: 'works', perDocumentLimit: 1, options: { sort: { year: 1 } } }
    })
    t.same(
      works[0].authors.map((author) => author.works.map((work: any) => work.title)),
      [['x'], ['x']]
    )
  })

  t.test('tells kinds within an array apart', async (t) => {
    const eventSchema = new Schema({ at: Date }, { discriminatorKey: 'kind', _id: false })
    const batchSchema = new Schema({ events: [eventSchema] })
    const events = batchSchema.path<mongoose.Schema.Types.DocumentArray>('events')
    events.discriminator('Click', new Schema({ url: { type: String, required: true } }, { _id: false }))
    events.discriminator('Pay', new Schema({ fen: Number }, { _id: false }))
    const Batch = connection.model('Batch', batchSchema)
    await Batch.create({ events: [{ kind: 'Click', url: '/' } as any, { kind: 'Pay', fen: 5 } as any] })
    t.match((await refusal(Batch.create({ events: [{ kind: 'Click' } as any] }))).error, { name: 'ValidationError' })
    await Batch.updateOne({ 'events.kind': 'Pay' }, { $inc: { 'events.$.fen': 2 } })
    t.match(await Batch.findOne({ events: { $elemMatch: { kind: 'Pay', fen: 7 } } }).lean(), {
      events: [{ kind: 'Click' }, { kind: 'Pay', fen: 7 }]
    })
  })

  t.test('aggregates, all at once and by a cursor', async (t) => {
    const Sale = connection.model('Sale', new Schema({ shop: String, fen: Number, at: Date }))
    const day = (n: number) => new Date(Date.UTC(2024, 2, 9 + n, 17)) // 01:00 of the next day in Shanghai
    await Sale.insertMany(Array.from({ length: 60 }, (_, i) => ({ shop: 'abc'[i % 3], fen: i, at: day(i % 4) })))
    const days = await Sale.aggregate()
      .match({ fen: { $gte: 0 } })
      .group({
        _id: { $dateToString: { date: '$at', format: '%m-%d', timezone: 'Asia/Shanghai' } },
        fen: { $sum: '$fen' },
        shops: { $addToSet: '$shop' }
      })
      .sort({ _id: 1 })
    t.same(
      days.map(({ _id, fen, shops }) => [_id, fen, shops.sort().join('')]),
      [
        ['03-10', 420, 'abc'],
        ['03-11', 435, 'abc'],
        ['03-12', 450, 'abc'],
        ['03-13', 465, 'abc']
      ]
    )
    const [facets] = await Sale.aggregate([
      {
        $facet: {
          sizes: [{ $bucket: { groupBy: '$fen', boundaries: [0, 20, 60] } }],
          best: [{ $sort: { fen: -1 } }, { $limit: 1 }, { $project: { _id: 0, fen: 1 } }],
          shops: [{ $sortByCount: '$shop' }, { $count: 'n' }]
        }
      }
    ])
    t.same(facets, {
      sizes: [
        { _id: 0, count: 20 },
        { _id: 20, count: 40 }
      ],
      best: [{ fen: 59 }],
      shops: [{ n: 3 }]
    })
    let sum = 0
    for await (const sale of Sale.aggregate<{ fen: number }>([{ $sort: { fen: 1 } }]).cursor({ batchSize: 7 }))
      sum += sale.fen
    t.equal(sum, 1770)
    let counted = 0
    await Sale.find()
      .cursor({ batchSize: 10 })
      .eachAsync(async () => void counted++, { parallel: 4 })
    t.equal(counted, 60)
    const latest = await Sale.aggregate([
      { $match: { shop: 'a', fen: { $lt: 5 } } },
      {
        $lookup: {
          from: 'sales',
          let: { shop: '$shop', fen: '$fen' },
          pipeline: [
            { $match: { $expr: { $and: [{ $eq: ['$shop', '$$shop'] }, { $gt: ['$fen', '$$fen'] }] } } },
            { $sort: { fen: 1 } },
            { $limit: 1 },
            { $project: { _id: 0, fen: 1 } }
          ],
          as: 'next'
        }
      },
      { $project: { _id: 0, fen: 1, next: { $first: '$next.fen' } } },
      { $sort: { fen: 1 } }
    ])
    t.same(latest, [
      { fen: 0, next: 3 },
      { fen: 3, next: 6 }
    ])
  })

  if (!embedded) return

  t.test('is told that transactions are not there', async (t) => {
    const session = await connection.startSession().catch((error) => error)
    if (session instanceof Error) return t.match(session.message, /session/i)
    session.startTransaction()
    const { message } = await refusal(Person.create([{ name: 'in a transaction' }], { session }))
    t.match(message, /transaction|session/i)
    await session.endSession().catch(() => {})
    t.match(
      (await refusal(connection.transaction((session) => Person.create([{ name: 'in a transaction' }], { session }))))
        .message,
      /transaction|session/i
    )
    t.equal(await Person.exists({ name: 'in a transaction' }), null)
  })

  t.test('is told that there are no change streams', async (t) => {
    const stream = connection.collection('people').watch()
    t.match(await refusal(stream.next()), { code: 40324, message: /\$changeStream/ })
    await stream.close()
  })
})
