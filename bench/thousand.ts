import { SHOP } from '../demo/accounts.js'
import { createClient, type Client } from '../demo/client.js'
import { finished, until } from '../demo/stage.js'
import { judged, type Figure } from './figure.js'
import { withGround } from './ground.js'

const SECTION = 'sender'
const MESSAGES = 1000
const PER_SECOND = 50
const LATENCY = '200-500'
const BATCH = 500
/** What the customer measured for as many: one after another, by a queue, over a pool; in seconds. */
const THEIRS = { sync: 210, queue: 45, pool: 28 }
const GOAL_S = 21.2

/**
 * The customer's own experiment: 1,000 messages at 50 a second to a WeChat that answers within 200 to 500 ms, in one
 * `serve` with its store. From the operator's word to the last answer; 20.0 s is what the limit alone takes.
 */
export async function thousand(say: (line: string) => void): Promise<Figure[]> {
  return withGround(async ({ processes, serve }) => {
    const wechat = await processes.start('sandbox', ['sandbox', '--port', '0', '--latency', LATENCY], { by: 'line' })
    const sandbox = createClient(wechat.facts.url!)
    const { api } = await serve(sandbox.url)
    const { kind, appid: appId, secret } = SHOP
    const limits = { perSecond: PER_SECOND }
    const { id: accountId } = await api.post('/v1/accounts', { kind, appId, secret, name: 'bench', limits })
    await finished(api, await api.post('/v1/templates/sync', { accountId }))
    await handInForms(api, sandbox, accountId)

    await api.post(`/v1/accounts/${accountId}/pause`)
    const { id: audienceId } = await api.post('/v1/audiences', { name: 'all', rule: { all: [] } })
    const { id } = await api.post('/v1/campaigns', {
      name: 'bench',
      accountId,
      audienceId,
      templateId: SHOP.legacy,
      trigger: { kind: 'once', at: new Date().toISOString() },
      content: { keyword1: '1', keyword2: '2', keyword3: '3', keyword4: '4' },
      open: { page: 'pages/bench' }
    })
    await api.post(`/v1/campaigns/${id}/activate`)
    const inState = async (state: string): Promise<number> =>
      (await api.get(`/v1/messages?campaignId=${id}&state=${state}&limit=1&count=true`)).page.total
    await until('all are planned', 60_000, async () => ((await inState('planned')) >= MESSAGES ? true : null))

    say(`${MESSAGES} messages at ${PER_SECOND}/s, WeChat answers in ${LATENCY} ms`)
    const from = Date.now()
    await api.post(`/v1/accounts/${accountId}/resume`)
    await until('none is open', 120_000, async () => ((await inState('planned,held,sending')) === 0 ? true : null))
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
    return [
      judged(SECTION, 'thousand-wall', wall, { atMost: GOAL_S }, note),
      judged(SECTION, 'thousand-accepted', accepted / MESSAGES, { atLeast: 1 }, `of ${MESSAGES}, ${calls.length} calls`)
    ]
  })
}

/** A form of each of as many people. */
async function handInForms(api: Client, sandbox: Client, accountId: string): Promise<void> {
  const { appid } = SHOP
  const users: { openids: Record<string, string> }[] = await sandbox.post('/sandbox/users', {
    count: MESSAGES,
    appids: [appid]
  })
  const openids = users.map(({ openids: of }) => of[appid]!)
  for (let at = 0; at < openids.length; at += BATCH) {
    const part = openids.slice(at, at + BATCH)
    const made: { formIds: string[] }[] = await sandbox.post(
      '/sandbox/formids',
      part.map((openid) => ({ appid, openid }))
    )
    const caughtAt = new Date().toISOString()
    const items = part.map((openId, i) => ({
      id: openId,
      openId,
      source: 'form',
      value: made[i]!.formIds[0],
      caughtAt
    }))
    await api.post('/v1/credentials', { accountId, items })
  }
}
