import type { CredentialRow } from '../../server/credentials/model.js'
import type { MessageRow } from '../../server/messages/model.js'
import { lettingOf } from '../../server/messages/release.js'
import { classOf } from '../../server/messages/runs.js'
import type { Doc, Docs } from './documents.js'
import type { State } from './state.js'
import type { World } from './worlds.js'

/** The promises that are looked at, in the order they are numbered in reports. */
export const LAWS = {
  sums: 'sends = left + held + spent while a right lives; `held` is the length of `holds`',
  named: 'a right that a row names is really reserved for it',
  once: 'WeChat takes each message once (service accounts: each round)',
  true: 'accepted and delivered: WeChat has it; failed, skipped, expired: it has not',
  overspent: 'no right carried more accepted messages than it has sends',
  lease: 'a message that is through is nobody’s to work on',
  rest: 'left alone, every message ends, or is honestly unknown',
  idle: 'at rest no hold is left, no consequence, no batch',
  counters: 'counters are the rows, grouped',
  left: 'what a right has left is what WeChat has left of it; less only for messages nobody knows about',
  dead: 'no right that WeChat would still take is given up, but for messages nobody knows about',
  cap: 'nobody got more than the cap on a day',
  there: 'every message that was planned is there'
} as const
export type Law = keyof typeof LAWS
export type Broken = { law: Law; what: string }

export const rowsOf = <T extends Doc = Doc>(docs: Docs, collection: string): T[] =>
  Object.values(docs[collection] ?? {}).map(({ doc }) => doc as T)
export const messagesOf = (docs: Docs) => rowsOf<MessageRow>(docs, 'messages')
export const rightsOf = (docs: Docs) => rowsOf<CredentialRow>(docs, 'credentials')

const TOOK = ['accepted', 'delivered']
const NOT = ['failed', 'skipped', 'expired']

/** What WeChat must not take twice, as its own ledger calls it. */
const keyOf = (world: World, row: MessageRow) => (world.channel === 'service' ? `${row._id}.${row.round}` : row._id)

/** Promises broken in any state at all, also in the middle of everything. */
export function brokenNow(world: World, { docs, wechat }: State): Broken[] {
  const broken: Broken[] = []
  const say = (law: Law, what: string) => broken.push({ law, what })
  const rights = new Map(rightsOf(docs).map((right) => [right._id, right]))
  for (const right of rights.values()) {
    if (right.held !== right.holds.length) say('sums', `${right._id} held ${right.held} of ${right.holds}`)
    if (right.sendsLeft < 0) say('sums', `${right._id} has ${right.sendsLeft} left`)
    if (right.state === 'live' && !right.unlimited && right.sendsLeft + right.held + right.spent !== right.sends)
      say('sums', `${right._id}: ${right.sendsLeft} + ${right.held} + ${right.spent} of ${right.sends}`)
  }
  const taken = new Map<string, number>()
  for (const { key } of wechat.taken) taken.set(key, (taken.get(key) ?? 0) + 1)
  for (const [key, n] of taken) if (n > 1) say('once', `${key} ${n} times`)
  const carried = new Map<string, number>()
  for (const row of messagesOf(docs)) {
    const what = `${row._id} ${row.state} ${row.reason ?? ''} ${row.by ?? ''}`
    const has = taken.has(keyOf(world, row))
    if (TOOK.includes(row.state) && !has) say('true', `${what}: WeChat has it not`)
    if (NOT.includes(row.state) && row.by !== 'receipt' && has) say('true', `${what}: WeChat has it`)
    if (row.state === 'failed' && row.by === 'receipt' && !has) say('true', `${what}: WeChat never had it`)
    if ([...TOOK, ...NOT].includes(row.state) && row.lease !== null) say('lease', what)
    const right = row.hold?.cred == null ? undefined : rights.get(row.hold.cred)
    if (right === undefined || right.unlimited) continue
    if (TOOK.includes(row.state)) carried.set(right._id, (carried.get(right._id) ?? 0) + 1)
    const keeps = ['held', 'sending', 'unknown'].includes(row.state) && row.hold!.settled !== true
    if (keeps && lettingOf(row) === null && !row.closed && !right.holds.includes(row.hold!.h))
      say('named', `${what} names ${row.hold!.h}`)
  }
  for (const [id, n] of carried) if (n > rights.get(id)!.sends) say('overspent', `${id} carried ${n}`)
  return broken
}

/** Promises broken once nothing is under way and nothing will be. */
export function brokenAtRest(world: World, state: State): Broken[] {
  const { docs, wechat } = state
  const broken = brokenNow(world, state)
  const say = (law: Law, what: string) => broken.push({ law, what })
  const rows = messagesOf(docs)
  for (const { id } of world.messages) if (!rows.some((row) => row._id === id)) say('there', id)
  for (const row of rows) {
    const what = `${row._id} ${row.state} ${row.reason ?? ''} ${row.by ?? ''}`
    if (!['unknown', ...TOOK, ...NOT].includes(row.state)) say('rest', what)
    if (row.todo) say('idle', `${what} is todo`)
    if (row.hold !== null && row.hold.settled !== true && row.state !== 'unknown')
      say('idle', `${what}: hold unsettled`)
  }
  for (const tally of rowsOf(docs, 'tallies')) if (tally.batch !== null) say('idle', `batch ${tally.N}`)
  const counted = new Map<string, number>()
  const add = (name: string, n: number) => counted.set(name, (counted.get(name) ?? 0) + n)
  for (const counter of rowsOf(docs, 'counters'))
    for (const [name, n] of Object.entries(counter.n as Record<string, number>)) add(name, n)
  for (const row of rows) add(classOf(row), -1)
  for (const [name, n] of counted) if (n !== 0) say('counters', `${name} is off by ${n}`)

  for (const right of rightsOf(docs)) {
    if (right.holds.length > 0) say('idle', `${right._id} is held by ${right.holds}`)
    const { to, source, value } = world.rights.find(
      (each) => right.hash.endsWith(`|${each.value}|`) || right.hash.endsWith(`|${each.value}`)
    )!
    const has = wechat.left[source === 'grant' ? `${to} T` : value] ?? 0
    // a message nobody knows about counts as sent, whether it was or not
    const unsure = rows.filter(
      ({ state: its, by, hold }) => hold?.cred === right._id && (its === 'unknown' || by === 'operator')
    ).length
    const grants = source === 'grant' && world.rights.filter((each) => each.source === 'grant').length > 1
    if (grants || world.others === true) continue
    if (right.state === 'live') {
      if (right.sendsLeft > has + unsure + wechat.wasted || (unsure + wechat.wasted === 0 && right.sendsLeft > has))
        say('left', `${right._id} has ${right.sendsLeft} left, WeChat ${has}`)
      if (right.sendsLeft + unsure < has) say('left', `${right._id} has ${right.sendsLeft} left, WeChat ${has}`)
    } else if (has > unsure) say('dead', `${right._id} is ${right.why}, WeChat has ${has}`)
  }
  if (world.cap !== undefined) {
    const to = new Map(world.messages.map((message) => [message.id, message.to]))
    const got = new Map<string, number>()
    for (const { m, at } of wechat.taken) {
      const day = `${to.get(m)} ${Math.floor((at + 8 * 3_600_000) / 86_400_000)}`
      got.set(day, (got.get(day) ?? 0) + 1)
    }
    for (const [day, n] of got) if (n > world.cap) say('cap', `${day}: ${n}`)
  }
  return broken
}
