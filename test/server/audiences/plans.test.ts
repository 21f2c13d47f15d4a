import t from 'tap'
import type { Rule } from '../../../shared/audience.js'
import { DAY_MS, NEVER } from '../../../shared/limits.js'
import { newRight } from '../../../server/credentials/new-right.js'
import type { AudienceSource } from '../../../server/audiences/audiences.js'
import { stretch } from '../../../server/audiences/preview.js'
import { connectMongo } from '../../../server/platform/mongo.js'
import { newId } from '../../../server/platform/ids.js'
import { testClock } from '../../support/clock.js'
import { testStoreUri } from '../../support/build-app.js'
import { templateModels } from '../../../server/templates/model.js'
import { roomsOn } from '../campaigns/rooms.js'

const PEOPLE = 12_000
const READS = ['find', 'aggregate', 'distinct', 'count']

const RULES: Record<string, Rule> = {
  everybody: { all: [] },
  attribute: { attribute: 'city', op: 'eq', value: '上海' },
  'one of several': { attribute: 'city', op: 'in', value: ['上海', '北京'] },
  'a range': {
    all: [
      { attribute: 'age', op: 'gte', value: 20 },
      { attribute: 'age', op: 'lt', value: 30 }
    ]
  },
  'an attribute at all': { attribute: 'age', op: 'exists' },
  tag: { tag: 'level', op: 'eq', value: '金' },
  'attribute and tag': {
    all: [
      { attribute: 'city', op: 'eq', value: '上海' },
      { tag: 'level', op: 'eq', value: '金' }
    ]
  },
  either: {
    any: [
      { attribute: 'city', op: 'eq', value: '上海' },
      { tag: 'level', op: 'eq', value: '金' }
    ]
  },
  'an event': { did: 'order', atLeast: 1, withinDays: 30 },
  'an event, several times': { did: 'order', atLeast: 2, withinDays: 30 },
  'an event like that': { did: 'order', where: { amount: { gte: 5 } }, withinDays: 30 },
  reachable: { reachable: true, templateId: 'T' },
  'all of it': {
    all: [
      { attribute: 'city', op: 'eq', value: '上海' },
      { did: 'order', withinDays: 30 },
      { reachable: true },
      { not: [{ tag: 'level', op: 'eq', value: '金' }] }
    ]
  }
}

