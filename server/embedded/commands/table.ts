import { aggregateCommands } from './aggregate.js'
import { collectionCommands } from './collections.js'
import type { CommandSpec } from './command.js'
import { countCommands } from './count.js'
import { deleteCommands } from './delete.js'
import { explainCommands } from './explain.js'
import { findCommands } from './find.js'
import { findAndModifyCommands } from './find-and-modify.js'
import { helloCommands } from './hello.js'
import { indexCommands } from './indexes.js'
import { insertCommands } from './insert.js'
import { updateCommands } from './update.js'

/** Every command, under the name it goes by. What is not here is answered with code 59. */
export const COMMANDS: Readonly<Record<string, CommandSpec>> = {
  ...helloCommands,
  ...findCommands,
  ...insertCommands,
  ...updateCommands,
  ...deleteCommands,
  ...findAndModifyCommands,
  ...countCommands,
  ...aggregateCommands,
  ...indexCommands,
  ...collectionCommands,
  ...explainCommands
}

/** Older or other spellings MongoDB takes too. */
const ALIASES: Record<string, string> = {
  isMaster: 'hello',
  ismaster: 'hello',
  buildinfo: 'buildInfo',
  findandmodify: 'findAndModify',
  deleteIndexes: 'dropIndexes',
  dbstats: 'dbStats',
  collstats: 'collStats'
}

/** The command called `name`, with the name it goes by here. */
export function specOf(name: string): (CommandSpec & { name: string }) | null {
  const known = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name
  return Object.hasOwn(COMMANDS, known) ? { ...COMMANDS[known], name: known } : null
}
