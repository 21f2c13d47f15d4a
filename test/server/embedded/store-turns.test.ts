import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openEnv } from '../../../server/embedded/storage/env.js'

const busy = (ms: number) => {
  const until = performance.now() + ms
  while (performance.now() < until);
}

t.test('short writes go before long ones that wait beside them, and hold each of them up once only', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-turns-'))
  const env = openEnv(dir)
  t.teardown(async () => {
    await env.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const ran: string[] = []
  const run = (name: string) => () => {
    ran.push(name)
    busy(20) // longer than a transaction takes jobs in
  }
  const first = env.write(run('first'))
  await new Promise(setImmediate) // it is under way: whoever comes now waits
  const rest = [env.step(run('long'), true), env.write(run('short 1')), env.write(run('short 2'))]
  const late = rest[1]!.then(() => Promise.all([env.write(run('late 1')), env.write(run('late 2'))]))
  await Promise.all([first, ...rest, late])
  t.same(ran.slice(0, 3), ['first', 'short 1', 'short 2'], 'the long one let both go first')
  t.equal(ran.length, 6)
  t.ok(ran.indexOf('long') < ran.indexOf('late 2'), 'but is not put off for ever')
})
