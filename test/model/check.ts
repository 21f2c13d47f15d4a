import { seeded } from '../../demo/random.js'
import { createWorld, type Found } from './explorer.js'
import { LAWS } from './laws.js'
import { RULES } from './rules.js'
import { LARGE, WIDER, WORLDS, type World } from './worlds.js'

/** A world that is larger than this is reported as cut off. */
const MOST = 3_000_000
const STEPS = 400

/** What breaking a rule came to. */
export type Trial = { rule: string; says: string; caught: boolean; by: Found[] }

/** How long something took of this process's own time: other work on the machine does not count. */
async function timed<T>(work: () => Promise<T>): Promise<T & { seconds: number }> {
  const before = process.cpuUsage()
  const done = await work()
  const { user, system } = process.cpuUsage(before)
  return { ...done, seconds: Math.round((user + system) / 1e4) / 100 }
}

export type Look = Found & { says: string; seconds: number }

/** Looks at every world whole. `full`: with more that may go wrong. */
export async function lookAtAll(
  { full = false, only = '' }: { full?: boolean; only?: string },
  told: (look: Look) => void
): Promise<Look[]> {
  const looks: Look[] = []
  for (const world of full ? WIDER : WORLDS) {
    if (!world.name.includes(only)) continue
    const look = { says: world.says, ...(await timed(() => createWorld(world).all(MOST))) }
    looks.push(look)
    told(look)
  }
  return looks
}

/** Goes through the large worlds `walks` times each, another way each time. Stops at the first broken promise of a world. */
export async function walkAll(walks: number, seed: number, told: (look: Look) => void): Promise<Look[]> {
  const looks: Look[] = []
  for (const world of LARGE) {
    const look = { says: world.says, ...(await timed(() => walkThrough(world, walks, seed))) }
    looks.push(look)
    told(look)
  }
  return looks
}

async function walkThrough(world: World, walks: number, seed: number): Promise<Found> {
  const sum: Found = { world: world.name, states: 0, transitions: 0, rests: 0, points: 0, cut: true, broken: null }
  const { walk } = createWorld(world)
  for (let n = 0; n < walks && sum.broken === null; n++) {
    const { states, points, broken } = await walk(seeded(seed + n), STEPS)
    sum.states += states
    sum.transitions += states
    sum.rests += 1
    sum.points = points
    if (broken !== null) sum.broken = { ...broken, what: `${broken.what} (seed ${seed + n})` }
  }
  return sum
}

/** Breaks each rule by itself, in every world that must notice. */
export async function breakAll(only: string, told: (trial: Trial) => void): Promise<Trial[]> {
  const trials: Trial[] = []
  for (const { name, says, worlds, bent } of RULES) {
    if (!name.includes(only)) continue
    const by: Found[] = []
    for (const each of worlds)
      by.push(
        await createWorld(
          WORLDS.find((world) => world.name === each)!,
          bent
        ).all(MOST)
      )
    const trial = { rule: name, says, caught: by.every(({ broken }) => broken !== null), by }
    trials.push(trial)
    told(trial)
  }
  return trials
}

export const LAW_COUNT = Object.keys(LAWS).length
