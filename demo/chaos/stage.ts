import type { Installation } from './installation.js'

/**
 * Where a run from the command line takes place: says what happens, with the seconds since its beginning, and takes
 * everything down when it is told to stop.
 */
export function createStage() {
  const began = performance.now()
  let standing: Installation | null = null
  let stopping = false
  const step = (text: string): void => {
    const since = `${Math.round((performance.now() - began) / 1000)} s`.padStart(6)
    process.stderr.write(`${since}  ${text}\n`)
  }
  const stop = async () => {
    stopping = true
    await standing?.strike()
    process.exit(130)
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => void stop())

  return {
    step,

    /**
     * Runs `what` and removes what it built. @returns null when it broke: why was said, the logs stay, and something may
     * still be under way that nobody waits for
     */
    async play<T>(what: string, run: (built: (installation: Installation) => void) => Promise<T>): Promise<T | null> {
      try {
        const value = await run((installation) => (standing = installation))
        await standing?.strike()
        return value
      } catch (error) {
        if (stopping) await new Promise(() => {}) // it broke because its processes go; the end comes from there
        step(`${what} broke: ${error instanceof Error ? error.stack : String(error)}`)
        if (standing !== null) step(`what the processes printed is in ${standing.dir}/*.log`)
        await standing?.processes.killAll()
        return null
      } finally {
        standing = null
      }
    }
  }
}
