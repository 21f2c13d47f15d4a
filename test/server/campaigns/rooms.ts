import type { Connection } from 'mongoose'
import type { Test } from 'tap'
import { createAccounts } from '../../../server/accounts/accounts.js'
import { createAudiences } from '../../../server/audiences/audiences.js'
import { createCampaigns } from '../../../server/campaigns/campaigns.js'
import { createCredentials } from '../../../server/credentials/credentials.js'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { createEvents } from '../../../server/events/events.js'
import { createMessages } from '../../../server/messages/messages.js'
import { createPeople } from '../../../server/people/people.js'
import { UpstreamFailure } from '../../../server/platform/errors.js'
import { createJobs } from '../../../server/platform/jobs.js'
import { silentLog } from '../../../server/platform/log.js'
import { connectMongo } from '../../../server/platform/mongo.js'
import { newId, randomToken } from '../../../server/platform/ids.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { createTemplates } from '../../../server/templates/templates.js'
import { templateModels } from '../../../server/templates/model.js'
import { createTriggers } from '../../../server/triggers/triggers.js'
import type { Content } from '../../../shared/template.js'
import type { Clock } from '../../../server/platform/clock.js'
import { testClock, type TestClock } from '../../support/clock.js'

export type Rooms = Awaited<ReturnType<typeof buildRooms>>

type Test_ = Pick<Test, 'testdir' | 'teardown'>

/** A WeChat that cannot be reached. */
const away = new Proxy({} as never, {
  get: () => new Proxy({}, { get: () => () => Promise.reject(new UpstreamFailure('WeChat does not answer', true)) })
})

/** What the clocks of rooms and store say at first: expiry is of the test's time, not of the day it is run on. */
const START = '2026-03-02T01:00:00Z'

/** A store for a whole test file; MONGODB_URI names another. Each set of rooms gets a database of its own. */
export async function openStore(t: Test_): Promise<{ rooms(t: Test_, start?: string): Promise<Rooms> }> {
  const given = process.env.MONGODB_URI
  const store =
    given === undefined
      ? await openEmbedded({ dir: t.testdir(), worker: false, durability: 'commit', now: () => new Date(START) })
      : null
  t.teardown(() => store?.close())
  const uri = store?.uri ?? given!
  return { rooms: (t, start = START) => buildRooms(t, uri, testClock(start)) }
}

/** The rooms of one process; more than one of them on a database are rivals, or one after a crash. */
export function roomsOn({ db, clock }: { db: Connection; clock: Clock }) {
  const log = silentLog()
  const sealer = createSealer({ sealing: [{ id: 'k1', key: Buffer.alloc(32, 1) }], hash: Buffer.alloc(32, 2) })
  const sealed = { db, clock, sealer }
  const jobs = createJobs({ db, clock, log, enabled: false })
  const accounts = createAccounts({ ...sealed, apiBase: 'http://127.0.0.1:1', publicUrl: 'http://127.0.0.1' })
  const people = createPeople(sealed)
  const templates = createTemplates({ db, clock, log, jobs, accounts, wechat: away, operations: {} as never })
  const credentials = createCredentials({ ...sealed, grantType: templates.grantTypeOf })
  const messages = createMessages({
    ...sealed,
    log,
    random: () => 0.5,
    accounts,
    people,
    credentials,
    senders: {} as never,
    tokens: {} as never
  })
  const events = createEvents({ db, clock, log, jobs, people })
  const audiences = createAudiences({ db, clock, random: () => 0, people, events, credentials, templates })
  const campaigns = createCampaigns({
    db,
    clock,
    log,
    jobs,
    accounts,
    people,
    templates,
    audiences,
    credentials,
    messages
  })
  const triggers = createTriggers({ db, clock, accounts, people, audiences, events, campaigns, messages })
  return { jobs, accounts, people, templates, credentials, messages, events, audiences, campaigns, triggers }
}

async function buildRooms(t: Test_, uri: string, clock: TestClock) {
  const dbName = `test_${newId()}`
  const db = await connectMongo(uri, { dbName })
  t.teardown(async () => {
    await db.dropDatabase()
    await db.close()
  })
  const start = () => roomsOn({ db, clock })
  const rooms = start()
  for (const room of [rooms.accounts, rooms.people, rooms.credentials, rooms.messages, rooms.events, rooms.audiences]) {
    await room.ready()
  }
  await rooms.campaigns.ready()
  await rooms.triggers.ready()

  /** A mini-program with one subscribe template `T` of a thing and an amount. */
  async function account(kind: 'miniprogram' | 'service' = 'miniprogram') {
    const appId = `wx${randomToken(20)
      .replace(/[^0-9a-f]/g, '0')
      .slice(0, 16)
      .padEnd(16, '0')}`
    const made = await rooms.accounts.create({ kind, appId, secret: 'secret-secret', mode: 'sandbox', name: kind })
    const now = clock.now()
    await templateModels(db).rows.insertOne({
      _id: `${made.id}:T`,
      accountId: made.id,
      templateId: 'T',
      kind: kind === 'service' ? 'service' : 'subscribe',
      title: '下单通知',
      fields: [
        { key: 'thing1', name: '商品', type: 'thing' },
        { key: 'amount2', name: '金额', type: 'amount' }
      ],
      content: '',
      example: '',
      grantType: kind === 'service' ? null : 'once',
      choices: {},
      state: 'live',
      syncedAt: now,
      deletedAt: null
    })
    return made
  }

  /** People known to the account, with these attributes; their person ids in order. */
  async function crowd(accountId: string, attributes: Record<string, string | number | boolean>[]) {
    const met = await rooms.people.recipients(
      accountId,
      attributes.map((_, i) => `open-${i}`)
    )
    for (const [i, each] of attributes.entries()) {
      if (Object.keys(each).length > 0) await rooms.people.patch(met[i]!.personId, { attributes: each })
    }
    return met
  }

  const rows = (filter: object = {}) => rooms.messages.rows.find(filter).sort({ createdAt: 1, _id: 1 }).toArray()

  return { ...rooms, db, clock, start, account, crowd, rows }
}

export const CONTENT: Content = { thing1: '{{ user.name }}的订单', amount2: '{{ event.amount | default: 9 }}' }
