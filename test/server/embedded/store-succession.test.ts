import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as look } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import mongoose from 'mongoose'
import t from 'tap'
import type { Test } from 'tap'
import { checkStore, openEmbedded } from '../../../server/embedded/embedded.js'
import { createTenure, listenOf } from '../../../server/embedded/tenure.js'
import { childCommand } from './child-command.js'
import { shortDir } from './with-store.js'

// Whole processes start here, one after another.
t.setTimeout(120_000)

/** A process that has the store in `dir` open until it is killed. */
async function startHolder(t: Test, dir: string): Promise<{ uri: string; owner: boolean; kill(): Promise<void> }> {
  const child = spawn(process.execPath, [...childCommand('holder-child'), dir], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = async () => {
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(kill)
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data)))
    child.once('exit', () => reject(new Error('the holder ended')))
  })
  return { ...JSON.parse(line), kill }
}

/** Tries until it succeeds, or the test's time is over: another process has to notice something first. */
async function inTheEnd<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const done = await work().then(
      (value) => ({ value }),
      () => null
    )
    if (done) return done.value
    await look(20)
  }
}

t.test('an owner killed and started again is found by those who used it', { timeout: 60_000 }, async (t) => {
  const dir = join(t.testdir(), 'a path too long for a socket in it'.repeat(3))
  const first = await startHolder(t, dir)
  const connection = mongoose.createConnection(first.uri)
  const Row = connection.model('Row', new mongoose.Schema({ n: Number }))
  await Row.create({ n: 1 })
  await first.kill()
  const second = await startHolder(t, dir)
  t.same([first.owner, second.owner, second.uri], [true, true, first.uri], 'the uri stays')
  await inTheEnd(() => Row.create({ n: 2 }))
  t.same(
    (await Row.find().sort({ n: 1 })).map(({ n }) => n),
    [1, 2]
  )
  await connection.close()
  await second.kill()
})

t.test('when the owner dies, one of those it served takes its place', { timeout: 60_000 }, async (t) => {
  const dir = join(shortDir(t), 'store')
  const first = await startHolder(t, dir)
  const told: unknown[] = []
  const log = (event: string, facts: object) => void told.push({ event, ...facts })
  const guests = [await openEmbedded({ dir, log }), await openEmbedded({ dir, worker: false, log })]
  t.same(
    guests.map(({ owner, uri }) => [owner, uri]),
    guests.map(() => [false, first.uri])
  )
  const client = await new MongoClient(first.uri).connect()
  await client.db().collection<any>('a').insertOne({ _id: 1 })
  await first.kill()
  await inTheEnd(() =>
    client
      .db()
      .collection<any>('a')
      .updateOne({ _id: 2 }, { $set: { n: 1 } }, { upsert: true })
  )
  t.equal(await client.db().collection('a').countDocuments(), 2, 'nothing is lost')
  t.equal(guests.filter(({ owner }) => owner).length, 1)
  t.match(told[0], { event: /is served again/, moved: false })
  const late = await startHolder(t, dir)
  t.same([late.owner, late.uri], [false, first.uri], 'who comes now is led to that one')
  await guests.find(({ owner }) => owner)!.close()
  await inTheEnd(() =>
    client
      .db()
      .collection<any>('a')
      .updateOne({ _id: 3 }, { $set: { n: 1 } }, { upsert: true })
  )
  t.equal(await client.db().collection('a').countDocuments(), 3, 'an end in good order is followed just so')
  await Promise.all(guests.map((guest) => guest.close()))
  await inTheEnd(() =>
    client
      .db()
      .collection<any>('a')
      .updateOne({ _id: 4 }, { $set: { n: 1 } }, { upsert: true })
  )
  await client.close()
  await late.kill()
  t.match(await checkStore(dir), { collections: 1, documents: 4, errors: [] })
})

t.test('a successor listens where a TCP owner did', async (t) => {
  t.same(listenOf('mongodb://hongyan:a%2Fb@127.0.0.1:27018/hongyan?authSource=admin'), {
    host: '127.0.0.1',
    port: 27018,
    password: 'a/b'
  })
  t.match(listenOf('mongodb://hongyan:x@[::1]:1/hongyan'), { host: '::1', port: 1 })
  t.equal(listenOf('mongodb://%2Ftmp%2Fs.sock/hongyan'), null)
})

t.test('a store that ends under its owner is opened again', async (t) => {
  const ends: (() => void)[] = []
  const told: unknown[] = []
  let closed = 0
  const tenure = await createTenure({
    find: async () => null,
    own: async () => ({
      uri: `mongodb://${ends.length}`,
      owner: true,
      close: async () => void closed++,
      lost: new Promise<void>((resolve) => ends.push(resolve))
    }),
    log: (event, facts) => told.push({ event, ...facts })
  })
  t.same([tenure.uri, tenure.owner], ['mongodb://0', true])
  ends[0]!()
  while (told.length === 0) await look(5)
  t.same([tenure.uri, tenure.owner, ends.length], ['mongodb://1', true, 2])
  t.match(told, [{ owner: true, moved: true }])
  ends[1]!()
  await tenure.close()
  t.equal(ends.length, 2, 'but not once it is closed')
})
