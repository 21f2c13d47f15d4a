import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Connection } from 'mongoose'
import { createAlerts } from '../../server/alerts/alerts.js'
import { createAccounts, type Account } from '../../server/accounts/accounts.js'
import { createBreakers } from '../../server/breakers/breakers.js'
import { createCredentials, type GrantType } from '../../server/credentials/credentials.js'
import { openEmbedded } from '../../server/embedded/embedded.js'
import { createMessages, type PlanInput } from '../../server/messages/messages.js'
import type { CredentialRow } from '../../server/credentials/model.js'
import type { MessageRow } from '../../server/messages/model.js'
import type { Recipient } from '../../server/people/recipients.js'
import type { ItemVerdict } from '../../shared/credential.js'
import { createPeople } from '../../server/people/people.js'
import { silentLog } from '../../server/platform/log.js'
import { connectMongo } from '../../server/platform/mongo.js'
import { createSealer } from '../../server/platform/sealing.js'
import type { SendInput } from '../../server/senders/sender.js'
import type { Senders } from '../../server/senders/senders.js'
import { createSettings } from '../../server/settings/settings.js'
import { createOutside } from '../../server/webhooks/outside.js'
import { createWebhooks, type Webhooks } from '../../server/webhooks/webhooks.js'
import type { WechatResult } from '../../server/wechat/client.js'
import { createWordLists } from '../../server/words/words.js'
import { testClock } from './clock.js'

/** Anything with a teardown: a tap test. */
type Ending = { teardown(fn: () => Promise<void> | void): void }

const dirs: string[] = []
let store: Promise<{ uri: string; close(): Promise<void> }> | null = null
let databases = 0

/** One store a test process: the embedded one in a folder of its own, or the server MONGODB_URI names. */
export function testStore(): Promise<{ uri: string; close(): Promise<void> }> {
  store ??= (async () => {
    const given = process.env.MONGODB_URI
    if (given !== undefined && given !== '') return { uri: given, close: async () => {} }
    const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-test-'))
    dirs.push(dir)
    return openEmbedded({ dir, worker: false })
  })()
  return store
}

/** Closes the shared store; call once at the end of a file, in its last teardown. */
export async function closeTestStore(): Promise<void> {
  const open = store
  store = null
  if (open !== null) await (await open).close()
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true })
}

export const answer = (errcode: number, body: object = {}): WechatResult => ({
  kind: 'answer',
  errcode,
  errmsg: errcode === 0 ? 'ok' : `code ${errcode}`,
  rid: null,
  body,
  httpStatus: 200,
  ms: 1
})
export const noAnswer = (): WechatResult => ({ kind: 'noAnswer', reason: 'reset', ms: 1 })
export const notSent = (): WechatResult => ({ kind: 'notSent', reason: 'ECONNREFUSED', ms: 1 })

export type Sent = SendInput & { at: Date }

/**
 * Credentials and messages on a real store, with a WeChat that answers what the test says. `restart` builds the rooms
 * anew on the same rows, as another process would. `guarded`: breakers and word lists look on.
 */
