import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { layoutShift } from '../test/support/browser.js'
import { putCampaigns, putRuns } from './console-data.js'
import type { ConsoleStage } from './console-stage.js'
import { judged, type Figure } from './figure.js'

const SECTION = 'console'
const SCRIPT_KB = 220

/** Show 5: the overview as it is first opened. */
export async function firstPage({ url, visit, db, accountId }: ConsoleStage): Promise<Figure[]> {
  const campaigns = await putCampaigns(db, accountId, 3, new Date())
  await putRuns(db, accountId, campaigns, 2, new Date())
  const { page } = await visit()
  const scripts = new Set<string>()
  page.on('request', (request) => {
    if (request.resourceType() === 'script') scripts.add(request.url())
  })
  const answer = (await page.goto(`${url}/`))!
  await page.locator('.tiles strong').first().waitFor()
  // The chart is one more file, after the page is there.
  const first = [...scripts].filter((script) => !/\/chart-/.test(script))
  await page.locator('canvas').first().waitFor()
  await sleep(2_500)
  const shift = await layoutShift(page)
  const sizes = await Promise.all(first.map(gzipped))
  const kb = sizes.reduce((sum, size) => sum + size, 0) / 1024
  const policy = answer.headers()['content-security-policy'] ?? ''
  const script = /(?:^|;\s*)script-src ([^;]*)/.exec(policy)?.[1] ?? ''
  const loose = ["'unsafe-inline'", "'unsafe-eval'", '*'].filter((word) => script.split(' ').includes(word)).length
  return [
    judged(
      SECTION,
      'first-load-js',
      kb,
      { atMost: SCRIPT_KB },
      `KB of ${first.length} scripts in gzip, without the chart`
    ),
    judged(SECTION, 'layout-shift', shift, { atMost: 0 }, 'of the overview until two seconds after its chart is there'),
    judged(SECTION, 'csp-loose-words', script === '' ? 1 : loose, { atMost: 0 }, `script-src ${script}`)
  ]
}

/** What a script weighs as it travels: by the server's own gzip, or ours where it sends it as it is. */
async function gzipped(script: string): Promise<number> {
  const answer = await fetch(script, { headers: { 'accept-encoding': 'gzip' } })
  const told = Number(answer.headers.get('content-length'))
  const body = Buffer.from(await answer.arrayBuffer())
  if (answer.headers.get('content-encoding') === 'gzip' && told > 0) return told
  return gzipSync(body, { level: 9 }).length
}
