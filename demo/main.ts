import { parseArgs } from 'node:util'
import { agreed, summaryOf, tableOf } from './report.js'
import type { Scene } from './scenes/scene.js'
import { kills } from './scenes/kills.js'
import { tour } from './scenes/tour.js'
import type { Stage } from './stage.js'

const SCENES: Readonly<Record<string, Scene>> = { tour, kills }
const USAGE = 'usage: npm run demo -- [--once] [--json] [--scene NAME] [--seed N]'

type Wish = { once: boolean; json: boolean; scene: string; seed: number }

/** Reads the command line. @throws Error saying what is wrong with it */
function readWish(argv: string[]): Wish {
  const { values } = parseArgs({
    args: argv,
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      scene: { type: 'string', default: 'tour' },
      seed: { type: 'string', default: '1' }
    }
  })
  if (!Object.hasOwn(SCENES, values.scene)) {
    throw new Error(`there is no scene "${values.scene}"; there are: ${Object.keys(SCENES).join(', ')}`)
  }
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed} is no whole number`)
  return { once: values.once, json: values.json, scene: values.scene, seed }
}

/** `cut`: something may still be under way that nobody waits for any more. */
async function main(): Promise<{ code: number; cut?: true }> {
  let wish: Wish
  try {
    wish = readWish(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return { code: 2 }
  }
  const began = performance.now()
  const tell = (line: string) => void (wish.json ? process.stderr : process.stdout).write(`${line}\n`)
  const since = () => `${Math.round((performance.now() - began) / 1000)} s`.padStart(6)
  const step = (line: string) => tell(`${since()}  ${line}`)
  const news = steady(step)

  let stage: Stage | null = null
  const stopped = new Promise<number>((resolve) => {
    // Ctrl-C reaches this process alone: the others are in groups of their own and stopped in order.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => resolve(130))
  })
  const scene = SCENES[wish.scene]!
  const play = scene
    .play({ seed: wish.seed, step, progress: news.progress, stageBuilt: (built) => void (stage = built) })
    .finally(news.stop)
  try {
    const outcome = await Promise.race([play, stopped])
    if (typeof outcome === 'number') {
      play.catch(() => {}) // what it was about to do fails now that its processes go
      return { code: outcome, cut: true }
    }
    const seconds = Math.round((performance.now() - began) / 100) / 10
    const summary = summaryOf(wish.scene, seconds, outcome)
    tell(`\n${tableOf(summary, outcome)}`)
    if (wish.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
    const code = agreed(summary) ? 0 : 1
    if (wish.once) return { code }
    invite(stage!, tell)
    await stopped
    return { code }
  } catch (error) {
    const dir = (stage as Stage | null)?.dir ?? (error as { dir?: string }).dir
    tell(`the scene broke: ${error instanceof Error ? error.stack : String(error)}`)
    if (dir !== undefined) tell(`what the processes printed is in ${dir}/*.log`)
    await (stage as Stage | null)?.processes.killAll()
    stage = null
    return { code: 1, cut: true }
  } finally {
    await (stage as Stage | null)?.strike()
  }
}

/** Passes the newest news on once a second, so that fast ones do not flood; the same again only every fifth time. */
function steady(step: (line: string) => void) {
  let newest: string | null = null
  let told: string | null = null
  let repeats = 0
  const timer = setInterval(() => {
    if (newest === null) return
    repeats = newest === told ? repeats + 1 : 0
    if (repeats % 5 === 0) step(newest)
    told = newest
    newest = null
  }, 1000)
  return { progress: (line: string) => void (newest = line), stop: () => clearInterval(timer) }
}

/** What a visitor may try while it all stays up. */
function invite({ api, key, sandbox }: Stage, tell: (line: string) => void): void {
  const bearer = `-H 'authorization: Bearer ${key}'`
  tell(
    [
      '',
      `It stays up until Ctrl-C. API ${api.url}/v1, its documentation ${api.url}/docs, WeChat ${sandbox.url}/`,
      `API key  ${key}`,
      '',
      `curl ${bearer} '${api.url}/v1/messages?limit=3'`,
      `curl ${bearer} '${api.url}/v1/campaigns'`,
      `curl ${sandbox.url}/sandbox/ledger/summary`
    ].join('\n')
  )
}

const { code, cut } = await main()
if (cut) process.exit(code)
// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = code
