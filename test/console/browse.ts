import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { openBrowser } from '../support/browser.js'
import { tell } from './told.js'

/** The browser, on a busy machine. */
const PATIENCE_MS = 60_000
export const PASSWORD = 'correct horse battery'
export const WIDE = { width: 1280, height: 860 }
export const NARROW = { width: 390, height: 844 }
const SHOTS = path.resolve('test-results')
const axeScript = () => readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** In the page, where this file's types do not reach. */
const AXE_RUN = `axe
  .run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })
  .then(({ violations }) => violations.map(({ id, impact, nodes }) => ({
    id,
    impact,
    nodes: nodes.map(({ html, failureSummary }) => html.slice(0, 200) + ' ' + failureSummary)
  })))`

export type Visitor = Awaited<ReturnType<typeof visit>>

type Story = { name: string; passing(): boolean; teardown(fn: () => Promise<void>): void }

/**
 * Somebody with a clean browser: whatever its console says in anger, or the server refuses, is in `troubles`. A test that
 * has a visitor and passes is a journey, unless it only looks at screens.
 */
export async function visit(t: Story, url: string, { journey = true }: { journey?: boolean } = {}) {
  const browser: BrowserContext = await openBrowser(t)
  t.teardown(async () => {
    if (journey && t.passing()) tell.journey(t.name)
  })
  browser.setDefaultTimeout(PATIENCE_MS)
  const page = await browser.newPage()
  // What was on the screen when the story ended, well or badly.
  t.teardown(async () => void (await page.screenshot({ path: path.join(SHOTS, 'last.png') }).catch(() => {})))
  await page.setViewportSize(WIDE)
  // A colour on its way from one to another has a contrast nobody reads by.
  await page.emulateMedia({ reducedMotion: 'reduce' })
  const troubles: string[] = []
  /** Refusals a story brings about on purpose, as `POST /v1/auth/login 401`. */
  const expected = new Set<string>()
  page.on('console', (message) => {
    // A refused request is told by the response, with its address.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      troubles.push(`console: ${message.text()}`)
    }
  })
  page.on('pageerror', (error) => troubles.push(`page: ${error.stack ?? error.message}`))
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? ''
    if (why !== 'net::ERR_ABORTED') troubles.push(`request: ${request.method()} ${request.url()} ${why}`)
  })
  page.on('response', (response) => {
    if (response.status() < 400) return
    const told = `${response.request().method()} ${new URL(response.url()).pathname} ${response.status()}`
    if (!expected.has(told)) troubles.push(told)
  })

  const open = (at: string) => page.goto(url + at)
  const speak = (language: 'zh-CN' | 'en') => page.evaluate(`localStorage.setItem('hongyan.language', '${language}')`)
  const dress = (theme: 'light' | 'dark') => page.evaluate(`localStorage.setItem('hongyan.theme', '${theme}')`)

  return {
    browser,
    page,
    troubles,
    expected,
    speak,
    dress,
    open,
    /** Opens a page as somebody who reads English. */
    async arrive(at: string) {
      await open('/')
      await speak('en')
      await open(at)
    },
    /** Makes the owner of a fresh installation, on its first page. */
    async setUp(code: string) {
      await page.getByLabel('Set-up code').fill(code)
      await page.getByLabel('Email').fill('owner@example.com')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Create and go on' }).click()
    },
    async signIn(email: string) {
      await page.locator('input[name=email]').fill(email)
      await page.locator('input[name=password]').fill(PASSWORD)
      await page.locator('button[type=submit]').click()
    },
    /** Nothing is being loaded any more. */
    async settle() {
      await page.waitForLoadState('load')
      await page.locator('body:not(:has([aria-busy=true]))').waitFor()
    },
    async shot(name: string) {
      mkdirSync(SHOTS, { recursive: true })
      await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true })
    },
    /** What axe-core finds serious or critical. */
    async barriers(): Promise<string[]> {
      // Handed over from outside, as a visitor's own tools are: the page's policy is about the page's scripts.
      await page.evaluate(axeScript())
      const found = (await page.evaluate(AXE_RUN)) as { id: string; impact: string; nodes: string[] }[]
      const wrong = found
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).join(' | ')}`)
      tell.barriers(wrong.length)
      return wrong
    },
    /** Does anything stick out to the right? */
    overflow: (): Promise<number> =>
      page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
  }
}

type Look = readonly ['zh-CN' | 'en', 'light' | 'dark', typeof WIDE]
const LOOKS: readonly Look[] = [
  ['zh-CN', 'light', WIDE],
  ['en', 'dark', WIDE],
  ['zh-CN', 'dark', NARROW],
  ['en', 'light', NARROW]
]
/** Each language, theme and width once: for parts of a screen that is seen in every look elsewhere. */
export const TWO_LOOKS: readonly Look[] = [LOOKS[0]!, LOOKS[3]!]

/** Every look of one screen: both languages and themes, wide and narrow. @returns what is wrong with them */
export async function looks(
  visitor: Visitor,
  at: string,
  name: string,
  ready: (page: Page) => Promise<unknown>,
  which: readonly Look[] = LOOKS
) {
  const wrong: string[] = []
  for (const [language, theme, size] of which) {
    await visitor.speak(language)
    await visitor.dress(theme)
    await visitor.page.setViewportSize(size)
    await visitor.open(at)
    await ready(visitor.page)
    await visitor.settle()
    const look = `${name}-${language}-${theme}-${size.width}`
    await visitor.shot(look)
    wrong.push(...(await visitor.barriers()).map((barrier) => `${look}: ${barrier}`))
    const over = await visitor.overflow()
    if (over > 0) wrong.push(`${look}: sticks out by ${over} px`)
  }
  await visitor.page.setViewportSize(WIDE)
  tell.screen(name)
  return wrong
}
