import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { DeliveryState, WebhookEvent } from '../../shared/webhook.js'

/** A webhook as it is stored; address and secrets are sealed. */
export type WebhookRow = {
  _id: string
  name: string | null
  sealedUrl: string
  /** The newest first; the others sign along until they are over. */
  secrets: { sealed: string; until: Date | null }[]
  events: WebhookEvent[]
  accountIds: string[] | null
  enabled: boolean
  /** Why we switched it off; null: we did not. */
  disabledReason: string | null
  createdAt: Date
  updatedAt: Date
}

const webhooks = new Schema(
  { _id: { type: String, required: true }, createdAt: { type: Date, required: true } },
  { collection: 'webhooks', autoIndex: false, versionKey: false, strict: false }
)
webhooks.index({ createdAt: 1, _id: 1 }) // the list

/** How it goes with one webhook or alert target lately. */
export type HealthRow = {
  _id: string
  /** Turns in a row in which nothing arrived. */
  failures: number
  failingSince?: Date
  /** Until when it is left alone. */
  restUntil?: Date | undefined
  lastSuccessAt?: Date
}

export type Attempt = { at: Date; status: number | null; ms: number; error: string | null }

/** One piece of news for one webhook or target: kept until it arrived, or nobody wants it any more. */
export type DeliveryRow = {
  /** `event:hook`, so that filing it again changes nothing. */
  _id: string
  hookId: string
  /** The `webhook-id`. */
  eventId: string
  event: string
  accountId: string | null
  personId: string | null
  /** As it is sent, byte for byte, each time. */
  body: string
  state: DeliveryState
  due: Date
  lease: string | null
  /** Attempts begun. */
  n: number
  attempts: Attempt[]
  giveUpAt: Date
  createdAt: Date
  removeAt: Date
}

const deliveries = new Schema(
  { _id: { type: String, required: true }, removeAt: { type: Date, required: true } },
  { collection: 'webhookDeliveries', autoIndex: false, versionKey: false, strict: false }
)
deliveries.index({ hookId: 1, due: 1 }, { partialFilterExpression: { state: 'waiting' }, name: 'waiting' }) // what is due there?
deliveries.index({ giveUpAt: 1 }, { partialFilterExpression: { state: 'waiting' }, name: 'overdue' }) // whose day is over?
deliveries.index({ hookId: 1, createdAt: -1, _id: -1 }) // its log
deliveries.index({ personId: 1 }, { partialFilterExpression: { personId: { $gt: '' } } }) // erasing
deliveries.index({ removeAt: 1 }, { expireAfterSeconds: 0 })

export function webhookModels(db: Connection) {
  const hookModel = db.model('Webhook', webhooks)
  const deliveryModel = db.model('WebhookDelivery', deliveries)
  return {
    hooks: hookModel.collection as unknown as Collection<WebhookRow>,
    deliveries: deliveryModel.collection as unknown as Collection<DeliveryRow>,
    health: db.collection('webhookHealth') as unknown as Collection<HealthRow>,
    async ready(): Promise<void> {
      await Promise.all([hookModel.createIndexes(), deliveryModel.createIndexes()])
    }
  }
}
