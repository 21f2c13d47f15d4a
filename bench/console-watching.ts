import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSecondsOf } from '../demo/process-figures.js'
import { watchDashboards } from '../demo/soak/viewers.js'
import { eveningZone, putCampaigns, putRuns } from './console-data.js'
import type { ConsoleStage } from './console-stage.js'
import { judged, median, type Figure } from './figure.js'

const SECTION = 'console'
const PER_SECOND = 2_000
const TICK_MS = 250
const LOOK_S = 10
const VIEWERS = 20
const WATCH_S = 20
const ROUNDS = 2

/** Show 3: a day of 2,000 messages a second behind us, three runs that go on so, one browser and then twenty viewers. */
export async function watching({ running, key, url, db, accountId, visit }: ConsoleStage): Promise<Figure[]> {
  const zone = eveningZone(new Date())
  const campaigns = await putCampaigns(db, accountId, 3, new Date())
  const sending = await putRuns(db, accountId, campaigns, PER_SECOND, new Date())
  let ended = false
  const sent = (async () => {
    for (let last = performance.now(); !ended;) {
      await sleep(TICK_MS)
      const now = performance.now()
      await sending.took(((now - last) / 1000) * PER_SECOND, new Date())
      last = now
    }
  })()
  try {
    const shares: number[] = []
    const { page, cdp, close } = await visit({ zone })
    const told = page.locator('.tiles strong').nth(2)
    await told.waitFor()
    await page.locator('canvas').first().waitFor()
    await cdp.send('Performance.enable')
    const busy = async () => {
      const { metrics } = await cdp.send('Performance.getMetrics')
      const of = (name: string) => metrics.find((metric) => metric.name === name)!.value
      return { task: of('TaskDuration'), at: of('Timestamp') }
    }
    for (let round = 0; round < ROUNDS; round++) {
      const before = await busy()
      await sleep(LOOK_S * 1000)
      const after = await busy()
      shares.push((after.task - before.task) / (after.at - before.at))
    }
    const rate = await told.textContent()
    await close()

    const cpu: Record<'alone' | 'watched', number[]> = { alone: [], watched: [] }
    let heard = 0
    for (let round = 0; round < ROUNDS; round++) {
      cpu.alone.push(await cpuOver(running.pid, WATCH_S))
      const over = new AbortController()
      const told = watchDashboards({ url, key, count: VIEWERS, zone }, over.signal)
      await sleep(500)
      cpu.watched.push(await cpuOver(running.pid, WATCH_S))
      over.abort()
      heard += await told
    }
    if (heard === 0) throw new Error('the viewers were told nothing')
    const share = median(cpu.watched) - median(cpu.alone)
    const percent = (part: number) => `${(part * 100).toFixed(1)} %`
    return [
      judged(
        SECTION,
        'dashboard-main-thread',
        median(shares),
        { atMost: 0.3 },
        `share of ${LOOK_S} s the browser's main thread was busy while the overview told ${rate} messages a second`
      ),
      judged(
        SECTION,
        'stream-cpu',
        Math.max(0, share),
        { atMost: 0.05 },
        `of one core for ${VIEWERS} viewers: ${percent(median(cpu.watched))} with, ${percent(median(cpu.alone))} without them; ${heard} frames`
      )
    ]
  } finally {
    ended = true
    await sent.catch(() => {})
  }
}

/** Cores a process used over some seconds. */
async function cpuOver(pid: number, seconds: number): Promise<number> {
  const [cpu, began] = [cpuSecondsOf(pid), performance.now()]
  await sleep(seconds * 1000)
  return (cpuSecondsOf(pid) - cpu) / ((performance.now() - began) / 1000)
}
