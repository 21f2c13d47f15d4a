import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readOrSay } from '../demo/command-line.js'
import { audiences } from './campaigns.js'
import { consoles } from './console.js'
import { dueWaits, eventIntake, eventLatency } from './events.js'
import { figuresOf, tableOf, type Figure } from './figure.js'
import { first } from './first.js'
import { healthz } from './healthz.js'
import { plotOf } from './plot.js'
import { sandbox } from './sandbox.js'
import { sender } from './sender.js'
import { store } from './store.js'

/** A section measures its figures one after another; `say` tells what it is at. `full`: at length, where that is told apart. */
type Section = (say: (line: string) => void, how: { full: boolean }) => Promise<Figure[]>

const SECTIONS: Readonly<Record<string, Section>> = {
  first,
  store: async (say) => [...(await store(say)), ...(await healthz(say))],
  sandbox,
  sender,
  campaigns: (say) =>
    figuresOf('campaigns', say, {
      audiences: () => audiences(say),
      'event-intake': () => eventIntake(say),
      'event-to-call': () => eventLatency(say),
      'due-waits': () => dueWaits(say)
    }),
  console: consoles
}
const USAGE = 'usage: npm run bench -- [--only SECTION,…] [--full] [--json]'
/** Beside where it is run; git does not look there. */
const OUT = join('bench', 'out')

/** Which sections, and how to tell. @throws Error saying what is wrong with the command line */
function readWish(argv: string[]): { only: string[]; full: boolean; json: boolean } {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string' },
      full: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  const only = values.only === undefined ? Object.keys(SECTIONS) : values.only.split(',')
  const stranger = only.find((name) => !Object.hasOwn(SECTIONS, name))
  if (stranger !== undefined) {
    throw new Error(`there is no section "${stranger}"; there are: ${Object.keys(SECTIONS).join(', ')}`)
  }
  return { only, full: values.full, json: values.json }
}

async function main(): Promise<number> {
  const wish = readOrSay(readWish, USAGE)
  if (wish === null) return 2
  const figures: Figure[] = []
  for (const name of wish.only) {
    const say = (line: string) => void process.stderr.write(`${name}: ${line}\n`)
    const measured = await SECTIONS[name]!(say, wish)
    figures.push(...measured)
    const plot = join(OUT, `${name}.svg`)
    await mkdir(OUT, { recursive: true })
    const drawn = measured.filter(({ figure }) => Number.isFinite(figure))
    await writeFile(plot, plotOf(drawn, `${name}, ${new Date().toISOString().slice(0, 10)}`))
    say(`drawn in ${plot}`)
  }
  process.stdout.write(`${wish.json ? JSON.stringify(figures) : tableOf(figures)}\n`)
  return 0
}

// Set and not forced: what is still being written to a pipe gets out first.
process.exitCode = await main()
