import t, { type Test } from 'tap'
import { createOutside, type Outside } from '../../../server/webhooks/outside.js'
import { createWebhooks, type News } from '../../../server/webhooks/webhooks.js'
import { createSettings } from '../../../server/settings/settings.js'
import { silentLog } from '../../../server/platform/log.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { testDb, testKeyring } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'
import { receiver, verified } from './receiver.js'

const HOUR = 3_600_000

/** Waits for what other sockets do; the file's own time limit ends it. */
async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((resolve) => setImmediate(resolve))
}

/** A webhooks room on a fresh database; `another` is a second process on the same rows, with its own way outside. */
async function room(t: Test) {
  const db = await testDb(t)
  // far ahead of the machine's time, so that no store removes as expired what the test still looks at
  const clock = testClock('2090-03-02T04:00:00Z')
  const sealer = createSealer(testKeyring)
  const outside = createOutside({ allow: ['127.0.0.1'], timeoutMs: 2_000 })
  const settings = createSettings({ db, clock, sealer, urlFault: outside.fault })
  const another = (through: Outside = outside) =>
    createWebhooks({ db, clock, log: silentLog(), sealer, random: () => 0.5, outside: through, settings })
  const webhooks = another()
  await webhooks.ready()
  t.teardown(() => outside.close())
  const there = await receiver(t)
  const rows = db.collection('webhookDeliveries')
  const made = await webhooks.create({ url: there.url, events: ['campaign.state'] })
  let n = 0
  const news = (more: Partial<News> = {}): News => ({
    id: `news-${n++}`,
    type: 'campaign.state',
    at: clock.now(),
    accountId: 'a',
    data: { n },
    ...more
  })
  return { db, clock, outside, settings, webhooks, another, there, rows, hook: made.id, secret: made.secret, news }
}

t.test('a delivery', async (t) => {
  t.test('is signed by Standard Webhooks and arrives once', async (t) => {
    const { webhooks, there, news, secret, clock, rows } = await room(t)
    await webhooks.file([news(), news()])
    t.equal(await webhooks.run(), 2)
    t.equal(await webhooks.run(), 0)
    t.same(
      there.received.map((each) => verified(secret, each)),
      [true, true]
    )
    const [first] = there.received
    t.notOk(verified(secret, { ...first!, body: `${first!.body} ` }), 'a changed body shows')
    t.notOk(verified(`whsec_${Buffer.alloc(24).toString('base64')}`, first!), 'another secret shows')
    t.equal(Number(first!.headers['webhook-timestamp']), clock.now().getTime() / 1_000)
    t.equal(await rows.countDocuments({ state: 'delivered' }), 2)
  })

  t.test('filed twice is one', async (t) => {
    const { webhooks, there, news } = await room(t)
    const same = news()
    await webhooks.file([same, news()])
    await webhooks.file([same])
    await webhooks.run()
    await webhooks.file([same])
    await webhooks.run()
    t.same(there.heard(), ['campaign.state news-0', 'campaign.state news-1'])
  })

  t.test('is only of what was asked for, of the accounts asked for, since it was asked for', async (t) => {
    const { webhooks, there, news, clock } = await room(t)
    const own = await webhooks.create({ url: `${there.url}/own`, events: ['alert.fired'], accountIds: ['b'] })
    const before = new Date(clock.now().getTime() - 1)
    await webhooks.file([
      news({ id: 'state' }),
      news({ id: 'old', at: before }),
      news({ id: 'fired-a', type: 'alert.fired' }),
      news({ id: 'fired-b', type: 'alert.fired', accountId: 'b' }),
      news({ id: 'fired', type: 'alert.fired', accountId: null })
    ])
    await webhooks.run()
    t.same(there.heard().sort(), ['alert.fired fired-b', 'campaign.state state'])
    t.same([...(await webhooks.wanted('b'))].sort(), ['alert.fired', 'campaign.state'])
    t.same([...(await webhooks.wanted('a'))], ['campaign.state'])
    await webhooks.patch(own.id, { enabled: false })
    await webhooks.file([news({ id: 'later', type: 'alert.fired', accountId: 'b' })])
    await webhooks.run()
    t.equal(there.received.length, 2, 'nothing more where it was switched off')
  })

  t.test('is tried for a day, the same each time, and then given up', async (t) => {
    const { webhooks, there, news, clock, rows, hook } = await room(t)
    there.answers(() => 503)
    await webhooks.file([news()])
    const start = clock.now().getTime()
    for (let k = 0; k < 25 * 6; k++) {
      await webhooks.run()
      await webhooks.giveUp()
      clock.advance(10 * 60_000)
    }
    const row = (await rows.findOne({}))!
    t.equal(row.state, 'failed')
    t.ok(there.received.length >= 10 && there.received.length <= 15, `${there.received.length} attempts`)
    t.equal(new Set(there.received.map(({ body, headers }) => `${String(headers['webhook-id'])} ${body}`)).size, 1)
    t.equal(new Set(there.received.map(({ headers }) => headers['webhook-timestamp'])).size, there.received.length)
    t.equal(row.attempts.length, there.received.length)
    const last = row.attempts.at(-1).at.getTime() - start
    t.ok(last > 20 * HOUR && last < 24 * HOUR, `the last one after ${Math.round(last / HOUR)} h`)
    t.match(await webhooks.get(hook), { enabled: false, disabledReason: 'nothing arrived: HTTP 503' })
    t.match(await webhooks.dead(), [{ id: hook, reason: 'nothing arrived: HTTP 503' }])
  })

  t.test('arrives late when the other side comes back, and all is well again', async (t) => {
    const { webhooks, there, news, clock, hook } = await room(t)
    there.answers((_request, n) => (n <= 4 ? 500 : 200))
    await webhooks.file([news()])
    for (let k = 0; k < 40; k++) {
      await webhooks.run()
      clock.advance(5 * 60_000)
    }
    t.equal(there.received.length, 5)
    t.match(await webhooks.get(hook), { enabled: true, failingSince: null })
    t.match((await webhooks.deliveries(hook, {}, { limit: 10 })).data, [
      { state: 'delivered', nextAt: null, attempts: [{ status: 500 }, {}, {}, {}, { status: 200, error: null }] }
    ])
  })

  t.test('answered 410 is the last one', async (t) => {
    const { webhooks, there, news, hook } = await room(t)
    there.answers(() => 410)
    await webhooks.file([news()])
    await webhooks.run()
    t.match(await webhooks.get(hook), { enabled: false, disabledReason: /410/ })
    await webhooks.file([news()])
    t.equal(await webhooks.run(), 0)
    t.match(await webhooks.patch(hook, { enabled: true }), { enabled: true, disabledReason: null })
    there.answers(() => 200)
    await webhooks.file([news()])
    await webhooks.run()
    t.equal(there.received.length, 2)
  })
})

