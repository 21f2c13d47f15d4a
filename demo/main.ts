import { parseArgs } from 'node:util'
import { readOrSay } from './command-line.js'
import { SHOP } from './accounts.js'
import { agreed } from './report.js'
import type { Scene } from './scenes/scene.js'
import { campaigns } from './scenes/campaigns.js'
import { kills } from './scenes/kills.js'
import { phones } from './scenes/phones.js'
import { tour } from './scenes/tour.js'
import type { Stage } from './stage.js'

const SCENES: Readonly<Record<string, Scene>> = { tour, kills, phones, campaigns }
const USAGE = 'usage: npm run demo -- [--once] [--json] [--scene NAME] [--seed N] [--phones N]'

type Wish = { once: boolean; json: boolean; scene: string; seed: number; phones: number | null }

/** Reads the command line. @throws Error saying what is wrong with it */
function readWish(argv: string[]): Wish {
  const { values } = parseArgs({
    args: argv,
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      scene: { type: 'string', default: 'tour' },
      seed: { type: 'string', default: '1' },
      phones: { type: 'string' }
    }
  })
  if (!Object.hasOwn(SCENES, values.scene)) {
    throw new Error(`there is no scene "${values.scene}"; there are: ${Object.keys(SCENES).join(', ')}`)
  }
  const seed = Number(values.seed)
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed} is no whole number`)
  const phones = values.phones === undefined ? null : Number(values.phones)
  if (phones !== null && values.scene !== 'phones') throw new Error(`--phones is for the scene phones`)
  if (phones !== null && !(Number.isSafeInteger(phones) && phones > 0)) {
    throw new Error(`--phones ${values.phones} is no number of phones`)
  }
  return { once: values.once, json: values.json, scene: values.scene, seed, phones }
}

/** `cut`: something may still be under way that nobody waits for any more. */
async function main(): Promise<{ code: number; cut?: true }> {
  const wish = readOrSay(readWish, USAGE)
  if (wish === null) return { code: 2 }
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
    .play({
      seed: wish.seed,
      phones: wish.phones,
      step,
      progress: news.progress,
      stageBuilt(built) {
        stage = built
        // What is about to happen can be watched; with --once it is all over before anybody has looked.
        if (!wish.once) tell(`\nWatch it in the console, open without signing in:\n${built.consoleUrl}\n`)
      }
    })
    .finally(news.stop)
  try {
    const ending = await Promise.race([play, stopped])
    if (typeof ending === 'number') {
      play.catch(() => {}) // what it was about to do fails now that its processes go
      return { code: ending, cut: true }
    }
    const seconds = Math.round((performance.now() - began) / 100) / 10
    tell(`\n${ending.table(seconds)}`)
    if (wish.json) {
      process.stdout.write(`${JSON.stringify({ scene: wish.scene, seconds, ...ending.facts })}\n`)
    }
    const code = agreed(ending.facts) ? 0 : 1
    if (wish.once) return { code }
    await invite(stage!, tell)
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

/** What a visitor may try while it all stays up: a phone of their own first. */
async function invite(stage: Stage, tell: (line: string) => void): Promise<void> {
  const { api, key, consoleUrl, sandbox } = stage
  const bearer = `-H 'authorization: Bearer ${key}'`
  const { address, openid } = await phonePage(stage)
  const message = {
    accountId: SHOP.appid,
    to: { openId: openid },
    templateId: SHOP.legacy,
    content: { keyword1: 'D1', keyword2: '飞雁速运', keyword3: 'FY7310025518', keyword4: '今天 16:40' },
    open: { page: 'pages/shop/shop' }
  }
  tell(
    [
      '',
      `It stays up until Ctrl-C. API ${api.url}/v1, its documentation ${api.url}/docs, WeChat ${sandbox.url}/`,
      `API key  ${key}`,
      '',
      'The console, open without signing in:',
      consoleUrl,
      '',
      'A phone with the demo shop on it: order, pay, subscribe, and see what arrives. Open in a browser:',
      address,
      'What its taps gave, newest first, each with its source:',
      `curl ${bearer} '${api.url}/v1/credentials?accountId=${SHOP.appid}&limit=3'`,
      'To send that phone a message:',
      `curl ${bearer} -H 'content-type: application/json' -H "idempotency-key: $RANDOM$RANDOM" '${api.url}/v1/messages' -d '${JSON.stringify(message)}'`,
      '',
      `curl ${bearer} '${api.url}/v1/messages?limit=3'`,
      `curl ${bearer} '${api.url}/v1/campaigns'`,
      `curl ${sandbox.url}/sandbox/ledger/summary`
    ].join('\n')
  )
}

/** The address of a new visitor's phone. Every scene connects the shop. */
async function phonePage({ api, sandbox }: Stage): Promise<{ address: string; openid: string }> {
  await sandbox.post('/sandbox/request-domains', { domains: [api.url] })
  const appids = (await sandbox.get<{ appid: string }[]>('/sandbox/apps')).map(({ appid }) => appid)
  const [visitor] = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', { appids })
  const openid = visitor!.openids[SHOP.appid]!
  const query = new URLSearchParams({ appid: SHOP.appid, openid, server: api.url })
  return { address: `${sandbox.url}/phone?${query}`, openid }
}

const { code, cut } = await main()
if (cut) process.exit(code)
// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = code
