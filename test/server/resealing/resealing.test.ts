import type { Connection } from 'mongoose'
import t from 'tap'
import { silentLog } from '../../../server/platform/log.js'
import { createSealer, type Keyring } from '../../../server/platform/sealing.js'
import { keyOf, SEALED_PLACES, sealedIn } from '../../../server/resealing/places.js'
import { createResealing } from '../../../server/resealing/resealing.js'
import { testDb } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'

const key = (id: string, byte: number) => ({ id, key: Buffer.alloc(32, byte) })
const hash = Buffer.alloc(32, 9)
const OLD: Keyring = { sealing: [key('k1', 1), key('k2', 2)], hash }
const NEW: Keyring = { sealing: [key('k2', 2), key('k1', 1)], hash }
const old = createSealer(OLD)
const fresh = createSealer(NEW)

const resealing = (db: Connection, ring = NEW, batch = 3) =>
  createResealing({ db, clock: testClock(), log: silentLog(), sealer: createSealer(ring), batch })

/** A row with a value at each path of a place; a list has two. */
function rowOf(_id: string, paths: readonly string[], seal: (text: string) => string): Record<string, any> {
  const row: Record<string, any> = { _id, kept: 'as it is' }
  for (const path of paths) {
    const [list, rest] = path.split('[].')
    if (rest !== undefined) {
      row[list!] = ['a', 'b'].map((n) => ({ id: n, [rest]: seal(`${_id} ${path} ${n}`) }))
      continue
    }
    const steps = path.split('.')
    const last = steps.pop()!
    const holder = steps.reduce((at, step) => (at[step] ??= {}), row)
    holder[last] = seal(`${_id} ${path}`)
  }
  return row
}

/** A store with rows in every place, all under the old key; what they say. */
async function filled(db: Connection, count = 7): Promise<string[]> {
  for (const { collection, paths, named } of SEALED_PLACES) {
    const rows = Array.from({ length: count }, (_, n) => rowOf(`row${n}`, paths, (text) => old.seal(text)))
    const name = named === undefined ? {} : { name: '$push:scan' }
    await db.collection(collection).insertMany(rows.map((row) => ({ ...row, ...name })) as never)
  }
  return said(db)
}

/** Every sealed value of the store, opened, and with which keys they are sealed. */
async function valuesOf(db: Connection) {
  const found = []
  for (const { collection, paths } of SEALED_PLACES) {
    for (const row of await db.collection(collection).find().sort({ _id: 1 }).toArray()) {
      if (row.kept !== 'as it is') continue
      for (const { path, value } of sealedIn(row, paths)) found.push({ at: `${collection} ${path}`, value })
    }
  }
  return found
}
const said = async (db: Connection) => (await valuesOf(db)).map(({ at, value }) => `${at}: ${fresh.open(value)}`)
const keysOf = async (db: Connection) => [...new Set((await valuesOf(db)).map(({ value }) => keyOf(value)))]

t.test('what is sealed is found by its path', async (t) => {
  const [one, two] = [old.seal('a'), fresh.seal('b')]
  const row = { _id: 1, a: one, b: { c: two, d: 'k1.short' }, e: [{ f: one }, { f: null }, { f: two }], g: 7 }
  t.same(sealedIn(row, ['a', 'b.c', 'b.d', 'e[].f', 'g', 'none', 'none[].x', 'a.b']), [
    { path: 'a', value: one, key: 'k1' },
    { path: 'b.c', value: two, key: 'k2' },
    { path: 'e.0.f', value: one, key: 'k1' },
    { path: 'e.2.f', value: two, key: 'k2' }
  ])
})

