import type { Jobs } from '../platform/jobs.js'
import type { Watch } from './watch.js'

/** The alerts room's background work. Called before jobs.start(). */
export async function alertJobs({ jobs, watch }: { jobs: Jobs; watch: Watch }): Promise<void> {
  jobs.define('alerts.look', async () => watch.look())
  jobs.define('alerts.rights', async () => watch.lookAtRights())
  await jobs.every(60_000, 'alerts.look')
  await jobs.every(3_600_000, 'alerts.rights')
}
