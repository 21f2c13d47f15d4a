import { createHash } from 'node:crypto'
import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import { DAY_MS } from '../../shared/limits.js'
import type { Account } from '../accounts/accounts.js'
import type { Messages } from '../messages/messages.js'
import type { Clock } from '../platform/clock.js'
import type { Fault } from '../platform/errors.js'
import type { CampaignRow } from './model.js'

/** What was tried out of one revision of a campaign. */
export type LadderRow = {
  /** campaign:revision */
  _id: string
  /** Its test messages, the newest last. */
  testIds: string[]
  /** When a dry run of it was last through. */
  dryRunAt: Date | null
  /** An owner's word that it may go online in spite of these problems; without codes (older rows): untried. */
  override: { by: string; reason: string; at: Date; codes?: string[] } | null
  removeAt: Date
}

/** Who takes a campaign's problems upon them, and why. */
export type Override = { by: string; reason: string }

export type Ladder = ReturnType<typeof createLadder>

/** As long as messages are kept: nobody could say any more what became of an older test. */
const KEPT_MS = 180 * DAY_MS
const TESTS_KEPT = 200

const schema = new Schema<LadderRow>(
  {
    _id: { type: String, required: true },
    testIds: { type: [String], default: [] },
    dryRunAt: { type: Date, default: null },
    override: { type: Schema.Types.Mixed, default: null },
    removeAt: { type: Date, required: true }
  },
  { collection: 'campaignLadder', autoIndex: false, versionKey: false }
)
schema.index({ removeAt: 1 }, { expireAfterSeconds: 0 })

/** The settings that decide what goes out to whom and when; the name does not. */
const DECIDES = [
  'accountId',
  'audienceId',
  'templateId',
  'lane',
  'trigger',
  'content',
  'open',
  'scene',
  'emphasis',
  'tooLong',
  'missingVariable',
  'lifeMs',
  'waitForCredential',
  'topic',
  'caps',
  'missed'
] as const satisfies (keyof CampaignRow)[]

/** A name for what a campaign sends: the same settings have the same, wherever the campaign has been meanwhile. */
export function revisionOf(campaign: Pick<CampaignRow, (typeof DECIDES)[number]>): string {
  const said = DECIDES.map((name) => [name, campaign[name] ?? null])
  return createHash('sha256').update(JSON.stringify(said, inOrder)).digest('base64url').slice(0, 22)
}

/** Which rungs a campaign has taken: test sends that WeChat took, and a dry run that came through. */
export function createLadder({
  db,
  clock,
  messages
}: {
  db: Connection
  clock: Clock
  messages: Pick<Messages, 'rows'>
}) {
  const model = db.model<LadderRow>('CampaignLadder', schema)
  const rows = model.collection as unknown as Collection<LadderRow>

  const idOf = (campaign: CampaignRow) => `${campaign._id}:${revisionOf(campaign)}`

  async function note(campaign: CampaignRow, update: object): Promise<void> {
    const removeAt = new Date(clock.now().getTime() + KEPT_MS)
    await rows.updateOne({ _id: idOf(campaign) }, { ...update, $max: { removeAt } }, { upsert: true })
  }

  /** Codes of the problems an owner took upon them for this revision. */
  async function waived(campaign: CampaignRow): Promise<Set<string>> {
    return new Set((await rows.findOne({ _id: idOf(campaign) }))?.override?.codes)
  }

  return {
    ready: async (): Promise<void> => {
      await model.createIndexes()
    },

    /** Tests of this revision were planned. */
    tested: (campaign: CampaignRow, messageIds: string[]) =>
      note(campaign, { $push: { testIds: { $each: messageIds, $slice: -TESTS_KEPT } } }),

    /** A dry run of this revision came through. */
    ran: (campaign: CampaignRow) => note(campaign, { $set: { dryRunAt: clock.now() } }),

    /** An owner takes these problems of this revision upon them, beside those taken before. */
    async override(campaign: CampaignRow, word: Override, codes: string[]): Promise<void> {
      const all = [...new Set([...(await waived(campaign)), ...codes])]
      await note(campaign, { $set: { override: { ...word, at: clock.now(), codes: all } } })
    },

    waived,

    /** The rungs this revision still lacks, on an account that demands them. */
    async missing(campaign: CampaignRow, account: Pick<Account, 'testLadder'>): Promise<Fault[]> {
      if (account.testLadder !== 'required') return []
      const row = await rows.findOne({ _id: idOf(campaign) })
      const faults: Fault[] = []
      const testIds = row?.testIds ?? []
      const taken = { _id: { $in: testIds }, state: { $in: ['accepted' as const, 'delivered' as const] } }
      if (testIds.length === 0 || (await messages.rows.findOne(taken, { projection: { _id: 1 } })) === null) {
        faults.push({
          pointer: '',
          code: 'ladder.test-missing',
          message: 'this account wants a test send of the campaign as it is now that WeChat accepted: POST …/test-sends'
        })
      }
      if (row?.dryRunAt == null) {
        faults.push({
          pointer: '',
          code: 'ladder.dry-run-missing',
          message: 'this account wants a finished dry run of the campaign as it is now: POST …/dry-run'
        })
      }
      const { override } = row ?? {}
      return override == null ? faults : faults.filter(({ code }) => override.codes?.includes(code) === false)
    }
  }
}

/** Objects as lists of their entries by name, so that the order they were written in does not matter. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
