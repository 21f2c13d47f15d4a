import { parseArgs } from 'node:util'
import { readOrSay } from '../command-line.js'
import { FAULTS, type FaultsProfile } from './faults.js'
import { lineOf, passed, tableOf, totalsOf } from './report.js'
import { runSeed, type Outcome, type Wish } from './run.js'
import { createStage } from './stage.js'

const USAGE =
  'usage: npm run chaos -- [--messages N] [--seconds S] [--seeds N] [--seed FIRST] [--workers N] [--faults chaos|transient|none] [--kill-every MS] [--json]'

type Line = Omit<Wish, 'seed'> & { seeds: number[]; json: boolean }

/** Reads the command line. @throws Error saying what is wrong with it */
function readLine(argv: string[]): Line {
  const { values } = parseArgs({
    args: argv,
    options: {
      messages: { type: 'string', default: '10000' },
      seconds: { type: 'string', default: '60' },
      seeds: { type: 'string', default: '1' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '3' },
      faults: { type: 'string', default: 'chaos' },
      'kill-every': { type: 'string', default: '2000' },
      json: { type: 'boolean', default: false }
    }
  })
  const number = (name: keyof typeof values, least: number): number => {
    const n = Number(values[name])
    if (!Number.isSafeInteger(n) || n < least) throw new Error(`--${name} ${values[name]} is no number from ${least}`)
    return n
  }
  if (!FAULTS.includes(values.faults as FaultsProfile)) {
    throw new Error(`--faults ${values.faults} is none of ${FAULTS.join(', ')}`)
  }
  const first = number('seed', 0)
  return {
    messages: number('messages', 100),
    seconds: number('seconds', 1),
    seeds: Array.from({ length: number('seeds', 1) }, (_, i) => first + i),
    workers: number('workers', 1),
    faults: values.faults as FaultsProfile,
    killEveryMs: number('kill-every', 0),
    json: values.json
  }
}

/** `cut`: something may still be under way that nobody waits for any more. */
async function main(): Promise<{ code: number; cut?: true }> {
  const line = readOrSay(readLine, USAGE)
  if (line === null) return { code: 2 }
  const { step, play } = createStage()
  const outcomes: Outcome[] = []
  for (const seed of line.seeds) {
    const outcome = await play(`seed ${seed}`, (built) => runSeed({ ...line, seed }, { step, built }))
    if (outcome === null) return { code: 1, cut: true }
    outcomes.push(outcome)
    step(`seed ${seed}: ${passed(outcome) ? 'both books agree' : 'NOT FINE'}; ${lineOf(outcome)}`)
    for (const end of outcome.crashes) step(`  a process ended by itself:\n${end}`)
    for (const { kind, text } of outcome.findings.slice(0, 20)) step(`  ${kind}: ${text}`)
  }
  const totals = totalsOf(outcomes)
  process.stdout.write(
    line.json ? `${JSON.stringify({ ...totals, seeds: outcomes.map(shown) })}\n` : `${tableOf(outcomes)}\n`
  )
  return { code: outcomes.every(passed) ? 0 : 1 }
}

const shown = ({ findings, ...rest }: Outcome) => ({ ...rest, findings: findings.slice(0, 50) })

const { code, cut } = await main()
if (cut) process.exit(code)
// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = code
