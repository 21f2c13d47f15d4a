import type { Jobs } from '../platform/jobs.js'
import type { Triggers } from './triggers.js'

const BEAT_MS = 1_000
/** With more due than one batch, this many others of any process are asked to help. */
const HELPERS = 2

/** Decides waits that come due, every second; a backlog is worked off by several at once. */
export async function triggerJobs({ jobs, triggers }: { jobs: Jobs; triggers: Triggers }): Promise<void> {
  jobs.define('waits.due', async ({ signal }) => {
    await triggers.fireDue(signal, async () => {
      for (let i = 0; i < HELPERS; i++) await jobs.now('waits.help', {}, { uniqueKey: String(i) })
    })
  })
  jobs.define('waits.help', async ({ signal }) => void (await triggers.fireDue(signal)), { concurrency: HELPERS })
  await jobs.every(BEAT_MS, 'waits.due')
}
