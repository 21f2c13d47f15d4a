import { EmbeddedStoreError } from '../embedded/storage/store-error.js'
import { AppError } from '../platform/errors.js'
import { VERSION } from '../version.js'
import { Fault, UsageFault, type Command, type Io } from './command.js'

/** Each command with its line of help; its code is loaded when it is asked for, so that small ones start at once. */
const COMMANDS: Record<string, { summary: string; load(): Promise<Command> }> = {
  serve: {
    summary: 'everything in one process: store (unless MONGODB_URI), API and sending',
    load: async () => (await import('./serve.js')).serveCommand
  },
  api: {
    summary: 'the API alone; run as many as needed',
    load: async () => (await import('./serve.js')).apiCommand
  },
  worker: {
    summary: 'jobs and sending alone; with --port it answers /healthz and /readyz there',
    load: async () => (await import('./serve.js')).workerCommand
  },
  sandbox: {
    summary: 'a local WeChat for trying and testing',
    load: async () => (await import('./companions.js')).sandboxCommand
  },
  demo: {
    summary: 'see the whole kit at work: phones, server and a local WeChat',
    load: async () => (await import('./companions.js')).demoCommand
  },
  doctor: {
    summary: 'check node, settings, keys, store and accounts',
    load: async () => (await import('./doctor.js')).doctorCommand
  },
  store: {
    summary: 'run the embedded store by itself, check it, or copy it to another directory',
    load: async () => (await import('./store.js')).storeCommand
  },
  export: {
    summary: 'everything in the store, or in a MongoDB, as lines of JSON in a file',
    load: async () => (await import('./export.js')).exportCommand
  },
  import: {
    summary: 'fill an empty store, or an empty MongoDB, with such a file',
    load: async () => (await import('./import.js')).importCommand
  },
  keys: {
    summary: 'the key ring: print a new one, name its keys, or add a fresh one to keys.json',
    load: async () => (await import('./keys.js')).keysCommand
  },
  key: {
    summary: 'make an API key; prints it, once',
    load: async () => (await import('./key.js')).keyCommand
  },
  account: {
    summary: 'connect a mini-program or service account, or list them',
    load: async () => (await import('./account.js')).accountCommand
  }
}

/**
 * Runs one command line and resolves with its exit code: 0 done, 1 something is wrong with the surroundings (said in a
 * line or a short list on standard error), 2 the command line itself is wrong. Bugs alone show a stack.
 */
export async function runCli(argv: string[], io: Io): Promise<number> {
  const [name = 'help', ...rest] = argv
  if (name === '--version' || name === '-v') {
    io.out(VERSION)
    return 0
  }
  if (['help', '--help', '-h'].includes(name)) {
    io.out(await help())
    return 0
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : null
  if (entry === null) {
    io.err(`hongyan: there is no command "${name}"\n\n${await help()}`)
    return 2
  }
  const command = await entry.load()
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(`usage: ${command.usage}\n\n${entry.summary}`)
    return 0
  }
  try {
    return await command.run(rest, io)
  } catch (error) {
    if (error instanceof UsageFault) {
      io.err(`hongyan ${name}: ${error.message}\nusage: ${command.usage}`)
      return 2
    }
    const known = (await faults()).some((kind) => error instanceof kind)
    const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error)
    io.err(`hongyan ${name}: ${text}`)
    return 1
  }
}

/** Errors that are no bugs of ours. Those of rooms that take their time to load come along only when there was one. */
async function faults() {
  const { ConfigFault } = await import('../config.js')
  const { KeysFault } = await import('../platform/keys.js')
  return [Fault, ConfigFault, KeysFault, EmbeddedStoreError, AppError]
}

async function help(): Promise<string> {
  const { VARIABLES } = await import('../config.js')
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(9)}${summary}`)
  const variables = VARIABLES.map(({ name, meaning, default: value }) => `  ${name.padEnd(24)}${meaning} (${value})`)
  return [
    'usage: hongyan <command> [options]      hongyan <command> --help',
    '',
    ...commands,
    '',
    'environment:',
    ...variables
  ].join('\n')
}
