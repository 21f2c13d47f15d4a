import type { Jobs } from '../platform/jobs.js'
import { randomToken } from '../platform/ids.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Messages } from './messages.js'

/**
 * The messages room's background work: this worker's pumps (one job a worker, running as long as it does), the follower
 * (one process at a time) and the sweep of each minute. Called before jobs.start().
 */
export async function messageJobs({
  jobs,
  messages,
  accounts
}: {
  jobs: Jobs
  messages: Messages
  accounts: Accounts
}): Promise<void> {
  const pump = `messages.pump ${randomToken(6)}`
  jobs.define(pump, ({ signal, touch }) => messages.pumps.run(signal, touch))
  jobs.define('messages.follow', async ({ signal }) => {
    for (const account of await accounts.list()) await messages.follower.follow(account.id, signal)
  })
  jobs.define('messages.sweep', async () => {
    await messages.sweep()
  })
  await jobs.mine(pump)
  await jobs.every(1000, 'messages.follow')
  await jobs.every(60_000, 'messages.sweep')
}
