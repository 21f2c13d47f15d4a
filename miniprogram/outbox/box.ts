import { countedAs, isItem, type Item } from './item.js'
import type { PhoneApi } from '../types.js'

/** Everything the outbox remembers, written as one value: items and counts never disagree, whenever a phone dies. */
export interface Box {
  /** Made when the box was begun: another one tells that storage was cleared in between. */
  born: string
  items: Item[]
  /** By `<what>.<kind>`: caught, acknowledged, dropped; and corrupt. */
  counts: Record<string, number>
  /** Day number in Asia/Shanghai that `today` counts. */
  day: number
  /** Form catches kept on that day. */
  today: number
  /** When the last form catch was kept, ms. */
  lastFormAt: number
}

const KEY = 'hongyan:outbox'
/** WeChat keeps at most 1 MB a key (documentation of wx.setStorage); a Chinese character may weigh three bytes. */
const MAX_CHARS = 300_000
/** No catch of today's door is this long; one an earlier version kept must not push out hundreds. */
const MAX_ITEM_CHARS = 60_000

export const count = (box: Box, what: string, by = 1): void => {
  box.counts[what] = (box.counts[what] || 0) + by
}

/** Items are never changed, only replaced, so that each is made into text once. */
const lines = new WeakMap<Item, string>()
function lineOf(item: Item): string {
  const known = lines.get(item)
  if (known !== undefined) return known
  const line = JSON.stringify(item)
  lines.set(item, line)
  return line
}
const headOf = ({ born, counts, day, today, lastFormAt }: Box) =>
  JSON.stringify({ v: 1, born, counts, day, today, lastFormAt })

/** One line the counts, then a line an item: a damaged line costs that line only. */
export const write = (box: Box): string => [headOf(box)].concat(box.items.map(lineOf)).join('\n')

/** Takes back what parses; unreadable lines and repeated ids are left out, the former counted. */
export function parse(text: unknown): Box {
  const box: Box = { born: '', items: [], counts: {}, day: 0, today: 0, lastFormAt: 0 }
  const seen: Record<string, true> = Object.create(null)
  const found = typeof text === 'string' ? text.split('\n') : [undefined]
  found.forEach((line, at) => {
    if (line === '') return
    let value: any
    try {
      value = JSON.parse(line as string)
    } catch {
      value = undefined
    }
    if (at === 0 && value && value.v === 1) {
      for (const name of Object.keys(value.counts || {}))
        if (value.counts[name] > 0) count(box, name, value.counts[name])
      box.born = String(value.born || '')
      box.day = Number(value.day) || 0
      box.today = Number(value.today) || 0
      box.lastFormAt = Number(value.lastFormAt) || 0
    } else if (!isItem(value)) count(box, 'corrupt')
    else if (!seen[value.id]) {
      seen[value.id] = true
      lines.set(value, line as string)
      box.items.push(value)
    }
  })
  return box
}

/**
 * Makes room: what no box should hold goes first, then the oldest, payments last, since one is worth three sends. Each
 * is counted as dropped.
 */
export function fit(box: Box, size: number): Item[] {
  const dropped: Item[] = []
  let chars = headOf(box).length
  for (const item of box.items) chars += lineOf(item).length + 1
  const rank = (item: Item) => (lineOf(item).length > MAX_ITEM_CHARS ? 0 : countedAs(item) === 'payment' ? 2 : 1)
  for (let turn = 0; turn < 3; turn++) {
    let over = box.items.length - size
    if (over <= 0 && chars <= MAX_CHARS) break
    box.items = box.items.filter((item) => {
      if (rank(item) !== turn || (over <= 0 && chars <= MAX_CHARS)) return true
      over -= 1
      chars -= lineOf(item).length + 1
      count(box, `dropped.${countedAs(item)}`)
      dropped.push(item)
      return false
    })
  }
  return dropped
}

/**
 * The box in wx storage. Storage is read before every change, since another copy of the library may have written;
 * between reading and writing nothing else runs, because both are synchronous on the one thread of a mini-program.
 * What cannot be written is kept in memory and written with the next change; so is everything while storage cannot be
 * read, for nothing is ever written over what is not known. A host's clearStorage is healed from memory.
 */
export function createBox(api: () => PhoneApi, mark: string) {
  /** Storage as last read, and what was done since. */
  let known: Box | null = null
  let text: string | null = null
  let births = 0
  // What was done and is not in storage: items put in, items taken out, counted
  let fresh: Record<string, true> = Object.create(null)
  let gone: Record<string, true> = Object.create(null)
  let owed: Record<string, number> = {}
  let pending = false

  const begin = (box: Box): Box => Object.assign(box, { born: `${mark}.${++births}` })

  /** Brings `known` up to date; whether storage could be read, and so may be written. */
  function look(): boolean {
    let raw: any
    try {
      raw = api().getStorageSync!(KEY)
    } catch {
      known = known || begin(parse(''))
      return false
    }
    // wx answers '' for a key that is not there
    if (raw === undefined || raw === null) raw = ''
    if (known && raw === text) return true
    // storage that was cleared gets back all that is known here
    known = raw === '' ? begin(known || parse('')) : merge(parse(raw))
    text = raw
    return true
  }

  /** What another copy, or an earlier start, left in storage, and what was done here besides. */
  function merge(box: Box): Box {
    if (!known) return box
    const here: Record<string, true> = Object.create(null)
    box.items = box.items.filter((item) => !gone[item.id])
    for (const item of box.items) here[item.id] = true
    // The box we knew was cleared and another copy began a new one, without what that copy did not know. What it has
    // handed in meanwhile comes a second time then, and the server knows it by its id
    const lost = text !== null && box.born !== known.born
    for (const item of known.items) {
      if (here[item.id] || !(lost || fresh[item.id])) continue
      box.items.push(item)
      if (!fresh[item.id]) count(box, `caught.${countedAs(item)}`)
    }
    for (const name of Object.keys(owed)) count(box, name, owed[name])
    return box
  }

  /**
   * One change, read and written in one breath; answers the box as it is then. A `run` that answers false has changed
   * nothing.
   */
  function change(run: (box: Box) => void | false): Box {
    const readable = look()
    const box = known!
    const before = box.items
    const counted = Object.assign({}, box.counts)
    box.items = before.slice()
    if (run(box) === false) return box
    const now = write(box)
    try {
      if (!readable) throw new Error('not over what could not be read')
      api().setStorageSync!(KEY, now)
      text = now
      fresh = Object.create(null)
      gone = Object.create(null)
      owed = {}
      pending = false
    } catch {
      pending = true
      for (const name of Object.keys(box.counts)) {
        owed[name] = (owed[name] || 0) + box.counts[name] - (counted[name] || 0)
      }
      const was: Record<string, true> = Object.create(null)
      const left: Record<string, true> = Object.create(null)
      for (const item of before) was[item.id] = true
      for (const item of box.items) {
        left[item.id] = true
        if (!was[item.id]) fresh[item.id] = true
      }
      for (const item of before) if (!left[item.id]) gone[item.id] = true
    }
    return box
  }

  return {
    /** What is in it now; not to be changed. */
    read(): Box {
      look()
      return known!
    },
    change,
    /** Writes what could not be written so far, if anything. */
    save(): void {
      if (pending) change(() => undefined)
    }
  }
}
export type BoxStore = ReturnType<typeof createBox>
