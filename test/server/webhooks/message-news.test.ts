import t from 'tap'
import type { News } from '../../../server/webhooks/webhooks.js'
import { eventsOf } from '../../../server/messages/news.js'
import { answer, buildLedger, closeTestStore, noAnswer } from '../../support/ledger.js'
import { receiver } from './receiver.js'

t.teardown(closeTestStore)

t.test('a step of a row', async (t) => {
  const of = (from: string | null, to: string, opened = false) =>
    eventsOf({ id: 'm', seq: 1, from, to, ...(opened && { opened: true as const }) })
  t.test('is an event when it ends in a state other systems hear of', async (t) => {
    t.same(of(null, 'accepted'), ['message.accepted'])
    t.same(of('accepted', 'delivered'), ['message.delivered'])
    t.same(of('accepted', 'failed:userBlock'), ['message.failed'])
    t.same(of('open', 'skipped:capped'), ['message.skipped'])
    t.same(of('open', 'expired'), ['message.expired'])
    t.same(of('open', 'unknown'), ['message.unknown'])
  })
  t.test('is none while the message is under way, or when nothing moved', async (t) => {
    t.same(of(null, 'open'), [])
    t.same(of('failed:43004', 'open'), [], 'tried again')
    t.same(of('accepted', 'accepted'), [])
  })
  t.test('and an open are two', async (t) => {
    t.same(of('open', 'accepted', true), ['message.accepted', 'message.opened'])
    t.same(of('accepted', 'accepted', true), ['message.opened'])
  })
})

t.test('what becomes of messages', async (t) => {
  const ledger = await buildLedger(t)
  const { clock } = ledger
  const there = await receiver(t)
  await ledger.webhooks.create({
    url: there.url,
    events: [
      'message.accepted',
      'message.failed',
      'message.skipped',
      'message.unknown',
      'message.expired',
      'message.opened'
    ]
  })
  const told = async () => {
    await ledger.webhooks.run()
    return there.received.splice(0).map(({ json }) => [json.type, json.data.id, json.data.reason ?? json.data.code])
  }

  t.test('is told with what a backend needs to know', async (t) => {
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const id = await ledger.plan(ann, { reference: 'order 8231' })
    await ledger.settle()
    await ledger.webhooks.run()
    const [first] = there.received.splice(0)
    t.match(first!.json, {
      type: 'message.accepted',
      timestamp: clock.now().toISOString(),
      data: {
        id,
        accountId: ledger.account.id,
        personId: ann.personId,
        reference: 'order 8231',
        templateId: 'T',
        state: 'accepted',
        reason: null,
        code: null,
        test: false,
        fallsBack: false,
        sentAt: clock.now().toISOString()
      }
    })
    t.equal(first!.headers['webhook-id'], `${id}:${(await ledger.row(id)).seq}`, 'message and step')
    t.notMatch(first!.body, 'oann', 'no openid')
  })

  t.test('is told for every way it ends', async (t) => {
    const [bob, cid, dan] = [
      await ledger.recipient('bob'),
      await ledger.recipient('cid'),
      await ledger.recipient('dan')
    ]
    const skipped = await ledger.plan(bob)
    const expired = await ledger.plan(cid, {
      waitForCredential: true,
      notAfter: new Date(clock.now().getTime() + 60_000)
    })
    await ledger.payment(dan.id)
    ledger.wechat(() => noAnswer())
    const unknown = await ledger.plan(dan)
    await ledger.settle()
    clock.advance(61_000)
    await ledger.settle()
    ledger.wechat(() => answer(0))
    const all = await told()
    t.same(
      all.sort(([, a], [, b]) => [skipped, expired, unknown].indexOf(a) - [skipped, expired, unknown].indexOf(b)),
      [
        ['message.skipped', skipped, 'noCredential'],
        ['message.expired', expired, null],
        ['message.unknown', unknown, null]
      ]
    )
  })

  t.test('is told once when a card is opened, beside everything else', async (t) => {
    const eve = await ledger.recipient('eve')
    await ledger.form(eve.id)
    const id = await ledger.plan(eve)
    await ledger.settle()
    t.same(await told(), [['message.accepted', id, null]])
    for (let k = 0; k < 2; k++) {
      await ledger.messages.opened([{ row: await ledger.row(id), at: clock.now() }])
      await ledger.settle()
    }
    t.same(await told(), [['message.opened', id, null]])
  })

  t.test('is told again when a failed one is tried again', async (t) => {
    const fay = await ledger.recipient('fay')
    await ledger.form(fay.id)
    ledger.wechat(() => answer(41030))
    const notAfter = new Date(clock.now().getTime() + 3_600_000)
    const run = {
      campaignId: 'c',
      accountId: ledger.account.id,
      templateId: 'T',
      lane: 'bulk' as const,
      instant: clock.now()
    }
    await ledger.messages.runs.open({ id: 'r', ...run, notAfter, snapshot: null })
    const id = await ledger.plan(fay, { runId: 'r', campaignId: 'c' })
    await ledger.settle()
    t.match(await told(), [['message.failed', id, 41030]])
    ledger.wechat(() => answer(0))
    await ledger.messages.retryRun('r', { states: ['failed'] }, notAfter)
    await ledger.settle()
    t.same(await told(), [['message.accepted', id, null]])
  })

  t.test('is no news to anybody when nobody listens, and costs nothing then', async (t) => {
    let asked = 0
    const deaf = ledger.rooms({
      webhooks: {
        wanted: async () => {
          asked++
          return new Set()
        },
        file: async () => void t.fail('nobody wants it')
      }
    })
    const gus = await ledger.recipient('gus')
    await ledger.form(gus.id)
    await deaf.messages.plan([ledger.input(gus)])
    await deaf.messages.settleAll()
    t.ok(asked > 0 && asked < 5, 'one question a batch')
    t.same(await told(), [])
  })
})

t.test('a follower that dies tells everything, each under one id', async (t) => {
  const ledger = await buildLedger(t)
  const there = await receiver(t)
  await ledger.webhooks.create({ url: there.url, events: ['message.accepted', 'message.opened'] })
  const people = await Promise.all(Array.from({ length: 12 }, (_, n) => ledger.recipient(`p${n}`)))
  for (const { id } of people) await ledger.form(id)
  const ids: string[] = []
  for (const person of people) ids.push(await ledger.plan(person))

  // dies before anything is filed, after a part of it, after all of it, and then works
  const deaths: ((news: News[]) => Promise<void>)[] = [
    async () => {},
    async (news) => ledger.webhooks.file(news.slice(0, 5)),
    async (news) => ledger.webhooks.file(news)
  ]
  let died = 0
  for (const death of deaths) {
    const dying = ledger.rooms({
      webhooks: {
        wanted: ledger.webhooks.wanted,
        async file(news) {
          await death(news)
          died++
          throw new Error('killed')
        }
      }
    })
    await dying.messages.settleAll().catch(() => {})
    // rows move on while the batch lies there: opened meanwhile
    const row = await ledger.row(ids[died - 1]!)
    await ledger.messages.opened([{ row, at: ledger.clock.now() }])
  }
  t.equal(died, 3)
  await ledger.settle()
  await ledger.webhooks.run()
  const accepted = there.heard().filter((each) => each.startsWith('message.accepted'))
  const opened = there.heard().filter((each) => each.startsWith('message.opened'))
  t.equal(accepted.length, 12)
  t.equal(new Set(accepted).size, 12)
  t.equal(opened.length, 3)
  t.same(
    there.received
      .filter(({ json }) => json.type === 'message.accepted')
      .map(({ json }) => json.data.id)
      .sort(),
    [...ids].sort()
  )
})
