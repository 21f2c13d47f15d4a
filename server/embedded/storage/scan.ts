import { PAUSE } from '../aggregate/pipeline.js'
import type { CollectionEntry } from './catalog.js'
import type { Env } from './env.js'
import type { IndexPlan, Plan, Span } from './planner.js'
import { holderOf, prefixKey, recordKey, recordOfKey, recordOfValue, shapeOf } from './records.js'

/** A candidate: a record and its bytes. */
export type Found = { record: number; raw: Buffer }

/** What a command looked at, for `explain`. */
export type Examined = { keys: number; documents: number }

/** How long a scan holds the thread before it offers a pause. */
const SLICE_MS = 5
const FIRST_CHUNK = 8
const LARGEST_CHUNK = 512
const CHUNK_BYTES = 1024 * 1024
/** Some milliseconds' worth of counting. */
const COUNTED_AT_ONCE = 50_000
/** So many spans are walked together, and an entry more than so few off the next one is sought. */
const MANY_SPANS = 8
const FEW_BETWEEN = 4

/** What is made of a candidate; undefined: it is none. The bytes are lmdb's, and gone with the return (see `Borrowed`). */
export type Make<T> = (record: number, raw: Buffer, size: number) => T | undefined

/**
 * What `make` makes of the candidates of a plan, each at most once. No read transaction outlives a step: entries are taken in
 * chunks and each chunk seeks anew, so a document whose key moves meanwhile may be missed. With `pauses`, PAUSE is given now
 * and then.
 */
export function* runPlan<T>(
  env: Env,
  entry: CollectionEntry,
  plan: Plan,
  examined: Examined,
  pauses: boolean,
  make: Make<T>
): Generator<T | typeof PAUSE> {
  const watch = createWatch(pauses)
  if (plan.kind === 'scan') {
    yield* scanRecords(env, entry, examined, watch, plan.reverse, make)
    return
  }
  const seen = plan.kind === 'union' || plan.index.multikey || shapeOf(plan.index).wildcard ? new Set<number>() : null
  for (const branch of plan.kind === 'union' ? plan.branches : [plan]) {
    for (const record of walkIndex(env, branch, examined, watch)) {
      if (record === PAUSE) {
        yield PAUSE
        continue
      }
      if (seen) {
        if (seen.has(record)) continue
        seen.add(record)
      }
      const found = env.walk.get(recordKey(entry.id, record))
      if (found === undefined) continue // removed since its chunk was read
      examined.documents++
      const made = make(record, found.raw, found.size)
      if (made !== undefined) yield made
    }
  }
}

/** The record numbers of an index plan in key order; a record may come more than once from a multikey index. */
export function* walkIndex(
  env: Env,
  plan: IndexPlan,
  examined: Examined,
  watch: Watch = createWatch(false)
): Generator<number | typeof PAUSE> {
  const { unique } = plan.index
  if (!unique && !plan.reverse && plan.spans.length >= MANY_SPANS)
    return yield* walkSpans(env, plan.spans, examined, watch)
  const spans = plan.reverse ? [...plan.spans].reverse() : plan.spans
  let chunk = FIRST_CHUNK
  for (const span of spans) {
    if (span.point) {
      examined.keys++
      const holder = holderOf(env, span.point)
      if (holder !== null) yield holder
      if (watch.due()) yield* watch.pause(env)
      continue
    }
    let last: Buffer | null = null
    for (;;) {
      const range = rangeOf(span, last, plan.reverse, chunk)
      const records: number[] = []
      let key: Buffer | null = null
      if (unique) {
        for (const item of env.idx.getRange(range)) {
          key = item.key as Buffer
          records.push(recordOfValue(item.value))
        }
      } else {
        for (key of env.idx.getKeys(range) as Iterable<Buffer>) records.push(recordOfKey(key))
      }
      for (const record of records) {
        examined.keys++ // one by one: whoever has enough goes no further
        yield record
      }
      if (records.length < chunk || key === null) break
      last = key
      if (chunk < LARGEST_CHUNK) chunk *= 4
      if (watch.due()) yield* watch.pause(env)
    }
    if (watch.due()) yield* watch.pause(env)
  }
}

/**
 * The same for many spans, which are in order: the cursor goes on from one span to the next as long as few entries lie
 * between them, since finding a place in the index costs as much as reading a dozen entries.
 */