export async function buildLedger(t: Ending, options: { grantType?: GrantType; guarded?: boolean } = {}) {
  const { uri } = await testStore()
  const dbName = `ledger_${process.pid}_${databases++}`
  const shared = await connectMongo(uri, { dbName })
  // far ahead of the machine's time, so that no store removes as expired what the test still looks at
  const clock = testClock('2090-03-02T04:00:00Z')
  const sealer = createSealer({ sealing: [{ id: 'k1', key: Buffer.alloc(32, 1) }], hash: Buffer.alloc(32, 2) })
  const log = silentLog()
  const sent: Sent[] = []
  const outside = createOutside({ allow: ['127.0.0.1'] })
  let script: (input: SendInput) => WechatResult | Promise<WechatResult> = () => answer(0)
  let msgid = 4_000_000_000_000_000_000n

  const said: Senders['send'] = async (_account, input) => {
    sent.push({ ...input, at: clock.now() })
    const result = await script(input)
    if (result.kind === 'answer' && result.errcode === 0 && input.channel !== 'legacy')
      result.body = { msgid: String(msgid++) }
    return result
  }

  /** The rooms of one process; `through`: its own way to the store, its own WeChat, other ears for its news. */
  function rooms(
    through: { db?: Connection; send?: Senders['send']; webhooks?: Pick<Webhooks, 'wanted' | 'file'> } = {}
  ) {
    const db = through.db ?? shared
    const settings = createSettings({ db, clock, sealer, urlFault: outside.fault })
    const webhooks = createWebhooks({ db, clock, log, sealer, random: () => 0.5, outside, settings })
    const alerts = createAlerts({ db, clock, log, settings, webhooks, accountName: async () => null })
    const accounts = createAccounts({
      db,
      clock,
      sealer,
      apiBase: 'http://127.0.0.1:9',
      publicUrl: 'http://127.0.0.1:1'
    })
    const people = createPeople({ db, clock, sealer })
    const credentials = createCredentials({ db, clock, sealer, grantType: options.grantType ?? (async () => 'once') })
    const breakers = createBreakers({ db, clock, log, accounts })
    const words = createWordLists({ db, clock })
    const messages = createMessages({
      ...(options.guarded === true && { breakers, words }),
      db,
      clock,
      log,
      sealer,
      random: () => 0.5,
      accounts,
      people,
      credentials,
      senders: {
        send: through.send ?? said,
        deliver: async () => answer(0)
      },
      tokens: {
        current: async () => {
          ledger.tokenAsked += 1
          if (ledger.noToken !== null) throw ledger.noToken
          return { token: 't', gen: 1, expiresAt: new Date('2190-01-01') }
        },
        refused: async () => ({ token: 't', gen: 2, expiresAt: new Date('2190-01-01') }),
        worked: () => {},
        refresh: async () => ({ token: 't', gen: 2, expiresAt: new Date('2190-01-01') }),
        forget: async () => {}
      },
      alerts,
      webhooks: through.webhooks ?? webhooks,
      publicUrl: 'https://hongyan.test'
    })
    if (options.guarded === true) breakers.onChange(messages.letTry)
    return { accounts, people, credentials, messages, settings, webhooks, alerts, breakers, words }
  }
  const first = rooms()
  await first.accounts.ready()
  await first.people.ready()
  await first.credentials.ready()
  await first.messages.ready()
  await first.breakers.ready()
  t.teardown(async () => {
    await outside.close()
    await shared.dropDatabase()
    await shared.close()
  })

  const account = await first.accounts.create({
    kind: 'miniprogram',
    appId: 'wx00000000000000a1',
    secret: 'secret-secret',
    name: 'shop',
    mode: 'live',
    limits: { perSecond: 2000 }
  })
  const service = await first.accounts.create({
    kind: 'service',
    appId: 'wx00000000000000b1',
    secret: 'secret-secret',
    name: 'brand',
    mode: 'live',
    limits: { perSecond: 2000 },
    serviceWindow: { bulk: false, transactional: false }
  })

  let items = 0
  const ledger = {
    ...first,
    db: shared,
    rooms,
    clock,
    sealer,
    sent,
    /** What is thrown in place of a token, and how often one was asked for. */
    noToken: null as Error | null,
    tokenAsked: 0,
    account: account as Account,
    service: service as Account,
    restart(): void {
      Object.assign(ledger, rooms())
    },
    /** What WeChat answers from now on. */
    wechat(next: typeof script) {
      script = next
    },
    async recipient(name: string, of: Account = account): Promise<Recipient> {
      const made = await ledger.people.recipient(of.id, `o${name}`)
      if (of.kind === 'service') await ledger.people.follow(made.id, true, clock.now())
      return made
    },
    async form(recipientId: string, value = `form-${items++}`, caughtAt = clock.now()): Promise<ItemVerdict[]> {
      return ledger.credentials.keep(ledger.account, [
        { id: `i${items++}`, recipientId, source: 'form', value, caughtAt }
      ])
    },
    async payment(recipientId: string, value = `wxpay${items++}`): Promise<ItemVerdict[]> {
      const verdicts = await ledger.credentials.keep(ledger.account, [
        { id: `i${items++}`, recipientId, source: 'payment', value, result: 'ok', caughtAt: clock.now() }
      ])
      clock.advance(11_000)
      return verdicts
    },
    async grant(recipientId: string, templateId = 'T'): Promise<ItemVerdict[]> {
      return ledger.credentials.keep(ledger.account, [
        { id: `i${items++}`, recipientId, source: 'grant', templateId, result: 'accept', caughtAt: clock.now() }
      ])
    },
    input(recipient: { id: string; personId: string }, more: Partial<PlanInput> = {}): PlanInput {
      const of = more.accountId === ledger.service.id ? ledger.service : ledger.account
      return {
        id: `m${items++}`,
        accountId: of.id,
        recipientId: recipient.id,
        personId: recipient.personId,
        runId: null,
        campaignId: null,
        lane: 'transactional',
        channel: of.kind === 'service' ? 'service' : 'legacy',
        templateId: 'T',
        data: { keyword1: { value: 'x' } },
        open: null,
        dueAt: clock.now(),
        notAfter: new Date(clock.now().getTime() + 86_400_000),
        waitForCredential: false,
        ...more
      }
    },
    async plan(recipient: { id: string; personId: string }, more: Partial<PlanInput> = {}): Promise<string> {
      const input = ledger.input(recipient, more)
      await ledger.messages.plan([input])
      return input.id
    },
    row: (id: string): Promise<MessageRow> => ledger.messages.get(id),
    credentialsOf: (recipientId: string): Promise<CredentialRow[]> =>
      ledger.credentials.rows.find({ recipientId }).sort({ expiresAt: 1, createdAt: 1 }).toArray(),
    /** Sends and settles what is due now. */
    settle: (): Promise<void> => ledger.messages.settleAll()
  }
  return ledger
}
export type Ledger = Awaited<ReturnType<typeof buildLedger>>

