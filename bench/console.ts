import { tables } from './console-tables.js'
import { firstPage } from './console-first.js'
import { withConsole } from './console-stage.js'
import { watching } from './console-watching.js'
import type { Figure } from './figure.js'
import { undisturbed } from './undisturbed.js'

/** The console as an operator feels it: what it weighs, how soon its tables are there, what watching costs. */
export async function consoles(say: (line: string) => void, { full }: { full: boolean }): Promise<Figure[]> {
  say('the first page')
  const light = await withConsole(firstPage)
  say('the overview while 2,000 messages go out a second')
  const watched = await withConsole((stage) => undisturbed(say, () => watching(stage)))
  const rows = full ? 1_000_000 : 100_000
  say(`tables of 10,000 campaigns and ${rows} messages`)
  return [...light, ...watched, ...(await withConsole((stage) => tables(stage, rows, say)))]
}
