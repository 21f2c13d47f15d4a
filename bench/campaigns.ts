import { setTimeout as sleep } from 'node:timers/promises'
import { SERVICE } from '../demo/accounts.js'
import type { Client } from '../demo/client.js'
import { until } from '../demo/stage.js'
import { cpuSecondsOf, ownMbOf } from '../demo/process-figures.js'
import { connect, serving } from './account.js'
import { loadCrowd } from './crowd.js'
import { judged, median, type Figure } from './figure.js'
import { withGround, type Ground } from './ground.js'

const SECTION = 'campaigns'
const MILLION = 1_000_000
const FEW = 10_000
/** Everybody in one city, of one level: one in forty. */
const TYPICAL = {
  all: [
    { attribute: 'city', op: 'eq', value: '上海' },
    { tag: 'level', op: 'eq', value: '金' }
  ]
}
const EVERYBODY = { all: [] }
/** Hardly anything is to be sent: it is planning that is measured. */
const SLOWLY = { perSecond: 0.01, inFlight: 1 }
const PREVIEWS = 5
const SAMPLE_MS = 100

/** Audiences and runs of a million people. */
export async function audiences(say: (line: string) => void): Promise<Figure[]> {
  const few = await withGround((ground) => expansion(ground, FEW, say))
  const many = await withGround((ground) => expansion(ground, MILLION, say))
  const note = `${many.size} people, ${many.seconds.toFixed(1)} s from the start of the run to its last message planned`
  return [
    ...many.previews,
    judged(SECTION, 'expansion-rows', many.size / many.seconds, { atLeast: 15_000 }, `rows/s; ${note}`),
    judged(SECTION, 'expansion-rss', many.grownMb, { atMost: 64 }, 'MB of its own the process grew by meanwhile'),
    judged(
      SECTION,
      'expansion-cpu',
      many.cpuMicros / few.cpuMicros,
      { atMost: 1.2 },
      `processor time a person at ${many.size} (${many.cpuMicros.toFixed(0)} µs) ÷ at ${few.size} (${few.cpuMicros.toFixed(0)} µs)`
    )
  ]
}

async function expansion(ground: Ground, size: number, say: (line: string) => void) {
  const { running, api } = await serving(ground)
  const window = { bulk: true, transactional: true }
  const accountId = await connect(api, SERVICE, { limits: SLOWLY, serviceWindow: window })
  say(`loading ${size} people`)
  const crowd = await loadCrowd(ground.dir, { id: accountId, kind: SERVICE.kind }, size, say)
  try {
    await crowd.grant(Math.floor(size / 4), { source: 'menu' })
    await settled(running.pid)
    const previews = size === MILLION ? await previewed(api, accountId, say) : []

    // Followers may be written to without a right from here on: nobody drops out while the run is planned.
    await api.patch(`/v1/accounts/${accountId}`, { serviceWindow: { bulk: false, transactional: false } })
    say(`a run of ${size}`)
    const { id: audienceId } = await api.post('/v1/audiences', { name: 'all', rule: EVERYBODY })
    const campaign = await api.post('/v1/campaigns', {
      name: 'bench',
      accountId,
      audienceId,
      templateId: SERVICE.service,
      trigger: { kind: 'once', at: new Date().toISOString() },
      content: { character_string1: '8231', thing2: '{{ user.nickName }}', time3: '2026-03-01 10:00' },
      open: { url: 'https://example.com' }
    })
    const before = await ownMbOf(running.pid)
    const cpu = cpuSecondsOf(running.pid)
    let mostMb = 0
    const watch = setInterval(() => {
      void ownMbOf(running.pid).then((mb) => (mostMb = Math.max(mostMb, mb)))
    }, SAMPLE_MS)
    const began = performance.now()
    await api.post(`/v1/campaigns/${campaign.id}/activate`)
    const run = await until(
      'the run is expanded',
      600_000,
      async () => {
        const { data } = await api.get(`/v1/campaigns/${campaign.id}/runs`)
        return data[0] !== undefined && data[0].state !== 'expanding' ? data[0] : null
      },
      50
    )
    const seconds = (performance.now() - began) / 1000
    const cpuMicros = ((cpuSecondsOf(running.pid) - cpu) * 1e6) / size
    clearInterval(watch)
    await until('its rows are counted', 60_000, async () => {
      const { counts } = await api.get(`/v1/runs/${run.id}`)
      return counts.total === size ? true : null
    })
    const grownMb = mostMb - before
    say(
      `${Math.round(size / seconds)} rows/s, ${cpuMicros.toFixed(0)} µs of processor time each, ${grownMb.toFixed(0)} MB`
    )
    return { size, seconds, cpuMicros, grownMb, previews }
  } finally {
    await crowd.close()
  }
}

/** Waits until a process that was given much to do has done it: two seconds in a row at rest. */
async function settled(pid: number): Promise<void> {
  for (let quiet = 0, last = cpuSecondsOf(pid); quiet < 2;) {
    await sleep(1000)
    const now = cpuSecondsOf(pid)
    quiet = now - last < 0.1 ? quiet + 1 : 0
    last = now
  }
}

async function previewed(api: Client, accountId: string, say: (line: string) => void): Promise<Figure[]> {
  say('previews')
  const seconds: number[] = []
  let answer: any
  for (let i = 0; i <= PREVIEWS; i++) {
    const began = performance.now()
    answer = await api.post('/v1/audiences/preview', { accountId, rule: TYPICAL, templateId: SERVICE.service })
    if (i > 0) seconds.push((performance.now() - began) / 1000)
  }
  const { count, countMargin, reachable, reachableMargin } = answer
  const note =
    `seconds, median of ${PREVIEWS}: an attribute and a tag; ${count} people (± ${countMargin}), ` +
    `${reachable} of them reachable (± ${reachableMargin}); the count reads no document`
  return [judged(SECTION, 'preview', median(seconds), { atMost: 1.5 }, note)]
}
