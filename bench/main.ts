import { parseArgs } from 'node:util'
import { audiences } from './campaigns.js'
import { dueWaits, eventIntake, eventLatency } from './events.js'
import { tableOf, type Figure } from './figure.js'
import { first } from './first.js'
import { healthz } from './healthz.js'
import { sandbox } from './sandbox.js'
import { store } from './store.js'

/** A section measures its figures one after another; `say` tells what it is at. */
type Section = (say: (line: string) => void) => Promise<Figure[]>

const SECTIONS: Readonly<Record<string, Section>> = {
  first,
  store: async (say) => [...(await store(say)), ...(await healthz(say))],
  sandbox,
  campaigns: async (say) => [
    ...(await audiences(say)),
    ...(await eventIntake(say)),
    ...(await eventLatency(say)),
    ...(await dueWaits(say))
  ]
}
const USAGE = 'usage: npm run bench -- [--only SECTION,…] [--json]'

/** Which sections, and how to tell. @throws Error saying what is wrong with the command line */
function readWish(argv: string[]): { only: string[]; json: boolean } {
  const { values } = parseArgs({
    args: argv,
    options: { only: { type: 'string' }, json: { type: 'boolean', default: false } }
  })
  const only = values.only === undefined ? Object.keys(SECTIONS) : values.only.split(',')
  const stranger = only.find((name) => !Object.hasOwn(SECTIONS, name))
  if (stranger !== undefined) {
    throw new Error(`there is no section "${stranger}"; there are: ${Object.keys(SECTIONS).join(', ')}`)
  }
  return { only, json: values.json }
}

async function main(): Promise<number> {
  let wish
  try {
    wish = readWish(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return 2
  }
  const figures: Figure[] = []
  for (const name of wish.only) {
    figures.push(...(await SECTIONS[name]!((line) => void process.stderr.write(`${name}: ${line}\n`))))
  }
  process.stdout.write(`${wish.json ? JSON.stringify(figures) : tableOf(figures)}\n`)
  return 0
}

// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = await main()