t.test('a webhook where nobody answers', async (t) => {
  t.test('is asked with one delivery now and then, however many wait, and gets all when it is back', async (t) => {
    const { webhooks, there, news, clock } = await room(t)
    there.answers(() => 500)
    await webhooks.file(Array.from({ length: 200 }, () => news()))
    for (let minute = 0; minute < 60; minute++) {
      await webhooks.run()
      clock.advance(60_000)
    }
    // five turns of forty before its patience ends, then one at a time
    t.ok(there.received.length < 200, `${there.received.length} attempts in an hour for 200 deliveries`)
    const before = there.received.length
    there.answers(() => 200)
    for (let k = 0; k < 24; k++) {
      await webhooks.run()
      clock.advance(30 * 60_000)
    }
    t.equal(there.received.length - before, 200)
    t.equal(new Set(there.heard()).size, 200)
  })
  t.test('does not keep the others waiting', async (t) => {
    const { webhooks, there, news } = await room(t)
    const slow = await receiver(t)
    let release: (status: number) => void = () => {}
    slow.answers(() => new Promise<number>((resolve) => (release = resolve)))
    await webhooks.create({ url: slow.url, events: ['campaign.state'] })
    await webhooks.file([news()])
    const ending = new AbortController()
    const running = webhooks.serve(ending.signal)
    await until(() => there.received.length === 1 && slow.received.length === 1)
    await webhooks.file([news(), news()])
    await until(() => there.received.length === 3)
    t.equal(slow.received.length, 1, 'still out')
    release(200)
    await until(() => slow.received.length === 2)
    release(200)
    ending.abort()
    await running
  })
  t.test('is left alone for as long as it asks', async (t) => {
    const { webhooks, there, news, clock } = await room(t)
    there.answers(() => ({ status: 429, headers: { 'retry-after': '600' } }))
    await webhooks.file([news()])
    await webhooks.run()
    await webhooks.file([news()])
    clock.advance(599_000)
    t.equal(await webhooks.run(), 0)
    clock.advance(1_000)
    there.answers(() => 200)
    t.equal(await webhooks.run(), 2)
  })
})

