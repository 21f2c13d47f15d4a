import type { Jobs } from '../platform/jobs.js'
import type { Reports } from './reports.js'

/** Compares the counters of runs that are over with their rows, a few runs a minute. Called before jobs.start(). */
export async function reportJobs({ jobs, reports }: { jobs: Jobs; reports: Reports }): Promise<void> {
  jobs.define('reports.verify', async ({ signal }) => {
    for (let done = 0; done < 10 && !signal.aborted; done++) if ((await reports.verify.next(signal)) === null) return
  })
  await jobs.every(60_000, 'reports.verify')
}
