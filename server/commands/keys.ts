import { readConfig } from '../config.js'
import { loadKeys, newKeyLine, parseKeyLine, rotateKeys } from '../platform/keys.js'
import { Fault, readArguments, UsageFault, type Command } from './command.js'
import { mustBeWritable } from './data-dir.js'

/** `hongyan keys`: the ring everything sealed hangs on. */
export const keysCommand: Command = {
  usage: 'hongyan keys new | list | rotate',
  async run(argv, io) {
    const [verb] = readArguments(argv, {}, { min: 1, max: 1 }).positionals
    if (verb === 'new') {
      io.out(newKeyLine())
      return 0
    }
    const { keys, dataDir } = readConfig(io.env)
    if (keys === null) await mustBeWritable(dataDir)
    if (verb === 'list') {
      const { sealing } = keys === null ? (await loadKeys(dataDir)).keyring : parseKeyLine(keys)
      sealing.forEach(({ id }, index) => io.out(index === 0 ? `${id}  current` : id))
      return 0
    }
    if (verb === 'rotate') {
      if (keys !== null) throw new Fault('the keys come from HONGYAN_KEYS: put a new one in front there, after `hash:`')
      io.out(`${await rotateKeys(dataDir)} is the current key now; restart the processes so that they use it`)
      return 0
    }
    throw new UsageFault(`"${verb}" is none of new, list, rotate`)
  }
}