t.test('a process that dies', async (t) => {
  /** A way outside on which the process is killed: before the request is written, or after it was answered. */
  const deadly = (outside: Outside, when: 'before' | 'after') => {
    let wake: () => void = () => {}
    const gone = new Promise<void>((resolve) => (wake = resolve))
    const reached: { at?: () => void } = {}
    const here = new Promise<void>((resolve) => (reached.at = resolve))
    const through: Outside = {
      ...outside,
      async post(...given) {
        if (when === 'before') {
          reached.at!()
          await gone
        }
        const posted = await outside.post(...given)
        reached.at!()
        await gone
        return posted
      }
    }
    return { through, here, wake: () => wake() }
  }

  t.test('between taking up and posting loses nothing', async (t) => {
    const { webhooks, another, outside, there, news, clock, rows } = await room(t)
    const { through, here } = deadly(outside, 'before')
    await webhooks.file([news()])
    void another(through).run()
    await here
    t.equal(await webhooks.run(), 0, 'it is taken up')
    clock.advance(59_000)
    t.equal(await webhooks.run(), 0, 'still')
    clock.advance(1_000)
    t.equal(await webhooks.run(), 1)
    t.same(there.heard(), ['campaign.state news-0'])
    t.equal(await rows.countDocuments({ state: 'delivered' }), 1)
  })

  t.test('between the answer and the mark posts once more, under the same id, and never again', async (t) => {
    const { webhooks, another, outside, there, news, clock, rows } = await room(t)
    const { through, here, wake } = deadly(outside, 'after')
    await webhooks.file([news()])
    const dead = another(through).run()
    await here
    clock.advance(60_000)
    t.equal(await webhooks.run(), 1)
    t.same(there.heard(), ['campaign.state news-0', 'campaign.state news-0'])
    t.equal(there.received[0]!.body, there.received[1]!.body)
    // it was only stalled, and wakes: what it knows is old
    wake()
    await dead
    const row = (await rows.findOne({}))!
    t.match(row, { state: 'delivered', lease: null, n: 2 })
    t.equal(row.attempts.length, 1)
    clock.advance(HOUR)
    t.equal(await webhooks.run(), 0)
  })

  t.test('does not come into the way of others: two workers post each of 300 once', async (t) => {
    const { webhooks, another, there, news } = await room(t)
    await webhooks.file(Array.from({ length: 300 }, () => news()))
    const [a, b] = await Promise.all([webhooks.run(), another().run()])
    t.equal(there.received.length, 300)
    t.equal(new Set(there.heard()).size, 300)
    t.equal(a + b, 300)
  })
})

t.test('a process that ends', async (t) => {
  t.test('leaves what it had to cut off to others, and blames nobody for it', async (t) => {
    const { webhooks, another, there, news, clock, rows, hook } = await room(t)
    const own = createOutside({ allow: ['127.0.0.1'], timeoutMs: 2_000 })
    there.answers(() => new Promise<number>(() => {}))
    await webhooks.file([news()])
    const ending = new AbortController()
    const running = another(own).serve(ending.signal)
    await until(() => there.received.length === 1)
    ending.abort()
    await own.close()
    await running
    t.match(await rows.findOne({}), { state: 'waiting', attempts: [] })
    t.match(await webhooks.get(hook), { failingSince: null })
    there.answers(() => 200)
    t.equal(await webhooks.run(), 0, 'the lease stands')
    clock.advance(60_000)
    t.equal(await webhooks.run(), 1)
    t.same(there.heard(), ['campaign.state news-0', 'campaign.state news-0'])
  })
})

t.test('what is stored', async (t) => {
  t.test('shows neither secret nor address', async (t) => {
    const { db, webhooks, settings, secret, there, news } = await room(t)
    await settings.patch({
      alerts: { targets: [{ name: 'x', url: `${there.url}?key=SESAME`, kinds: null, accountIds: null }] }
    })
    await webhooks.file([news({ alert: { kind: 'queue', markdown: 'm' } })])
    await webhooks.run()
    const all = await Promise.all((await db.listCollections()).map(({ name }) => db.collection(name).find().toArray()))
    const dump = JSON.stringify(all)
    t.match(dump, 'campaign.state', 'it is the dump')
    for (const word of [secret, secret.slice(6), 'SESAME', new URL(there.url).host]) t.notMatch(dump, word)
  })
  t.test('about erased people is gone', async (t) => {
    const { webhooks, news, rows } = await room(t)
    await webhooks.file([news({ personId: 'ann' }), news({ personId: 'bob' }), news()])
    await webhooks.erase(['ann'])
    t.same((await rows.find().toArray()).map(({ personId }) => personId).sort(), ['bob', null])
  })
})
