import { MongoClient, type Db } from 'mongodb'
import type { CredentialRow } from '../../server/credentials/model.js'
import type { MessageRow } from '../../server/messages/model.js'
import { loadKeys } from '../../server/platform/keys.js'
import { createSealer } from '../../server/platform/sealing.js'
import type { Client } from '../client.js'
import type { DemoAccount } from '../ledgers.js'
import { masked, type OurCredential, type OurMessage, type SandboxCredential, type SandboxRow } from '../verify.js'

/** A message as the store has it, with all that is hidden from REST. */
export type BookedMessage = OurMessage & {
  channel: MessageRow['channel']
  source: string | null
  lease: string | null
  todo: boolean
  attempts: number
  /** The last ten answers, oldest first. */
  log: { kind: string; code: number | null; note: string | null }[]
}

/** Both sides' books at one moment. */
export type Books = {
  messages: BookedMessage[]
  credentials: OurCredential[]
  sandboxRows: SandboxRow[]
  sandboxCredentials: SandboxCredential[]
}

export type Reader = {
  /** What still moves: messages that are not final, consequences not drawn, sends held for no open question. */
  moving(): Promise<{ open: number; todo: number; held: number }>
  books(): Promise<Books>
}

const PATIENCE_MS = 30_000

/** Reads the store of an installation itself: nothing a server remembers can hide what is written there. */
export async function createReader(
  { dir, storeUri, sandbox }: { dir: string; storeUri: string; sandbox: Client },
  accounts: readonly DemoAccount[]
): Promise<Reader> {
  const sealer = createSealer((await loadKeys(dir)).keyring)
  const appidOf = new Map(accounts.map(({ id, appId }) => [id, appId]))

  /** A connection for each look: the store it was made to may be dead by the next. */
  async function look<T>(read: (db: Db) => Promise<T>): Promise<T> {
    const client = new MongoClient(storeUri, { maxPoolSize: 4, serverSelectionTimeoutMS: PATIENCE_MS })
    try {
      return await read(client.db())
    } finally {
      await client.close()
    }
  }
  const tables = (db: Db) => ({
    messages: db.collection<MessageRow>('messages'),
    credentials: db.collection<CredentialRow>('credentials'),
    recipients: db.collection<{ _id: string; sealed: string | null }>('recipients')
  })

  return {
    moving: () =>
      look(async (db) => {
        const { messages, credentials } = tables(db)
        const [open, todo, unknown, holding] = await Promise.all([
          messages.countDocuments({ state: { $in: ['planned', 'held', 'sending'] } }),
          messages.countDocuments({ todo: true }),
          messages.find({ state: 'unknown' }, { projection: { hold: 1 } }).toArray(),
          credentials.find({ held: { $gt: 0 } }, { projection: { holds: 1 } }).toArray()
        ])
        const waiting = new Set(unknown.map(({ hold }) => hold?.h))
        return { open, todo, held: holding.flatMap(({ holds }) => holds).filter((h) => !waiting.has(h)).length }
      }),

    books: () =>
      look(async (db) => {
        const { messages, credentials, recipients } = tables(db)
        const openids = new Map<string, string>()
        for await (const { _id, sealed } of recipients.find())
          if (sealed !== null) openids.set(_id, sealer.open(sealed))
        const openIdOf = (recipientId: string | null) =>
          recipientId === null ? null : (openids.get(recipientId) ?? null)
        const books: Books = { messages: [], credentials: [], sandboxRows: [], sandboxCredentials: [] }
        for await (const row of messages.find()) {
          const { _id: id, campaignId, state, reason, code, by, channel, hold, lease, todo, attempt, log } = row
          books.messages.push({
            id,
            appid: appidOf.get(row.accountId) ?? row.accountId,
            openid: openIdOf(row.recipientId),
            campaignId,
            state,
            reason,
            code,
            by,
            channel,
            source: hold?.source ?? null,
            credentialId: state === 'unknown' ? (hold?.cred ?? null) : null,
            lease,
            todo,
            attempts: attempt,
            log: log.map(({ kind, code: said, note }) => ({ kind, code: said, note }))
          })
        }
        for await (const row of credentials.find()) {
          const { _id: id, source, templateId, state, sendsLeft, held, unlimited, sealed } = row
          books.credentials.push({
            id,
            appid: appidOf.get(row.accountId) ?? row.accountId,
            openid: openIdOf(row.recipientId),
            source,
            templateId,
            value: sealed === null ? '' : masked(sealer.open(sealed)),
            state,
            sendsLeft,
            held,
            unlimited
          })
        }
        books.sandboxRows = (await sandbox.get<{ rows: SandboxRow[] }>('/sandbox/ledger?limit=1000000')).rows
        books.sandboxCredentials = await sandbox.get<SandboxCredential[]>('/sandbox/credentials')
        return books
      })
  }
}
