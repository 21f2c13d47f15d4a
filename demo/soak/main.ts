import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { readOrSay } from '../command-line.js'
import { createStage } from '../chaos/stage.js'
import { PLAIN } from '../report.js'
import { passed, runSoak, type Soak, type Wish } from './run.js'

const USAGE = 'usage: npm run soak -- [--minutes M] [--per-second N] [--seed N] [--json]'

/** Reads the command line. @throws Error saying what is wrong with it */
function readLine(argv: string[]): Wish & { json: boolean } {
  const { values } = parseArgs({
    args: argv,
    options: {
      minutes: { type: 'string', default: '10' },
      'per-second': { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false }
    }
  })
  const number = (name: 'minutes' | 'per-second' | 'seed', least: number): number => {
    const n = Number(values[name])
    if (!Number.isFinite(n) || n < least) throw new Error(`--${name} ${values[name]} is no number from ${least}`)
    return n
  }
  return {
    minutes: number('minutes', 0.1),
    perSecond: number('per-second', 1),
    seed: number('seed', 0),
    json: values.json
  }
}

function tableOf(soak: Soak): string {
  const table = new Table({ ...PLAIN, head: ['what', 'figure'] })
  const { lost, double, stuck, disagreements, unexplained, kills, messages, captured, events, told } = soak
  table.push(
    ['minutes', soak.minutes],
    ['messages · rights of phones · events · dashboards told', `${messages} · ${captured} · ${events} · ${told}`],
    ['killed: api · worker', `${kills.api} · ${kills.worker}`],
    ['faults', Object.values(soak.faults).reduce((sum, n) => sum + n, 0)],
    ['lost · double · stuck', `${lost} · ${double} · ${stuck}`],
    ['disagreements · unexplained', `${disagreements} · ${unexplained}`],
    ['success', `${(100 * soak.success).toFixed(2)} %`]
  )
  for (const { name, middleMb, endMb, slopeMbPerMinute } of soak.memory)
    table.push([`memory of ${name}`, `${middleMb} → ${endMb} MB, ${slopeMbPerMinute} MB a minute`])
  for (const [role, ms] of Object.entries(soak.loopP99Ms)) table.push([`event loop of ${role}, p99`, `${ms} ms`])
  return `${table.toString()}\n${passed(soak) ? '✓ nothing lost, double or stuck; memory flat' : '✗ not fine'}`
}

/** `cut`: something may still be under way that nobody waits for any more. */
async function main(): Promise<{ code: number; cut?: true }> {
  const line = readOrSay(readLine, USAGE)
  if (line === null) return { code: 2 }
  const { step, play } = createStage()
  const soak = await play('the soak', (built) => runSoak(line, { step, built }))
  if (soak === null) return { code: 1, cut: true }
  for (const { kind, text } of soak.findings.slice(0, 20)) step(`  ${kind}: ${text}`)
  for (const end of soak.crashes) step(`  a process ended by itself:\n${end}`)
  const { findings, ...facts } = soak
  process.stdout.write(
    line.json
      ? `${JSON.stringify({ ok: passed(soak), ...facts, findings: findings.slice(0, 50) })}\n`
      : `${tableOf(soak)}\n`
  )
  return { code: passed(soak) ? 0 : 1 }
}

const { code, cut } = await main()
if (cut) process.exit(code)
// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = code
