import { MongoClient } from 'mongodb'
import { DATABASE } from '../server/commands/ground.js'
import { newRight } from '../server/credentials/new-right.js'
import { FAR } from '../server/messages/model.js'
import { rowOf } from '../server/messages/plan.js'
import { personIdOf } from '../server/people/recipients.js'
import { loadKeys } from '../server/platform/keys.js'
import { createSealer } from '../server/platform/sealing.js'
import { DAY_MS } from '../shared/limits.js'
import { fill, loadCrowd, openIdOf } from './crowd.js'

const CONNECTIONS = 3
export const TEMPLATE = 'BenchTemplate'.padEnd(43, '0')

/** Messages of one run, and where they lie. */
export type Wave = { accountId: string; runId: string; campaignId: string; templateId: string; count: number }

/** The store beside the worker that is measured: what is to be sent is put there, and looked at, by other hands. */
export type Load = {
  /** People the account may write to. */
  crowd(accountId: string, size: number): Promise<void>
  /** A run of its own for `count` messages, not filled yet. */
  wave(accountId: string, count: number): Wave
  /** Its messages, one to each of the first `count` people, and a form of each to send it with. */
  fill(wave: Wave): Promise<void>
  /** Is every message of the account's in its final state? */
  through(accountId: string): Promise<boolean>
  /** Has the follower nothing left of the account? */
  followed(accountId: string): Promise<boolean>
  /** How many of a run's messages were accepted. */
  accepted(runId: string): Promise<number>
  close(): Promise<void>
}

export async function openLoad(dir: string, uri: string, say: (line: string) => void): Promise<Load> {
  const client = await new MongoClient(uri, { maxPoolSize: CONNECTIONS }).connect()
  const db = client.db(DATABASE)
  const { keyring } = await loadKeys(dir)
  const sealer = createSealer(keyring)
  const messages = db.collection('messages')
  let waves = 0

  return {
    async crowd(accountId, size) {
      await (await loadCrowd(dir, { id: accountId, kind: 'miniprogram' }, size, say)).close()
    },

    wave(accountId, count) {
      waves += 1
      const [runId, campaignId] = [`run${waves}of${accountId}`, `campaign${waves}of${accountId}`]
      return { accountId, runId, campaignId, templateId: TEMPLATE, count }
    },

    async fill({ accountId, runId, campaignId, count }) {
      const now = new Date()
      const end = new Date(now.getTime() + 7 * DAY_MS)
      await fill(db.collection('credentials'), count, (i) => {
        const recipientId = sealer.hash('recipient', accountId, openIdOf(i))
        const mint = {
          recipientId,
          source: 'form' as const,
          at: now,
          key: String(i),
          hash: sealer.hash(runId, recipientId)
        }
        return {
          ...newRight(accountId, mint, 1, end, now),
          sealed: sealer.seal(`form of ${i} for ${runId}`),
          place: 'home'
        }
      })
      await fill(messages, count, (i) => {
        const recipientId = sealer.hash('recipient', accountId, openIdOf(i))
        return rowOf(
          {
            id: sealer.hash('run', runId).slice(0, 11) + recipientId,
            accountId,
            recipientId,
            personId: personIdOf(sealer, recipientId),
            runId,
            campaignId,
            lane: 'bulk',
            channel: 'legacy',
            templateId: TEMPLATE,
            data: contentOf(i),
            open: { page: 'pages/order?id=8231' },
            dueAt: now,
            notAfter: new Date(now.getTime() + DAY_MS),
            waitForCredential: false,
            told: true
          },
          now
        )
      })
    },

    through: async (accountId) =>
      (await messages.findOne({ accountId, lane: 'bulk', due: { $lt: FAR } }, { projection: { _id: 1 } })) === null,
    followed: async (accountId) =>
      (await messages.findOne({ accountId, todo: true }, { projection: { _id: 1 } })) === null,
    accepted: (runId) => messages.countDocuments({ runId, state: 'accepted' }),
    close: () => client.close()
  }
}

/** What a message says; about as much as WeChat's own examples do. */
export const contentOf = (i: number) => ({
  keyword1: { value: `D2019060801${String(i).padStart(7, '0')}` },
  keyword2: { value: '飞雁速运' },
  keyword3: { value: '上海市浦东新区世纪大道 100 号' },
  keyword4: { value: '2026-03-01 10:00' }
})
