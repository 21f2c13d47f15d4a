import { countedAs, isItem, type Item } from './item.js'
import type { PhoneApi } from '../types.js'

/** Everything the outbox remembers, written as one value: items and counts never disagree, whenever a phone dies. */
export interface Box {
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

export const count = (box: Box, what: string, by = 1): void => {
  box.counts[what] = (box.counts[what] || 0) + by
}

/** One line the counts, then a line an item: a damaged line costs that line only. */
export function write(box: Box): string {
  const head = { v: 1, counts: box.counts, day: box.day, today: box.today, lastFormAt: box.lastFormAt }
  return [head as object]
    .concat(box.items)
    .map((line) => JSON.stringify(line))
    .join('\n')
}

/** Takes back what parses; unreadable lines and repeated ids are left out, the former counted. */
export function parse(text: unknown): Box {
  const box: Box = { items: [], counts: {}, day: 0, today: 0, lastFormAt: 0 }
  const seen: Record<string, true> = {}
  const lines = typeof text === 'string' ? text.split('\n') : text === undefined || text === null ? [] : [undefined]
  lines.forEach((line, at) => {
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
      box.day = Number(value.day) || 0
      box.today = Number(value.today) || 0
      box.lastFormAt = Number(value.lastFormAt) || 0
    } else if (!isItem(value)) count(box, 'corrupt')
    else if (!seen[value.id]) {
      seen[value.id] = true
      box.items.push(value)
    }
  })
  return box
}

/** Makes room: the oldest goes first, but payments last, since one is worth three sends. Each is counted as dropped. */
export function fit(box: Box, size: number): Item[] {
  const dropped: Item[] = []
  while (box.items.length > size || (box.items.length > 1 && write(box).length > MAX_CHARS)) {
    const oldest = box.items.findIndex((item) => countedAs(item) !== 'payment')
    const item = box.items.splice(Math.max(0, oldest), 1)[0]
    count(box, `dropped.${countedAs(item)}`)
    dropped.push(item)
  }
  return dropped
}

/**
 * The box in wx storage. Storage is read before every change, since another copy of the library may have written;
 * between reading and writing nothing else runs, because both are synchronous on the one thread of a mini-program.
 * What cannot be written is kept in memory and written with the next change; a host's clearStorage is healed likewise.
 */
export function createBox(api: () => PhoneApi) {
  let known: Box | null = null
  let text: unknown
  let unsaved = false
  let gone: Record<string, true> = {}
  /** What was counted and could not be written. */
  let owed: Record<string, number> = {}

  function read(): Box {
    let raw: unknown
    try {
      raw = api().getStorageSync!(KEY)
    } catch {
      raw = ''
    }
    // wx answers '' for a key that is not there
    if ((raw === '' || raw === undefined || raw === null) && known) return known
    if (known && raw === text && !unsaved) return known
    const box = parse(raw === '' ? undefined : raw)
    if (known && unsaved) {
      const here: Record<string, true> = {}
      box.items = box.items.filter((item) => !gone[item.id])
      for (const item of box.items) here[item.id] = true
      box.items = box.items.concat(known.items.filter((item) => !here[item.id]))
      for (const name of Object.keys(owed)) count(box, name, owed[name])
    }
    known = box
    text = raw
    return box
  }

  return {
    /** What is in it now; not to be changed. */
    read,
    /** One change, read and written in one breath. */
    change(run: (box: Box) => void): void {
      const box = read()
      const before = box.items.map((item) => item.id)
      const counted = Object.assign({}, box.counts)
      run(box)
      known = box
      const now = write(box)
      try {
        api().setStorageSync!(KEY, now)
        text = now
        unsaved = false
        gone = {}
        owed = {}
      } catch {
        unsaved = true
        for (const name of Object.keys(box.counts)) {
          owed[name] = (owed[name] || 0) + box.counts[name] - (counted[name] || 0)
        }
        const left: Record<string, true> = {}
        for (const item of box.items) left[item.id] = true
        for (const id of before) if (!left[id]) gone[id] = true
      }
    }
  }
}
export type BoxStore = ReturnType<typeof createBox>
