import type { Jobs } from '../platform/jobs.js'
import type { Platforms } from './platforms.js'

const EVERY_MS = 3_600_000

/** The platform's background work. Called before jobs.start(). */
export async function platformJobs({ jobs, platforms }: { jobs: Jobs; platforms: Platforms }): Promise<void> {
  jobs.define('platforms.tend', () => platforms.tend())
  await jobs.every(EVERY_MS, 'platforms.tend')
}
