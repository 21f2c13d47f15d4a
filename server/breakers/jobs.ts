import type { Jobs } from '../platform/jobs.js'
import type { Breakers } from './breakers.js'

const EVERY_MS = 10_000

/** Breakers move by time too: what has rested tries again, tries are judged. Called before jobs.start(). */
export async function breakerJobs({ jobs, breakers }: { jobs: Jobs; breakers: Breakers }): Promise<void> {
  jobs.define('breakers.sweep', () => breakers.sweep())
  await jobs.every(EVERY_MS, 'breakers.sweep')
}
