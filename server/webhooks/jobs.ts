import { randomToken } from '../platform/ids.js'
import type { Jobs } from '../platform/jobs.js'
import type { Webhooks } from './webhooks.js'

const COLLECT_MS = 5_000

/**
 * The webhooks room's background work: one job a worker posts what is due, each destination a lane of its own; news that
 * lie stored elsewhere are filed every five seconds. Called before jobs.start().
 */
export async function webhookJobs({
  jobs,
  webhooks,
  collect
}: {
  jobs: Jobs
  webhooks: Webhooks
  /** Files what other rooms have stored as news; each is repeatable. */
  collect: (() => Promise<void>)[]
}): Promise<void> {
  const deliver = `webhooks.deliver ${randomToken(6)}`
  jobs.define(deliver, ({ signal }) => webhooks.serve(signal))
  jobs.define('webhooks.collect', async () => {
    for (const each of collect) await each()
  })
  jobs.define('webhooks.sweep', async () => void (await webhooks.giveUp()))
  await jobs.mine(deliver)
  await jobs.every(COLLECT_MS, 'webhooks.collect')
  await jobs.every(60_000, 'webhooks.sweep')
}
