import { parseArgs } from 'node:util'
import { createSandbox } from './sandbox.js'

const USAGE =
  'usage: hongyan sandbox [--port N] [--host ADDRESS] [--latency MIN-MAX] [--seed N] [--request-domain URL]...'

/**
 * `hongyan sandbox`: runs a local WeChat until SIGINT or SIGTERM. Prints one line with the address on standard output, then
 * nothing but troubles on standard error. Resolves with the exit code: 0 after a signal, 1 when it cannot listen, 2 for bad arguments.
 */
export async function runSandbox(argv: readonly string[]): Promise<number> {
  let settings
  try {
    settings = readArguments(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return 2
  }
  let sandbox
  try {
    sandbox = await createSandbox({ ...settings, log: (line) => process.stderr.write(`${line}\n`) })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why =
      code === 'EADDRINUSE' ? `port ${settings.port} is taken: choose another with --port` : (error as Error).message
    process.stderr.write(`the sandbox cannot start: ${why}\n`)
    return 1
  }
  process.stdout.write(`hongyan sandbox ${sandbox.url}\n`)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  await sandbox.close()
  return 0
}

/** Reads the command line. @throws Error naming the argument that is wrong */
export function readArguments(argv: readonly string[]) {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: 'string', default: '8199' },
      host: { type: 'string', default: '127.0.0.1' },
      latency: { type: 'string' },
      seed: { type: 'string' },
      'request-domain': { type: 'string', multiple: true }
    }
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port ${values.port} is no port (0–65535)`)
  const span = values.latency === undefined ? undefined : /^(\d+)-(\d+)$/.exec(values.latency)
  if (span === null || (span && Number(span[1]) > Number(span[2])))
    throw new Error(`--latency ${values.latency} is no span like 200-500`)
  const seed = values.seed === undefined ? undefined : Number(values.seed)
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed} is no whole number`)
  const requestDomains = values['request-domain']
  const odd = requestDomains?.find((one) => !URL.canParse(one) || !/^https?:$/.test(new URL(one).protocol))
  if (odd !== undefined) throw new Error(`--request-domain ${odd} is no address like http://127.0.0.1:8080`)
  return {
    port,
    host: values.host,
    ...(span === undefined ? {} : { latency: { minMs: Number(span[1]), maxMs: Number(span[2]) } }),
    ...(seed === undefined ? {} : { seed }),
    ...(requestDomains === undefined ? {} : { requestDomains })
  }
}
