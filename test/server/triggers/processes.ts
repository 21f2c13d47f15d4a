import type { Connection } from 'mongoose'
import type { Test } from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import type { Trigger } from '../../../shared/trigger.js'
import type { EventRow } from '../../../server/events/events.js'
import type { WaitRow } from '../../../server/triggers/model.js'
import { CONTENT, type openStore, type roomsOn, type Rooms } from '../campaigns/rooms.js'

/** Where a process dies: at its n-th write, which the store has seen or not. */
export type Death = { at: number; seen: boolean }

const WRITES = /^(insert|update|delete|bulkWrite|findOneAnd)/
const READS = /^(find|aggregate|distinct|count)/

/** One process's way to the store. From its death on nothing it asks is done or answered with anything but an error. */
export function mortal(db: Connection, death: Death) {
  let writes = 0
  let dead = false
  const die = (): never => {
    dead = true
    throw new Error('killed')
  }
  const collection = (inner: any) =>
    new Proxy(inner, {
      get(target, verb: string) {
        const value = target[verb]
        if (typeof value !== 'function') return value
        if (READS.test(verb) && !WRITES.test(verb)) {
          return (...args: unknown[]) => (dead ? die() : value.apply(target, args))
        }
        if (!WRITES.test(verb)) return value.bind(target)
        return async (...args: unknown[]) => {
          if (dead) die()
          writes += 1
          if (writes === death.at && !death.seen) die()
          const result = await value.apply(target, args)
          if (writes >= death.at) die()
          return result
        }
      }
    })
  const through = new Proxy(db, {
    get(target: any, name) {
      if (name === 'collection') return (...args: unknown[]) => collection(target.collection(...args))
      if (name === 'model') {
        return (...args: unknown[]) => {
          const model = target.model(...args)
          const wrapped = collection(model.collection)
          return new Proxy(model, { get: (inner, what) => (what === 'collection' ? wrapped : inner[what]) })
        }
      }
      const value = target[name]
      return typeof value === 'function' ? value.bind(target) : value
    }
  }) as Connection
  return { db: through, isDead: () => dead }
}

export type Process = ReturnType<typeof roomsOn>

type EventTrigger = Extract<Trigger, { kind: 'event' | 'notFollowed' }>

/** A trigger, with what schemas would fill in. */
export const onEvent = (more: Partial<Extract<Trigger, { kind: 'event' }>> = {}): EventTrigger => ({
  kind: 'event',
  event: 'a',
  reentry: 'each',
  ...more
})
export const notFollowed = (more: Partial<Extract<Trigger, { kind: 'notFollowed' }>> = {}): EventTrigger => ({
  kind: 'notFollowed',
  event: 'a',
  missing: 'b',
  withinMs: 30 * 60_000,
  reentry: 'each',
  ...more
})

/** The rooms' clocks begin at nine in the morning, in Shanghai. */
export const NINE = new Date('2026-03-02T01:00:00Z')
export const minutes = (n: number, from = NINE) => new Date(from.getTime() + n * 60_000)

/** As `minutes`, for patterns: `t.match` compares dates with texts only. */
export const told = (n: number) => minutes(n).toISOString()

/** Rooms with an account, three people of it, and a campaign online with this trigger. Times are minutes since nine. */
export async function arranged(
  store: Awaited<ReturnType<typeof openStore>>,
  t: Pick<Test, 'testdir' | 'teardown'>,
  trigger: EventTrigger,
  more: Partial<CampaignCreate> = {},
  people = 3
) {
  const rooms: Rooms = await store.rooms(t)
  const account = await rooms.account()
  const others = Array.from({ length: people - 3 }, (_, i) => ({ name: `人${i}` }))
  const crowd = await rooms.crowd(account.id, [{ name: '甲' }, { name: '乙', city: '上海' }, { name: '丙' }, ...others])
  const wanted: CampaignCreate = {
    name: '等待',
    accountId: account.id,
    templateId: 'T',
    lane: 'transactional',
    trigger,
    content: CONTENT,
    missingVariable: 'skip',
    waitForCredential: true,
    ...more
  }
  const campaign = await rooms.campaigns.create(wanted)
  await rooms.campaigns.activate(campaign._id)
  let n = 0

  /** What person 0 (or `who`) did at minute `at`, by default now. */
  const did = (
    name: string,
    properties: EventRow['properties'] = {},
    also: { at?: number; who?: number; id?: string } = {}
  ) => ({
    id: also.id ?? `${name}${n++}`,
    name,
    at: also.at === undefined ? rooms.clock.now() : minutes(also.at),
    properties,
    personId: crowd[also.who ?? 0]!.personId,
    recipientId: null
  })
  type Did = ReturnType<typeof did>
  const post = async (items: Did[], { events }: Pick<Rooms, 'events'> = rooms) => {
    await events.intake({ kind: 'key', id: 'k' }, null, items)
    await events.idle()
  }
  return {
    ...rooms,
    account,
    crowd,
    wanted,
    id: campaign._id,
    did,
    /** They are taken in now, together. */
    post,
    /** It is minute `at`; what is due then is decided. */
    async at(at: number, { triggers }: Pick<Rooms, 'triggers'> = rooms): Promise<number> {
      rooms.clock.set(minutes(at))
      return triggers.fireDue()
    },
    /** Of every wait, oldest event first: its state, why it was dropped, what stopped it. */
    async waits(): Promise<string[]> {
      const all = await rooms.triggers.waits.find({ campaignId: campaign._id }).sort({ aAt: 1, _id: 1 }).toArray()
      return all.map(said)
    }
  }
}

/** A wait in words: its state, why it was dropped, what stopped it. */
export const said = ({ state, reason, stoppedBy }: WaitRow): string =>
  [state, reason, stoppedBy === null ? null : `by ${stoppedBy.name}`].filter((word) => word !== null).join(' ')
