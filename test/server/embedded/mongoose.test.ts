import mongoose from 'mongoose'
import t from 'tap'
import { refusal, withStore } from './with-store.js'

t.test('mongoose', async (t) => {
  const { store } = await withStore(t)
  const connection = await mongoose.createConnection(store.uri).asPromise()
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

  t.test('is told that transactions are not there', async (t) => {
    const session = await connection.startSession().catch((error) => error)
    if (session instanceof Error) return t.match(session.message, /session/i)
    session.startTransaction()
    const { message } = await refusal(Person.create([{ name: 'in a transaction' }], { session }))
    t.match(message, /transaction|session/i)
    await session.endSession().catch(() => {})
  })
})
