import type { SendInput } from '../../server/senders/sender.js'
import type { WechatResult } from '../../server/wechat/client.js'
import type { Docs, Told } from './documents.js'
import type { Wechat } from './wechat.js'

/** A program under way: where it is, how much of its first command is written, and what WeChat has answered it. */
export type Process = {
  role: string
  point: number
  /** Writes of the command that is being carried out which are done, and what they were told. */
  place: number
  soFar: Exclude<Told, { found: unknown }>
  /** Answers that have arrived and were not looked at yet, by call. */
  arrived: { at: number; result: WechatResult }[]
}

/** A request nobody waits for any more; `ticks`: how often time went on since. */
export type Orphan = { input: SendInput; ticks: number }

/** Everything there is at one moment. Never changed in place. */
export type State = {
  docs: Docs
  now: number
  processes: Process[]
  wechat: Wechat
  orphans: Orphan[]
  /** Leases given so far: each turn's is a fresh one. */
  turns: number
  left: { crashes: number; stalls: number; faults: number; ticks: number; leaps: number }
  /** What people did, and which receipts were pushed: each once. */
  acted: string[]
}

const collections = new WeakMap<object, string>()

function textOf(docs: Docs): string {
  let text = ''
  for (const name of Object.keys(docs).sort()) {
    const rows = docs[name]!
    let known = collections.get(rows)
    if (known === undefined) {
      known = Object.keys(rows)
        .sort()
        .map((id) => rows[id]!.id)
        .join(',')
      collections.set(rows, known)
    }
    text += `${name}:${known};`
  }
  return text
}

const wechats = new WeakMap<Wechat, string>()
function wechatText(wechat: Wechat): string {
  let known = wechats.get(wechat)
  if (known === undefined) wechats.set(wechat, (known = JSON.stringify(wechat)))
  return known
}

const processText = ({ role, point, place, soFar, arrived }: Process): string =>
  `${role}@${point}+${place}${place > 0 ? JSON.stringify(soFar) : ''}${arrived.length > 0 ? JSON.stringify(arrived) : ''}`

/** What would be left of a state if everybody died. States with the same remains come to rest the same way. */
export const remainsOf = ({ docs, now, wechat }: State): string => `${textOf(docs)}#${now}#${wechatText(wechat)}`

/** Two states with the same name are the same state: workers have no names of their own. */
export function nameOf(state: State): string {
  const { crashes, stalls, faults, ticks, leaps } = state.left
  return [
    textOf(state.docs),
    state.now,
    state.processes.map(processText).sort().join('|'),
    wechatText(state.wechat),
    state.orphans.length === 0 ? '' : JSON.stringify(state.orphans),
    `${crashes},${stalls},${faults},${ticks},${leaps},${state.turns}`,
    state.acted.join(',')
  ].join('#')
}