t.test('an audience of many', { timeout: 120_000 }, async (t) => {
  const uri = await testStoreUri()
  const monitored = `${uri}${/\?/.test(uri) ? '&' : /\/\/[^/]+\//.test(uri) ? '?' : '/?'}monitorCommands=true`
  const db = await connectMongo(monitored, { dbName: `test_${newId()}` })
  t.teardown(async () => {
    await db.dropDatabase()
    await db.close()
  })
  const clock = testClock(new Date())
  const rooms = roomsOn({ db, clock })
  const { accounts, people, credentials, events, audiences, templates } = rooms
  for (const room of [accounts, people, credentials, events, audiences, templates]) await room.ready()
  const account = await accounts.create({
    kind: 'miniprogram',
    appId: 'wx0000000000000001',
    secret: 'secret-secret',
    mode: 'sandbox',
    name: 'a'
  })
  const met = await people.recipients(
    account.id,
    Array.from({ length: PEOPLE }, (_, i) => `open-${i}`)
  )
  await people.models.people.bulkWrite(
    met.map(({ personId }, i) => ({
      updateOne: {
        filter: { _id: personId },
        update: {
          $set: {
            'attributes.city': ['上海', '北京', '广州', '深圳'][i % 4]!,
            ...(i % 2 === 0 && { 'attributes.age': i % 60 }),
            ...(i % 3 === 0 && { 'tags.level': i % 6 === 0 ? '金' : '银' })
          }
        }
      }
    })),
    { ordered: false }
  )
  const now = clock.now()
  await events.rows.insertMany(
    met
      .filter((_, i) => i % 5 === 0)
      .flatMap(({ personId, id }, i) =>
        Array.from({ length: 1 + (i % 3) }, (_, k) => ({
          _id: newId(),
          accountId: account.id,
          origin: 'key:x',
          name: k === 2 ? 'other' : 'order',
          personId,
          recipientId: id,
          at: now,
          receivedAt: now,
          properties: { amount: i % 10 },
          todo: false,
          due: now,
          tries: 0,
          expireAt: new Date(now.getTime() + 400 * DAY_MS)
        }))
      )
  )
  const holders = met.filter((_, i) => i % 4 === 0).map(({ id }) => id)
  await credentials.rows.insertMany(
    holders.map((recipientId) => {
      const mint = {
        recipientId,
        source: 'grant' as const,
        at: now,
        key: recipientId,
        templateId: 'T',
        hash: recipientId
      }
      return newRight(account.id, mint, 1, NEVER, now)
    })
  )
  await templateModels(db).rows.insertOne({
    _id: `${account.id}:T`,
    accountId: account.id,
    templateId: 'T',
    kind: 'subscribe',
    title: 'T',
    fields: [],
    content: '',
    example: '',
    grantType: 'once',
    choices: {},
    state: 'live',
    syncedAt: now,
    deletedAt: null
  } as any)

  /** Whoever is in, by looking at everybody. */
  async function exactly(source: AudienceSource): Promise<number> {
    let count = 0
    for (let after: string | null = null; ;) {
      const page: Awaited<ReturnType<typeof audiences.stream>> = await audiences.stream(source, account, { after })
      count += page.persons.length
      if (page.next === null) return count
      after = page.next
    }
  }

  for (const [name, rule] of Object.entries(RULES)) {
    t.test(`${name}: no collection is scanned, and the margins are honest`, async (t) => {
      const commands: { name: string; command: Record<string, unknown> }[] = []
      const hear = ({ commandName, command, databaseName }: any) => {
        if (databaseName === db.name && READS.includes(commandName)) commands.push({ name: commandName, command })
      }
      const client = db.getClient()
      client.on('commandStarted', hear)
      const preview = await audiences.preview(account, { rule }, { templateId: 'T' })
      const count = await exactly({ rule })
      await audiences.among(
        { rule },
        account,
        met.slice(0, 50).map(({ personId }) => personId)
      )
      client.off('commandStarted', hear)
      t.ok(
        Math.abs(preview.count - count) <= preview.countMargin * 2,
        `${preview.count} ± ${preview.countMargin}: ${count}`
      )
      t.ok(count > 0)
      t.ok(preview.reachable + preview.reachableMargin > 0)
      const asked = new Map(
        commands.map(({ name, command }) => {
          const { lsid: _s, $db: _d, $clusterTime: _t, cursor: _c, ...rest } = command as any
          return [
            `${name} ${String(command[name])} ${Object.keys(rest.filter ?? rest.query ?? {}).join()}`,
            { name, rest }
          ]
        })
      )
      for (const [told, { name, rest }] of asked) {
        const explained = await db.db!.command({
          explain: name === 'aggregate' ? { ...rest, cursor: {} } : rest,
          verbosity: 'queryPlanner'
        })
        const plan = JSON.stringify(explained.queryPlanner?.winningPlan ?? explained)
        t.notMatch(plan, /COLLSCAN/, told)
      }
    })
  }
})

t.test('a stretch of ids', async (t) => {
  const ALL = 64 ** 6
  for (const [share, at] of [
    [0.01, 0],
    [0.5, 0.7],
    [0.999, 0.999],
    [1e-9, 0.5]
  ] as const) {
    const parts = stretch(share, at)
    t.ok(
      parts.every(({ from, until }) => from < until),
      `${share} from ${at} on`
    )
    const digits = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'
    const place = (text: string) =>
      text === '~' ? ALL : [...text].reduce((n, each) => n * 64 + digits.indexOf(each), 0)
    const length = parts.reduce((sum, { from, until }) => sum + place(until) - place(from), 0)
    t.ok(Math.abs(length / ALL - share) < 1e-6)
  }
})
