import { SHOP } from '../demo/accounts.js'
import { until } from '../demo/stage.js'
import { connect, handInForms, launchToAll, serving } from './account.js'
import { everyMsOf } from '../server/messages/budget.js'
import { judged, type Figure } from './figure.js'
import { withGround } from './ground.js'

const SECTION = 'sender'
const MESSAGES = 1000
const PER_SECOND = 50
const LATENCY = '200-500'
/** What the customer measured for as many: one after another, by a queue, over a pool; in seconds. */
const THEIRS = { sync: 210, queue: 45, pool: 28 }
const GOAL_S = 21.2

/**
 * The customer's own experiment: 1,000 messages at 50 a second to a WeChat that answers within 200 to 500 ms, in one
 * `serve` with its store. From the operator's word to the last answer; 20.0 s is what the limit alone takes.
 */
export async function thousand(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async (ground) => {
    const { sandbox, api } = await serving(ground, LATENCY)
    const accountId = await connect(api, SHOP, { limits: { perSecond: PER_SECOND } })
    await handInForms(api, sandbox, accountId, MESSAGES)

    await api.post(`/v1/accounts/${accountId}/pause`)
    const id = await launchToAll(api, accountId)
    const inState = async (state: string): Promise<number> =>
      (await api.get(`/v1/messages?campaignId=${id}&state=${state}&limit=1&count=true`)).page.total
    await until('all are planned', 60_000, async () => ((await inState('planned')) >= MESSAGES ? true : null))

    say(`${MESSAGES} messages at ${PER_SECOND}/s, WeChat answers in ${LATENCY} ms`)
    const from = Date.now()
    await api.post(`/v1/accounts/${accountId}/resume`)
    // Looked at seldom: counting takes the store's time, and when each was answered is read afterwards.
    await until(
      'none is open',
      120_000,
      async () => ((await inState('planned,held,sending')) === 0 ? true : null),
      1_000
    )
    const rows = await api.lines<{ state: string; settledAt: string }>(`/v1/messages/export?campaignId=${id}`)
    const { rows: calls } = await sandbox.get<{ rows: { at: number }[] }>('/sandbox/ledger')
    const { worstSecond } = await sandbox.get<{ worstSecond: { count: number } }>('/sandbox/ledger/summary')
    await sandbox.close()
    await api.close()

    const accepted = rows.filter(({ state }) => state === 'accepted').length
    const last = rows.reduce((most, { settledAt }) => Math.max(most, Date.parse(settledAt)), 0)
    const first = calls.reduce((least, { at }) => Math.min(least, at), Infinity)
    const wall = (last - from) / 1000
    const theirs = `theirs: ${THEIRS.sync} s one by one, ${THEIRS.queue} s by a queue, ${THEIRS.pool} s over a pool`
    const note = `s from "resume" to the last answer, the first call after ${first - from} ms, ${worstSecond.count} calls in the fullest second; ${theirs}`
    const why = `slots ${everyMsOf(PER_SECOND).toFixed(1)} ms apart take ${((everyMsOf(PER_SECOND) * (MESSAGES - 1)) / 1000).toFixed(2)} s alone`
    return [
      judged(SECTION, 'thousand-wall', wall, { atMost: GOAL_S }, note, why),
      judged(SECTION, 'thousand-accepted', accepted / MESSAGES, { atLeast: 1 }, `of ${MESSAGES}, ${calls.length} calls`)
    ]
  })
}
