// Pictures of the real console, for the documents: `npm run build && npm run screenshots`. A server of its own is started on a
// fresh directory, filled by "try with the sandbox", looked at with Chromium, and struck again. Needs Chromium
// (HONGYAN_CHROMIUM, or one in /usr/bin); writes docs/pictures/*.jpg.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright-core'

const MAIN = fileURLToPath(new URL('../dist/server/main.js', import.meta.url))
const OUT = fileURLToPath(new URL('../docs/pictures', import.meta.url))
const OWNER = { email: 'you@example.com', password: 'correct-horse-battery' }
/** All pictures together, so that the repository stays light. */
const MOST_BYTES = 300_000
const QUALITY = 62
const SHOTS = [
  { name: 'overview', at: '/', language: 'en', theme: 'light' },
  { name: 'campaign', at: 'campaign', language: 'zh-CN', theme: 'light' },
  { name: 'messages', at: '/messages', language: 'en', theme: 'dark' },
  { name: 'rights', at: '/credentials', language: 'zh-CN', theme: 'light' }
]

const browserPath = [
  process.env.HONGYAN_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome'
].find((path) => path && existsSync(path))
if (browserPath === undefined) throw new Error('no Chromium here: apt-get install chromium, or set HONGYAN_CHROMIUM')

const dir = mkdtempSync(join(tmpdir(), 'hongyan-pictures-'))
const server = spawn(process.execPath, [MAIN, 'serve', '--port', '0'], {
  env: {
    PATH: process.env.PATH,
    HONGYAN_DATA: dir,
    HONGYAN_LOG_LEVEL: 'warn',
    HONGYAN_ADMIN_EMAIL: OWNER.email,
    HONGYAN_ADMIN_PASSWORD: OWNER.password
  },
  stdio: ['ignore', 'ignore', 'inherit', 'ipc']
})
let browser = null
try {
  const { url } = await new Promise((resolve, reject) => {
    server.once('message', resolve)
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const call = async (path, { method = 'GET', body, token } = {}) => {
    const headers = {
      ...(body && { 'content-type': 'application/json' }),
      ...(token && { authorization: `Bearer ${token}` })
    }
    const answer = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.status === 204 ? null : answer.json()
  }
  const { token } = await call('/v1/auth/login', { method: 'POST', body: OWNER })
  await call('/v1/tryout', { method: 'POST', body: {}, token })
  // The campaign that runs is the one with something to see.
  let sent
  for (let tries = 0; sent === undefined && tries < 120; tries++) {
    sent = (await call('/v1/dashboard/summary', { token })).running[0]?.campaignId
    await sleep(500)
  }
  if (sent === undefined) throw new Error('no campaign of the sandbox came to run within a minute')
  await sleep(25_000) // most of it goes out, and the figures follow

  mkdirSync(OUT, { recursive: true })
  browser = await chromium.launch({
    executablePath: browserPath,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--force-device-scale-factor=1']
  })
  let bytes = 0
  for (const { name, at, language, theme } of SHOTS) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: language })
    const page = await context.newPage()
    await page.goto(url)
    await page.evaluate(
      async ({ owner, language, theme }) => {
        localStorage.setItem('hongyan.language', language)
        localStorage.setItem('hongyan.theme', theme)
        await fetch('/v1/auth/login', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(owner)
        })
      },
      { owner: OWNER, language, theme }
    )
    await page.goto(url + (at === 'campaign' ? `/campaigns/${sent}` : at))
    await page.waitForLoadState('load')
    await sleep(3_000) // charts are drawn, and fade in
    const path = join(OUT, `${name}.jpg`)
    await page.screenshot({ path, type: 'jpeg', quality: QUALITY })
    bytes += statSync(path).size
    process.stdout.write(`${path} ${statSync(path).size} bytes\n`)
    await context.close()
  }
  if (bytes > MOST_BYTES) throw new Error(`the pictures are ${bytes} bytes, of ${MOST_BYTES}`)
} finally {
  await browser?.close()
  server.kill('SIGTERM')
  await new Promise((resolve) => (server.exitCode === null ? server.once('exit', resolve) : resolve()))
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
}
