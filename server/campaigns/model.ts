import { Schema, type Connection } from 'mongoose'
import type { Shape } from '../templates/content.js'
import { CampaignState, type CampaignView } from '../../shared/campaign.js'
import type { Open } from '../../shared/template.js'
import type { Trigger } from '../../shared/trigger.js'

type Body = Omit<CampaignView, 'id' | 'open' | 'audienceId' | 'trigger'>

/** A change of state, as it is written beside the state itself. */
export type CampaignMove = {
  rev: number
  from: CampaignState
  to: CampaignState
  reason: string | null
  at: Date
}

/** A campaign as stored: what the operator set, how far it is, and when something has to happen. */
export type CampaignRow = Body & {
  _id: string
  audienceId: string | null
  trigger: Trigger
  open: Open | null
  /** What the template looked like when it was last found fit; runs are rendered by it. */
  template: Shape | null
  /** When the next run starts; null: none to come. */
  nextAt: Date | null
  /** The run of a scheduled campaign once it has been opened. */
  runId: string | null
  activatedAt: Date | null
  rev: number
  /** Changes of state nobody has been told of yet. */
  moves?: CampaignMove[]
}

/** What the operator set; the rest of a row is how far the campaign is. */
export type Settings = Omit<
  CampaignRow,
  | '_id'
  | 'state'
  | 'stateReason'
  | 'template'
  | 'nextAt'
  | 'runId'
  | 'activatedAt'
  | 'rev'
  | 'moves'
  | 'createdAt'
  | 'updatedAt'
>

const schema = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    name: { type: String, required: true },
    state: { type: String, enum: CampaignState.options, required: true },
    trigger: { type: Object, required: true },
    nextAt: { type: Date, default: null },
    runId: { type: String, default: null },
    createdAt: { type: Date, required: true }
  },
  { collection: 'campaigns', autoIndex: false, versionKey: false, strict: false, minimize: false }
)
schema.index({ state: 1, nextAt: 1 }) // tick: what is due? which are online?
schema.index({ accountId: 1, createdAt: 1, _id: 1 }) // list of an account
schema.index({ 'moves.rev': 1 }) // outbox: what is to be told? (an empty list has no place in it)
schema.index({ audienceId: 1 }) // deleting an audience: who sends to it?
schema.index({ createdAt: 1, _id: 1 }) // list: newest first

export const campaignModel = (db: Connection) => db.model('Campaign', schema)
