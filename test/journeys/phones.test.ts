import { execFile } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const MAIN = fileURLToPath(new URL(`../../demo/main${extname(import.meta.url)}`, import.meta.url))

t.setTimeout(200_000)

// The full run has 10,000: npm run demo -- --scene phones --once --json
t.test(
  '150 phones, killed at random on a network that loses one request in three, lose and double nothing',
  { timeout: 180_000 },
  async (t) => {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [...process.execArgv, MAIN, '--once', '--json', '--scene', 'phones', '--phones', '150', '--seed', '3'],
      { maxBuffer: 1e8 }
    ).catch((error: { stdout: string; stderr: string }) => error)
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) || '{}')
    t.match(
      summary,
      { scene: 'phones', phones: 150, lost: 0, double: 0, disagreements: 0, queued: 0 },
      stderr.slice(-2000)
    )
    t.equal(summary.stored + summary.dropped, summary.caught, 'every catch is kept, or was dropped and counted')
    t.ok(summary.failedShare > 0.25 && summary.restarts > 150 && summary.caught > 300)
    t.comment(`${summary.seconds} s; ${stdout}`)
  }
)
