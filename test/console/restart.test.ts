import t from 'tap'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '../../demo/client.js'
import { createProcesses } from '../../demo/processes.js'
import { until } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(300_000)

/** A port nobody has just now. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

t.test('a server that is killed while it is watched is found again, and nobody signs in anew', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-restart-'))
  const processes = createProcesses({ dir })
  t.teardown(async () => {
    await processes.killAll()
    rmSync(dir, { recursive: true, force: true })
  })
  const port = await freePort()
  const env = {
    HONGYAN_DATA: dir,
    HONGYAN_LOG_LEVEL: 'warn',
    HONGYAN_LOG_PRETTY: 'false',
    HONGYAN_ADMIN_EMAIL: 'o@example.com',
    HONGYAN_ADMIN_PASSWORD: PASSWORD
  }
  const start = () => processes.start('serve', ['serve', '--port', String(port)], { env })
  const first = await start()
  const url = first.facts.url!
  const door = createClient(url)
  t.teardown(() => door.close())
  const { token } = await door.post('/v1/auth/login', { email: 'o@example.com', password: PASSWORD })
  await door.as(token).post('/v1/tryout')

  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/')
  await visitor.signIn('o@example.com')
  const line = page.locator('[data-test=line]')
  await line.filter({ hasText: 'Live' }).waitFor()
  const accepted = async () => Number((await page.locator('.tiles strong').nth(1).textContent())!.replaceAll(',', ''))
  await until('some are accepted', accepted, (n) => n > 5, 60_000)
  const before = await accepted()
  await page.locator('canvas').first().waitFor()

  await processes.kill(first)
  await line.filter({ hasText: 'Connection lost, trying again' }).waitFor()
  await visitor.shot('dashboard-broken')
  t.ok((await accepted()) >= before, 'what was known stays on the screen')
  t.same(await visitor.barriers(), [])
  await start()
  await line.filter({ hasText: 'Live' }).waitFor()
  await until('more are accepted', accepted, (n) => n > before, 60_000)
  t.equal(await page.getByRole('dialog', { name: 'Your session has ended' }).count(), 0)
  t.equal(await page.locator('input[name=password]').count(), 0, 'the session outlived the server')
  // Whoever asks a server that is not there is told so by the browser.
  t.same(visitor.troubles.filter((trouble) => !/^request: .*(ERR_CONNECTION|ERR_EMPTY|ERR_INCOMPLETE|ERR_NETWORK)/.test(trouble)), []) // prettier-ignore
})
