import { until, type Stage } from '../stage.js'
import { OPERATOR, type Row } from './compare.js'
import { quiet, shanghai, type Production } from './director.js'
import { standstillOf } from './oracle.js'
import { TEMPLATES } from './people.js'
import { MINUTE_MS, type Story } from './story.js'

/** The breaker: a template that fails for many stops by itself, rests, tries a few, and goes on. */

const PROBES = 5
/** Breakers that rest are looked at every ten seconds of real time. */
const PATIENCE_MS = 30_000

/** Makes the story's breaker quick to trip. */
export async function arm({ api }: Stage, { breaker }: Story, { accounts }: Production): Promise<void> {
  const { app, least, share, restMs } = breaker
  const settings = { minMessages: least, shares: { failure: share }, restMs, probes: PROBES }
  await api.patch(`/v1/accounts/${accounts[app].id}`, { breaker: settings })
}

/** After many failed. @returns what should be told, beside what is */
export async function tripped(stage: Stage, story: Story, production: Production): Promise<Row[]> {
  const still = standstillOf(story)
  const expected =
    still === null
      ? ['it is closed']
      : [`open for failure, ${still.failed} of ${still.answers}`, `tries at ${shanghai(still.until)}`, 'paused breaker']
  const look = async () => {
    const { state, reason, tripped, triesAt } = await breakerOf(stage, story, production)
    const { state: campaign, stateReason } = await behind(stage, production)
    return [
      `${state} for ${reason}, ${tripped?.failure} of ${tripped?.total}`,
      `tries at ${triesAt === null ? 'no time' : shanghai(Math.round(Date.parse(triesAt) / MINUTE_MS) * MINUTE_MS)}`,
      `${campaign} ${String(stateReason).split(' ')[0]}`
    ]
  }
  return [await told('fails for many', expected, look)]
}

/** After its rest. @returns what should be told, beside what is */
export async function tries(stage: Stage, story: Story, production: Production, at: number): Promise<Row[]> {
  const { sandbox } = stage
  const sent = async () => {
    const { rows } = await sandbox.get<{ rows: unknown[] }>(
      `/sandbox/ledger?templateId=${TEMPLATES[story.breaker.template]}`
    )
    return rows.length
  }
  const few = await told('tries a few', [`halfOpen, ${PROBES} sent`], async () => [
    `${(await breakerOf(stage, story, production)).state}, ${await sent()} sent`
  ])
  await stage.moveTo(at + MINUTE_MS)
  const behindIt = story.cast.filter(({ act }) => act === 'breaker').length
  const well = await told('goes on', [`closed, ${behindIt} sent`], async () => [
    `${(await breakerOf(stage, story, production)).state}, ${await sent()} sent`
  ])
  await quiet(stage, production, at + MINUTE_MS, 0)
  return [few, well]
}

async function breakerOf({ api }: Stage, { breaker }: Story, { accounts }: Production): Promise<any> {
  const { data } = await api.get(`/v1/breakers?accountId=${accounts[breaker.app].id}&limit=100`)
  const found = data.find(({ templateId }: { templateId: string }) => templateId === TEMPLATES[breaker.template])
  return found ?? { state: 'unknown', reason: null, tripped: null, triesAt: null }
}

async function behind({ api }: Stage, { running }: Production): Promise<any> {
  const { id } = running.find(({ plan }) => plan.key === 'stands behind it')!
  return api.get(`/v1/campaigns/${id}`)
}

/** Waits, not for ever, until what is told is what is expected. */
async function told(about: string, expected: string[], look: () => Promise<string[]>): Promise<Row> {
  let actual: string[] = []
  const same = () => expected.join('\n') === actual.join('\n')
  await until(about, PATIENCE_MS, async () => {
    actual = await look()
    return same() ? true : null
  }).catch(() => {
    // the row tells what it was instead
  })
  return { name: OPERATOR, about, expected, actual, differs: !same() }
}
