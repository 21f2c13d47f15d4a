import { SERVICE } from '../accounts.js'
import { Refused } from '../client.js'
import { finished, until, type Stage } from '../stage.js'
import { draft, type Production } from './director.js'
import { fatesOf } from './oracle.js'
import { OPERATOR, type Row } from './compare.js'
import type { Plan, Story } from './story.js'

/**
 * The ladder: on an account that demands it, a campaign goes online only after a tester got its card and a dry run has
 * said what would become of everybody. @returns what should have been said, beside what was
 */
export async function climb(stage: Stage, story: Story, production: Production): Promise<Row[]> {
  const { api, sandbox } = stage
  const { accounts, running } = production
  const account = accounts.service
  const plan = story.plans.find(({ lateComer }) => lateComer === true)!
  const rows: Row[] = []
  const told = (about: string, expected: string[], actual: string[]) =>
    rows.push({ name: OPERATOR, about, expected, actual, differs: expected.join('\n') !== actual.join('\n') })

  await api.patch(`/v1/accounts/${account.id}`, { testLadder: 'required' })
  const id = await draft(api, accounts, plan)
  const activate = () => said(() => api.post(`/v1/campaigns/${id}/activate`))
  told('goes online untried', ['ladder.test-missing', 'ladder.dry-run-missing'], await activate())

  const { code } = await api.post(`/v1/accounts/${account.id}/tester-codes`)
  const [tester] = await sandbox.post('/sandbox/users', { count: 1, appids: [SERVICE.appid] })
  const openid: string = tester.openids[SERVICE.appid]
  await sandbox.post('/sandbox/followers', { appid: SERVICE.appid, openids: [openid], follow: true })
  await sandbox.post('/sandbox/interactions', { appid: SERVICE.appid, openid, kind: 'text', text: code })
  const testers = () => api.all(`/v1/accounts/${account.id}/testers`)
  await until('somebody is a tester', 10_000, async () => ((await testers()).length > 0 ? true : null))

  const { messages } = await api.post(`/v1/campaigns/${id}/test-sends`, { to: 'testers' })
  production.tests += messages.length
  const test = await until('the test arrived', 10_000, async () => {
    const message = await api.get(`/v1/messages/${messages[0].id}`)
    return ['planned', 'held', 'sending', 'accepted'].includes(message.state) ? null : message
  })
  const { rows: taken } = await sandbox.get(`/sandbox/ledger?openid=${openid}`)
  const card = (state: string, test: boolean, sends: number) => [`${state}, a test: ${test}, taken ${sends} times`]
  told('sends it to testers', card('delivered', true, 1), card(test.state, test.test, taken.length))
  told('goes online without a dry run', ['ladder.dry-run-missing'], await activate())

  const { result } = await finished(api, await api.post(`/v1/campaigns/${id}/dry-run`))
  told('tries it without sending', foreseen(story, plan), countsOf(result))
  told('goes online', ['online'], await activate())
  running.push({ plan, id })
  return rows
}

/** What the dry run must say: the oracle's fates of this campaign, counted. */
function foreseen(story: Story, plan: Plan): string[] {
  const byState: Record<string, number> = {}
  const byReason: Record<string, number> = {}
  for (const actor of story.cast) {
    for (const { of, what } of fatesOf(story, actor)) {
      if (of !== plan.key) continue
      const [state, reason] = what.split(' ') as [string, string | undefined]
      const name = reason === undefined ? 'sent' : state
      byState[name] = (byState[name] ?? 0) + 1
      if (reason !== undefined) byReason[reason] = (byReason[reason] ?? 0) + 1
    }
  }
  return countsOf({ byState, byReason })
}

function countsOf({ byState, byReason }: { byState: Record<string, number>; byReason: Record<string, number> }) {
  const lines = (counts: Record<string, number>) =>
    Object.entries(counts)
      .filter(([, n]) => n > 0)
      .map(([name, n]) => `${name} ${n}`)
      .sort()
  return [...lines(byState), ...lines(byReason)]
}

/** The state it comes to, or the codes of what stands against it. */
async function said(ask: () => Promise<{ state: string }>): Promise<string[]> {
  try {
    return [(await ask()).state]
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const { errors = [], code } = error.body as { errors?: { code: string }[]; code: string }
    return errors.length > 0 ? errors.map((each) => each.code) : [code]
  }
}
