import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

const placesOf = (env: NodeJS.ProcessEnv) => ['/usr/bin', ...(env.PATH ?? '').split(path.delimiter).filter(Boolean)]

/** A Chromium of this machine: HONGYAN_CHROMIUM, or the first found. @throws Error saying what to install */
export function findBrowser(env: NodeJS.ProcessEnv = process.env, places = placesOf(env)): string {
  const named = env.HONGYAN_CHROMIUM
  if (named) {
    if (existsSync(named)) return named
    throw new Error(`HONGYAN_CHROMIUM names ${named}, which is not there`)
  }
  const found = NAMES.flatMap((name) => places.map((place) => path.join(place, name))).find((each) => existsSync(each))
  if (found !== undefined) return found
  throw new Error(
    'this test drives a real browser and found none: install Chromium (Debian: apt-get install chromium), or set HONGYAN_CHROMIUM to one'
  )
}

/** What makes pictures the same on every machine: one pixel is one pixel, of one colour, nothing is rounded to a grid. */
export const SAME_PIXELS = [
  '--force-device-scale-factor=1',
  '--force-color-profile=srgb',
  '--disable-lcd-text',
  '--font-render-hinting=none',
  '--disable-font-subpixel-positioning'
]

/** A headless browser with the screen of a phone and nothing in its memory; it ends with the test. */
export async function openBrowser(
  t: { teardown(fn: () => Promise<void>): void },
  flags: readonly string[] = []
): Promise<BrowserContext> {
  const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-browser-'))
  const context = await chromium.launchPersistentContext(dir, {
    executablePath: findBrowser(),
    args: [...FLAGS, ...flags],
    viewport: { width: 390, height: 844 }
  })
  t.teardown(async () => {
    await context.close()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 }) // its last helpers still write for a moment
  })
  return context
}

const SHIFTS = `new Promise((resolve) => {
  let sum = 0
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value
  }).observe({ type: 'layout-shift', buffered: true })
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)))
})`

/** How far things moved by themselves since the page was opened, in the browser's own measure (0: nothing did). */
export const layoutShift = async (page: Page): Promise<number> => (await page.evaluate(SHIFTS)) as number
