import type { Jobs } from '../platform/jobs.js'
import type { Resealing } from './resealing.js'

const EVERY_MS = 60_000

/** After a key was made current, some worker seals everything with it; with nothing to do it is one read a minute. */
export async function resealingJobs({ jobs, resealing }: { jobs: Jobs; resealing: Resealing }): Promise<void> {
  jobs.define('keys.reseal', async ({ signal }) => void (await resealing.run({ signal })))
  await jobs.every(EVERY_MS, 'keys.reseal')
}
