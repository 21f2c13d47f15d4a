import t from 'tap'
import { spawn } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../support/live-app.js'
import { visit } from './browse.js'

t.setTimeout(300_000)

/** `npm run demo`, compiled or not, as this file itself is. */
const DEMO = fileURLToPath(new URL(`../../demo/main${extname(import.meta.url)}`, import.meta.url))

t.test(
  'the demo says where its console is; it opens without a sign-in, says so, and shows what is going on',
  async (t) => {
    const demo = spawn(process.execPath, [...process.execArgv, DEMO], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise<number | null>((resolve) => demo.once('exit', resolve))
    t.teardown(async () => {
      demo.kill('SIGINT')
      await ended
    })
    const address = await new Promise<string>((resolve, reject) => {
      let said = ''
      demo.stdout.on('data', (part: Buffer) => {
        said += part.toString()
        const found = /https?:\/\/\S+\/#demo=[\w-]+/.exec(said)
        if (found !== null && said.includes('without signing in')) resolve(found[0])
      })
      void ended.then((code) => reject(new Error(`the demo ended with ${code}:\n${said}`)))
    })

    const visitor = await visit(t, new URL(address).origin)
    const { page } = visitor
    await visitor.open('/healthz')
    await visitor.speak('en')
    await page.goto(address)
    await page.locator('.demo').waitFor()
    t.match(await page.locator('.demo').textContent(), /demo/i)
    t.equal(await page.locator('input[name=password]').count(), 0)
    await page.locator('[data-test=line]').filter({ hasText: 'Live' }).waitFor()
    const accepted = async () => Number((await page.locator('.tiles strong').nth(1).textContent())!.replaceAll(',', ''))
    await until('messages go out', accepted, (n) => n > 0, 120_000)
    await visitor.shot('demo')
    t.same(visitor.troubles, [])
    demo.kill('SIGINT')
    t.equal(await ended, 130, 'Ctrl-C ends it')
  }
)