function* walkSpans(env: Env, spans: Span[], examined: Examined, watch: Watch): Generator<number | typeof PAUSE> {
  const end = spans.at(-1)!.high
  let span = 0
  let start: Buffer = spans[0].low
  let after = false
  let chunk = FIRST_CHUNK
  for (;;) {
    const keys = [...(env.idx.getKeys({ start, end, exclusiveStart: after, limit: chunk }) as Iterable<Buffer>)]
    let between = 0
    for (const key of keys) {
      while (span < spans.length && Buffer.compare(key, spans[span].high) >= 0) span++
      if (span === spans.length) return
      if (Buffer.compare(key, spans[span].low) < 0) {
        if (++between >= FEW_BETWEEN) break
        continue
      }
      between = 0
      examined.keys++
      yield recordOfKey(key)
    }
    if (between >= FEW_BETWEEN) {
      start = spans[span].low
      after = false
      chunk = FIRST_CHUNK
    } else {
      if (keys.length < chunk) return
      start = keys.at(-1)!
      after = true
      if (chunk < LARGEST_CHUNK) chunk *= 2
    }
    if (watch.due()) yield* watch.pause(env)
  }
}

/** Whether an entry is left in the spans behind `limit` of them: how many there are, at most `limit`. */
export function* countEntries(env: Env, plan: IndexPlan, examined: Examined): Generator<number | typeof PAUSE> {
  const watch = createWatch(true)
  for (const span of plan.spans) {
    if (span.point) {
      if (env.idx.get(span.point) !== undefined) yield 1
      examined.keys++
      continue
    }
    let start = span.low
    for (;;) {
      // lmdb passes over entries much faster than it hands them out.
      const stretch = { start, end: span.high, offset: COUNTED_AT_ONCE, limit: 1 }
      const [next] = [...(env.idx.getKeys(stretch) as Iterable<Buffer>)]
      const counted = next ? COUNTED_AT_ONCE : env.idx.getKeysCount({ start, end: span.high })
      examined.keys += counted
      yield counted
      if (!next) break
      start = next
      if (watch.due()) yield* watch.pause(env)
    }
  }
}

function rangeOf(span: Span, last: Buffer | null, reverse: boolean, limit: number) {
  if (!reverse) return { start: last ?? span.low, end: span.high, exclusiveStart: last !== null, limit }
  return { start: last ?? span.high, end: span.low, exclusiveStart: true, inclusiveEnd: true, reverse: true, limit }
}

function* scanRecords<T>(
  env: Env,
  entry: CollectionEntry,
  examined: Examined,
  watch: Watch,
  reverse: boolean,
  make: Make<T>
): Generator<T | typeof PAUSE> {
  const span: Span = { low: prefixKey(entry.id), high: prefixKey(entry.id + 1), point: null }
  let last: Buffer | null = null
  let chunk = FIRST_CHUNK
  for (;;) {
    const found: (T | Broken)[] = []
    const places: number[] = []
    const before = examined.documents
    let bytes = 0
    let count = 0
    let record = 0
    for (const { key, value } of env.walk.getRange(rangeOf(span, last, reverse, chunk))) {
      record = key as unknown as number // what RECORD_KEYS reads
      count++
      bytes += value.size
      const made = tryToMake(make, record, value.raw, value.size)
      if (made === undefined) continue
      found.push(made)
      places.push(count)
      if (made instanceof Broken) break // nobody gets behind it
    }
    for (let i = 0; i < found.length; i++) {
      const one = found[i]
      examined.documents = before + places[i]
      if (one instanceof Broken) throw one.error
      yield one
    }
    examined.documents = before + count
    if (count < chunk) return
    last = recordKey(entry.id, record)
    chunk = Math.max(1, Math.min(LARGEST_CHUNK, chunk * 4, Math.floor((CHUNK_BYTES * count) / bytes)))
    if (watch.due()) yield* watch.pause(env)
  }
}

/** A document that could not be judged. It only matters if the scan gets there: others before it may be enough. */
class Broken {
  constructor(readonly error: unknown) {}
}

function tryToMake<T>(make: Make<T>, record: number, raw: Buffer, size: number): T | Broken | undefined {
  try {
    return make(record, raw, size)
  } catch (error) {
    return new Broken(error)
  }
}

type Watch = ReturnType<typeof createWatch>

/** Tells when a walk has held the thread long enough; without `pauses` it never has. */
export function createWatch(pauses: boolean) {
  let until = performance.now() + SLICE_MS
  return {
    due: () => pauses && performance.now() > until,
    *pause(env: Env): Generator<typeof PAUSE> {
      yield PAUSE
      env.refresh()
      until = performance.now() + SLICE_MS
    }
  }
}