t.test('sealing anew', async (t) => {
  t.test('leaves every value what it says, under the current key', async (t) => {
    const db = await testDb(t)
    const before = await filled(db)
    t.same(await keysOf(db), ['k1'])
    t.equal((await resealing(db).holding('k1')).length, SEALED_PLACES.length)
    const moved = await resealing(db).run()
    t.equal(moved, before.length)
    t.same(await keysOf(db), ['k2'])
    t.same(await said(db), before)
    t.same(await resealing(db).holding('k1'), [])
    t.equal(await resealing(db).run(), 0, 'again, nothing is to be done')
    t.match(await resealing(db).progress(), { key: 'k2', moved, doneAt: Date })
  })

  t.test('what a stranger made look sealed is left alone, and holds no key', async (t) => {
    const db = await testDb(t)
    const properties = { sealed: `k1.${'x'.repeat(60)}` }
    await db.collection('events').insertOne({ _id: 'e', name: 'order_paid', properties } as never)
    t.same(await resealing(db).holding('k1'), [])
    t.equal(await resealing(db).run(), 0)
  })

  t.test('broken off at any write, goes on and ends the same', async (t) => {
    const db = await testDb(t)
    for (const at of [1, 2, 3, 8, 21, 34, 55, 62]) {
      for (const { collection } of SEALED_PLACES) await db.collection(collection).deleteMany({})
      const before = await filled(db, 3)
      const died = resealing(breaking(db, at, at % 2 === 0 ? 'before' : 'after'), NEW, 2).run()
      await t.rejects(died, { message: 'died' }, `at write ${at}`)
      await resealing(db).run()
      t.same(await keysOf(db), ['k2'])
      t.same(await said(db), before)
    }
  })

  t.test('stops when it is told to, and goes on from there', async (t) => {
    const db = await testDb(t)
    await filled(db)
    const stop = new AbortController()
    const first = await resealing(db).run({ signal: stop.signal, told: (moved) => moved > 20 && stop.abort() })
    t.ok(first > 20 && first < 100, `${first} moved`)
    t.same((await keysOf(db)).sort(), ['k1', 'k2'])
    await resealing(db).run()
    t.same(await keysOf(db), ['k2'])
  })

  t.test('loses nothing that others write meanwhile, and finds what they sealed with the old key', async (t) => {
    const db = await testDb(t)
    await filled(db)
    const rows = db.collection('recipients')
    const latest = new Map<string, string>()
    let running = true
    const writer = (async () => {
      for (let n = 0; running; n++) {
        const id = `row${n % 7}`
        latest.set(id, `said ${n}`)
        await rows.updateOne({ _id: id as never }, { $set: { sealed: old.seal(`said ${n}`) } })
      }
    })()
    // Two at once, beside the writer.
    await Promise.all([resealing(db).run(), resealing(db).run()].map((run) => Promise.race([run, pause(600)])))
    running = false
    await writer
    await resealing(db).again()
    await resealing(db).run()
    t.same(await keysOf(db), ['k2'])
    for (const row of await rows.find().toArray()) {
      const last = latest.get(String(row._id))
      if (last !== undefined) t.equal(fresh.open(row.sealed as string), last)
    }
  })

  t.test('is not undone by a process that still has the older ring', async (t) => {
    const db = await testDb(t)
    await filled(db)
    t.equal(await resealing(db, OLD).run(), 0, 'all is sealed with its key')
    await resealing(db).run()
    t.equal(await resealing(db, OLD).run(), 0)
    t.same(await keysOf(db), ['k2'])
    t.match(await resealing(db).progress(), { key: 'k2', doneAt: Date })
  })

  t.test('leaves alone what does not open, and says that its key is needed', async (t) => {
    const db = await testDb(t)
    const lost = createSealer({ sealing: [key('k1', 7)], hash }).seal('sealed with a key nobody has')
    await db.collection('recipients').insertOne({ _id: 'row0', kept: 'as it is', sealed: lost } as never)
    t.equal(await resealing(db).run(), 0)
    t.same((await db.collection('recipients').findOne())?.sealed, lost)
    t.same(await resealing(db).holding('k1'), [{ collection: 'recipients', rows: 1 }])
  })
})

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** The same store for a process that dies at its write number `at`, before the store saw it or after. */
function breaking(db: Connection, at: number, fate: 'before' | 'after'): Connection {
  let writes = 0
  const wrapped = (target: any): any =>
    new Proxy(target, {
      get(of, name) {
        const value = of[name]
        if (typeof value !== 'function') return value
        if (!['updateOne', 'bulkWrite'].includes(String(name))) return value.bind(of)
        return async (...args: unknown[]) => {
          writes++
          if (writes > at || (writes === at && fate === 'before')) throw new Error('died')
          const answer = await value.apply(of, args)
          if (writes === at) throw new Error('died')
          return answer
        }
      }
    })
  return new Proxy(db, {
    get: (of: any, name) => (name === 'collection' ? (title: string) => wrapped(of.collection(title)) : of[name])
  })
}
