import { DAY_MS } from '../../shared/limits.js'
import { brokenAtRest, brokenNow, type Broken } from './laws.js'
import { DECISIONS, productOf, type Decisions } from './product.js'
import { createRunner, type Bent } from './programs.js'
import { nameOf, remainsOf, type State } from './state.js'
import { caught, createSteps } from './steps.js'
import type { World } from './worlds.js'

/** A way the product may be broken on purpose. */
export type Bending = Bent & { decisions?: Partial<Decisions> }

/** What a look at a world found. */
export type Found = {
  world: string
  states: number
  transitions: number
  /** States from which everything was followed to its rest. */
  rests: number
  /** Different points programs were at. */
  points: number
  /** The bound was reached before everything was seen. */
  cut: boolean
  broken: (Broken & { trace: string[] }) | null
}

export const EPOCH = Date.parse('2090-03-02T04:00:00Z')
/** So many rounds must be enough for everything to come to rest. */
const ROUNDS = 80

/** A world and everything that can be asked of it; `bent`: a rule is broken. */
export function createWorld(world: World, bent: Bending = {}) {
  const runner = createRunner(productOf(world, { ...DECISIONS, ...bent.decisions }), bent)
  const steps = createSteps(world, runner)

  const rested = new Set<string>()

  async function first(): Promise<State> {
    let state: State = {
      docs: {},
      now: EPOCH,
      processes: [],
      wechat: { left: {}, taken: [], ids: {}, wasted: 0 },
      orphans: [],
      turns: 0,
      left: {
        crashes: world.crashes,
        stalls: world.stalls,
        faults: world.faults,
        ticks: world.ticks,
        leaps: world.leapMs === undefined ? 0 : 1
      },
      acted: []
    }
    for (const { value, late } of world.rights) {
      if (late) continue
      state = await steps.through(caught(state, world, value), 'keep', [value])
    }
    // a payment is no use in its first ten seconds
    state = { ...state, now: EPOCH + 11_000 }
    state = await steps.through(state, 'plan', [new Date(state.now).toISOString()])
    return steps.through(state, 'follow', [])
  }

  /** Everybody dies here; then nothing goes wrong any more and everything is done that is due. @returns what stays broken */
  async function rest(from: State): Promise<Broken[]> {
    let state: State = { ...from, processes: [], orphans: [] }
    const way: string[] = []
    let quiet = 0
    for (let round = 0; round < ROUNDS; round++) {
      const remains = `${quiet} ${remainsOf(state)}`
      // from here everything was well before
      if (rested.has(remains)) {
        for (const each of way) rested.add(each)
        return []
      }
      way.push(remains)
      if (steps.dueNow(state)) {
        const turns = state.turns + 1
        state = await steps.through({ ...state, turns }, 'turn', [`t${turns}`])
      } else if (steps.consequences(state)) state = await steps.through(state, 'follow', [])
      else if (steps.looking(state)) state = await steps.through(state, 'look', [])
      else {
        const due = steps.nextDue(state)
        // receipts that find nobody look for a day and no longer
        if (due !== null && !steps.open(state)) state = { ...state, now: state.now + DAY_MS }
        else if (due !== null && due - state.now < DAY_MS) state = { ...state, now: due }
        else if (quiet < 3) {
          // orphans are given back after five minutes, unknown messages are closed after three days
          state = { ...state, now: state.now + [301_000, 3 * DAY_MS + 1, 301_000][quiet++]! }
          state = await steps.through(state, 'sweep', [])
        } else {
          const broken = brokenAtRest(world, state)
          if (broken.length === 0) for (const each of way) rested.add(each)
          return broken
        }
        const broken = brokenNow(world, state)
        if (broken.length > 0) return broken
      }
    }
    return [{ law: 'rest', what: `still at work after ${ROUNDS} rounds` }]
  }

  /** All states within the bounds, nearest first. Stops at the first broken promise. */
  async function all(most: number): Promise<Found> {
    const start = await first()
    const seen = new Map<string, { from: string | null; label: string }>([[nameOf(start), { from: null, label: '' }]])
    let edge: State[] = [start]
    let transitions = 0
    let rests = 0
    const found = (broken: Broken | null, name: string, cut = false): Found => {
      const trace: string[] = []
      for (let at = seen.get(name)!; at.from !== null; at = seen.get(at.from)!) trace.unshift(at.label)
      const { name: called } = world
      return {
        world: called,
        states: seen.size,
        transitions,
        rests,
        points: runner.size(),
        cut,
        broken: broken === null ? null : { ...broken, trace }
      }
    }
    while (edge.length > 0) {
      const next: State[] = []
      for (const state of edge) {
        const name = nameOf(state)
        for (const { label, to } of steps.of(state)) {
          let reached: State
          try {
            reached = await to()
          } catch (error) {
            return found({ law: 'there', what: `${label}: ${(error as Error).message}` }, name)
          }
          transitions += 1
          const called = nameOf(reached)
          if (seen.has(called)) continue
          seen.set(called, { from: name, label })
          const [broken] = brokenNow(world, reached)
          if (broken !== undefined) return found(broken, called)
          if (seen.size > most) return found(null, called, true)
          next.push(reached)
        }
        if (state.processes.length === 0) {
          rests += 1
          const [broken] = await rest(state)
          if (broken !== undefined) return found(broken, name)
        }
      }
      edge = next
    }
    return found(null, nameOf(start))
  }

  /** One way through the world, by chance. */
  async function walk(chance: () => number, most: number): Promise<Found> {
    const trace: string[] = []
    let state = await first()
    let broken: Broken[] = []
    while (trace.length < most && broken.length === 0) {
      const next = steps.of(state)
      if (next.length === 0) break
      const { label, to } = next[Math.floor(chance() * next.length)]!
      trace.push(label)
      try {
        state = await to()
        broken = brokenNow(world, state)
      } catch (error) {
        broken = [{ law: 'there', what: (error as Error).message }]
      }
    }
    if (broken.length === 0) broken = await rest(state)
    const points = runner.size()
    const found = broken[0] === undefined ? null : { ...broken[0], trace }
    return {
      world: world.name,
      states: trace.length,
      transitions: trace.length,
      rests: 1,
      points,
      cut: false,
      broken: found
    }
  }

  return { all, walk }
}
