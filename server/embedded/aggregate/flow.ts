import { memoryExceeded } from '../bson/errors.js'
import type { Filter } from '../bson/match.js'
import type { Doc } from '../bson/value.js'
import { varsOf, type Env, type Vars } from './scope.js'

/** A source may yield this now and then; every stage hands it on, and who consumes the result lets the event loop turn. */
export const PAUSE: unique symbol = Symbol('pause')
export type Pause = typeof PAUSE

/** Documents on their way, with pauses between. All synchronous. */
export type Flow = Iterable<Doc | Pause>

/** What a pipeline needs of its command and store. */
export type AggregateContext = {
  /** The command's one instant ($$NOW). */
  now: Date
  /** The command's evaluated `let` variables. */
  let?: Doc | undefined
  /** Variables of an outer pipeline; set by $lookup. */
  vars?: Vars | null
  /** Bytes a blocking stage may hold before it fails with code 292. */
  memoryLimit: number
  /** Uniform in [0, 1), for $sample. */
  random(): number
  /** The documents of another collection that match the filter; none when the collection does not exist. */
  foreign(collection: string, filter: Filter): Flow
}

/** A compiled stage: documents in, documents out. */
export type Stage = (source: Flow) => Flow

/** How long stages may hold the thread before a pause is due. */
const SLICE_MS = 5

/**
 * Puts a pause between the documents of a flow whenever the thread was held for a while, and at its end: a stage that makes
 * much of little pauses too. The flows of one run share `watch`, so that a pause of one counts for all.
 */
export function* paced(flow: Flow, watch: { until: number }): Flow {
  for (const doc of flow) {
    if (doc === PAUSE || performance.now() > watch.until) {
      yield PAUSE
      watch.until = performance.now() + SLICE_MS
    }
    if (doc !== PAUSE) yield doc
  }
  if (performance.now() <= watch.until) return
  yield PAUSE
  watch.until = performance.now() + SLICE_MS
}

/** What `paced` goes by, from now. */
export const createWatch = (): { until: number } => ({ until: performance.now() + SLICE_MS })

/** The variables and instant of a context, for compiling filters and expressions. */
export const envOf = (context: AggregateContext): Env => ({ now: context.now, let: context.let, vars: context.vars })

/** The variables expressions of a context may use. */
export const contextVars = (context: AggregateContext): Vars | null => varsOf(envOf(context))

/** Counts what a blocking stage holds. */
export type Meter = { add(bytes: number): void }

/** A meter that fails with code 292 beyond the limit. */
export function createMeter(what: string, limit: number): Meter {
  let held = 0
  return {
    add(bytes) {
      held += bytes
      if (held > limit) throw memoryExceeded(what, limit)
    }
  }
}
