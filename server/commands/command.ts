import type { Readable, Writable } from 'node:stream'
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** What a command may touch of the world around it; tests hand in their own. */
export type Io = {
  out(text: string): void
  err(text: string): void
  env: Record<string, string | undefined>
  /** Whole standard input, asked for only by `-` arguments. */
  stdin(): Promise<string>
  /** Standard input and output as they are, for commands that stand in a pipe. */
  input(): Readable
  output(): Writable & { isTTY?: boolean }
}

/** One word after `hongyan`. `run` resolves with the exit code. */
export type Command = {
  usage: string
  run(argv: string[], io: Io): Promise<number>
}

/** The command line is wrong: answered with the usage and exit code 2. */
export class UsageFault extends Error {}

/** Something the person at the keyboard can mend: one clear line and exit code 1, no stack. */
export class Fault extends Error {}

/** node's parseArgs with friendlier words. @throws UsageFault */
export function readArguments<const T extends NonNullable<ParseArgsConfig['options']>>(
  argv: string[],
  options: T,
  positionals: { min: number; max: number } = { min: 0, max: 0 }
) {
  let parsed
  try {
    parsed = parseArgs({ args: argv, options, allowPositionals: true, strict: true })
  } catch (error) {
    // node explains at length how to pass values that begin with a dash; the first sentence is what matters.
    throw new UsageFault((error instanceof Error ? error.message : String(error)).split('. ')[0]!.replace(/\.$/, ''))
  }
  const count = parsed.positionals.length
  if (count > positionals.max) throw new UsageFault(`"${parsed.positionals[positionals.max]}" is one word too many`)
  if (count < positionals.min) throw new UsageFault('a word is missing')
  return parsed
}

/** A whole number of a flag. @throws UsageFault */
export function readPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new UsageFault(`"${text}" is no port (0 to 65535)`)
  return port
}
