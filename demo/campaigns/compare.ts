import type { Client } from '../client.js'
import { messageOf, type SandboxRow } from '../verify.js'
import type { Production } from './director.js'
import { APPS, referenceOf } from './people.js'
import { fatesOf } from './oracle.js'
import type { AppName, Fate, Story } from './story.js'

/** What the oracle expects of everybody, beside what the server says over REST and what WeChat's own ledger holds. */

export type Row = { name: string; about: string; expected: string[]; actual: string[]; differs: boolean }
/** The name of rows that tell what an operator was answered, not what a person got. */
export const OPERATOR = 'operator'
export type Comparison = { rows: Row[]; strangers: string[] }

const SENT = new Set(['accepted', 'delivered'])

export async function compare(
  api: Client,
  sandbox: Client,
  story: Story,
  { accounts, running, known }: Production,
  inWords: (visit: number) => string
): Promise<Comparison> {
  const actual = new Map<string, Fate[]>(known.map(({ personId }) => [personId, []]))
  const appOf = new Map((Object.keys(accounts) as AppName[]).map((app) => [accounts[app].id, app]))
  const keyOf = new Map(running.map(({ plan, id }) => [id, plan.key]))
  const strangers: string[] = []

  const ledger = await sandbox.get<{ rows: SandboxRow[] }>('/sandbox/ledger')
  const taken = new Map<string, SandboxRow[]>()
  for (const row of ledger.rows) {
    if (row.duplicateOf !== undefined) continue
    const id = messageOf(row)?.id ?? `row ${row.seq}`
    taken.set(id, [...(taken.get(id) ?? []), row])
  }
  const owner = new Map(
    known.flatMap(({ openids, personId }) =>
      (Object.entries(openids) as [AppName, string][]).map(([app, openid]) => [
        `${APPS[app].appid} ${openid}`,
        personId
      ])
    )
  )
  const referred = new Map(
    known.flatMap((who) =>
      who.actor.deeds.flatMap((deed) =>
        deed.does === 'direct' ? [[referenceOf(who, deed.reference), deed.reference] as const] : []
      )
    )
  )

  for (const row of await api.lines('/v1/messages/export')) {
    const app = appOf.get(row.accountId)
    const fates = actual.get(row.personId)
    const of = keyOf.get(row.campaignId) ?? referred.get(row.reference)
    const sends = taken.get(row.id) ?? []
    taken.delete(row.id)
    if (row.test) continue // of the ladder, whose act looks at it
    if (app === undefined || fates === undefined || of === undefined) {
      strangers.push(`message ${row.id} (${row.state}) belongs to nobody of the story`)
      continue
    }
    const claims = SENT.has(row.state) || row.by === 'receipt'
    const [send] = sends
    if (sends.length !== (claims ? 1 : 0))
      strangers.push(`message ${row.id} (${row.state}) was taken ${sends.length} times`)
    if (send !== undefined && owner.get(`${send.appid} ${send.openid}`) !== row.personId)
      strangers.push(`message ${row.id} went to somebody else`)
    const visit = send === undefined ? null : story.visits.findLastIndex((at) => at <= send.at)
    fates.push({ of, app, what: wordsOf(row), visit })
  }
  for (const rows of taken.values()) strangers.push(`WeChat took ${rows.length} message(s) nobody knows of`)

  for (const { plan, id } of running) {
    if (plan.timing.kind !== 'event' && plan.timing.kind !== 'notFollowed') continue
    for (const { personId, state, reason } of await api.all(`/v1/campaigns/${id}/waits`)) {
      const what = ['wait', state, reason].filter((word) => word !== null).join(' ')
      actual.get(personId)?.push({ of: plan.key, app: plan.app, what, visit: null })
    }
  }

  const rows = known.map(({ actor, personId }) => {
    const expected = linesOf(fatesOf(story, actor), inWords)
    const got = linesOf(actual.get(personId)!, inWords)
    const differs = expected.join('\n') !== got.join('\n')
    return { name: actor.name, about: actor.about, expected, actual: got, differs }
  })
  return { rows: rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })), strangers }
}

function wordsOf({ state, reason, code }: { state: string; reason: string | null; code: number | null }): string {
  if (state === 'failed') return `failed ${reason ?? code}`
  if (state === 'skipped') return `skipped ${reason}`
  return state
}

/** Fates as text, in an order that does not depend on who tells them. */
const linesOf = (fates: Fate[], inWords: (visit: number) => string): string[] =>
  fates.map(({ of, app, what, visit }) => `${of} (${app}): ${what}${visit === null ? '' : ` ${inWords(visit)}`}`).sort()