/** K of docs/ledger.md, as far as it can be seen from the rows alone: call when idle. @returns what is broken */
export async function brokenInvariants(ledger: Pick<Ledger, 'messages' | 'credentials'>): Promise<string[]> {
  const broken: string[] = []
  const messages = await ledger.messages.rows.find({}).toArray()
  const credentials = await ledger.credentials.rows.find({}).toArray()
  const byId = new Map(credentials.map((row) => [row._id, row]))
  for (const row of messages) {
    const open = ['held', 'sending'].includes(row.state) || (row.state === 'unknown' && !row.closed)
    if (open && row.hold?.cred != null) {
      const credential = byId.get(row.hold.cred)
      const listed = credential === undefined || credential.unlimited || credential.holds.includes(row.hold.h)
      if (!listed && row.hold.settled !== true) broken.push(`1: ${row._id} names ${row.hold.h}, which is not listed`)
    }
  }
  const unknown = new Set(
    messages
      .filter((row) => row.state === 'unknown' || row.state === 'held' || row.state === 'sending')
      .map((row) => row.hold?.h)
  )
  const accepted = new Map<string, number>()
  for (const row of messages) {
    if (['accepted', 'delivered'].includes(row.state) && row.hold?.cred != null)
      accepted.set(row.hold.cred, (accepted.get(row.hold.cred) ?? 0) + 1)
  }
  for (const row of credentials) {
    for (const h of row.holds) if (!unknown.has(h)) broken.push(`2: ${row._id} is held by ${h}, whom nobody knows`)
    if (row.unlimited) continue
    if ((accepted.get(row._id) ?? 0) > row.sends)
      broken.push(`1: ${row._id} accepted ${accepted.get(row._id)} of ${row.sends}`)
    if (row.held !== row.holds.length) broken.push(`${row._id}: held ${row.held}, holds ${row.holds.length}`)
    if (row.state === 'live' && row.sendsLeft + row.held + row.spent !== row.sends) {
      broken.push(`${row._id}: ${row.sendsLeft} left + ${row.held} held + ${row.spent} spent ≠ ${row.sends}`)
    }
  }
  // 6: counters equal rows
  const counted = new Map<string, number>()
  const add = (name: string, n: number) => counted.set(name, (counted.get(name) ?? 0) + n)
  for (const row of await ledger.messages.counters.find({}).toArray()) {
    add(`${row.runId}|opened`, row.opened ?? 0)
    for (const [name, n] of Object.entries(row.n)) add(`${row.runId}|${name}`, n)
  }
  const { classOf } = await import('../../server/messages/runs.js')
  for (const row of messages) {
    if (row.test) continue // tests are counted nowhere
    add(`${row.runId}|${classOf(row)}`, -1)
    if (row.openedAt !== undefined) add(`${row.runId}|opened`, -1)
  }
  for (const [name, n] of counted) if (n !== 0) broken.push(`6: ${name} is off by ${n}`)
  return broken
}
