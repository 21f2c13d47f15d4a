/** What `read` makes of the command line; null when something is wrong with it, which is said, with the usage. */
export function readOrSay<T>(read: (argv: string[]) => T, usage: string): T | null {
  try {
    return read(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`)
    return null
  }
}
