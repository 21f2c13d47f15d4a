import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, createWriteStream, openSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `hongyan`, compiled or not, as this file itself is. */
export const HONGYAN = fileURLToPath(new URL(`../server/main${extname(import.meta.url)}`, import.meta.url))

/** A process of ours that has said it is ready. */
export type Running = {
  name: string
  pid: number
  /** What it said when it was ready: the facts of its message, or the line that was waited for and the address in it. */
  facts: { url?: string; uri?: string; line?: string; clock?: string }
  /** Resolves when it has ended, by whatever cause. */
  ended: Promise<void>
}

export type StartOptions = {
  env?: Record<string, string>
  /** What tells that it is ready: the message it sends, or the first line it prints. */
  by?: 'message' | 'line'
  /** Another script than `hongyan`. */
  script?: string
}

export type Processes = ReturnType<typeof createProcesses>

const READY_MS = 30_000
const STOP_MS = 8_000

/**
 * Starts commands of `hongyan` as processes of their own, each in its own group, so that Ctrl-C in the terminal reaches
 * us alone and they can be stopped in order. What they print goes to `<dir>/<name>.log`. Only what was started here is
 * ever signalled, by its id.
 */
export function createProcesses({ dir }: { dir: string }) {
  const alive: { name: string; child: ChildProcess; ended: Promise<void> }[] = []
  const logFile = (name: string) => join(dir, `${name}.log`)
  const lastResort = () => {
    for (const { child } of alive) child.kill('SIGKILL')
  }
  process.on('exit', lastResort)

  /**
   * Runs `hongyan ...args` and waits until it is ready. @throws Error with the end of its log when it ends or stays silent
   */
  async function start(
    name: string,
    args: readonly string[],
    { env = {}, by = 'message', script = HONGYAN }: StartOptions = {}
  ): Promise<Running> {
    const log = openSync(logFile(name), 'a')
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
      detached: true,
      env: { ...surroundings(), ...env },
      stdio: ['ignore', by === 'line' ? 'pipe' : log, log, 'ipc']
    })
    closeSync(log)
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    const entry = { name, child, ended }
    alive.push(entry)
    void ended.then(() => alive.splice(alive.indexOf(entry), 1))
    const facts = await ready(name, child, by, ended)
    // The channel served its purpose; open, it would hold our own end back.
    if (child.connected) child.disconnect()
    return { name, pid: child.pid!, facts, ended }
  }

  function ready(
    name: string,
    child: ChildProcess,
    by: 'message' | 'line',
    ended: Promise<void>
  ): Promise<Running['facts']> {
    return new Promise((resolve, reject) => {
      const give = (why: string) => reject(new Error(`${name} ${why}\n${tail(name)}`))
      const timer = setTimeout(() => {
        give(`was not ready after ${READY_MS / 1000} s`)
        child.kill('SIGKILL') // nobody would know of it
      }, READY_MS)
      const take = (facts: Running['facts']) => {
        clearTimeout(timer)
        resolve(facts)
      }
      void ended.then(() => {
        clearTimeout(timer)
        give('ended before it was ready')
      })
      child.once('error', (error) => give(`could not be started: ${error.message}`))
      if (by === 'message') {
        child.on('message', (message: { kind?: string } | null) => {
          if (message?.kind === 'ready') take(message as Running['facts'])
        })
        return
      }
      const out = child.stdout!
      const copy = createWriteStream(logFile(name), { flags: 'a' })
      let seen = ''
      out.on('data', (part: Buffer) => {
        copy.write(part)
        if (seen.includes('\n')) return
        seen += part.toString()
        if (!seen.includes('\n')) return
        const line = seen.slice(0, seen.indexOf('\n'))
        const url = /https?:\/\/\S+/.exec(line)?.[0]
        take({ line, ...(url !== undefined && { url }) })
      })
      out.once('end', () => copy.end())
    })
  }

  /** The last lines a process printed. */
  function tail(name: string, lines = 12): string {
    try {
      return readFileSync(logFile(name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    } catch {
      return ''
    }
  }

  const find = ({ pid }: Running) => alive.find(({ child }) => child.pid === pid)

  return {
    start,
    tail,

    /** kill -9. Resolves when it is gone. */
    async kill(running: Running): Promise<void> {
      find(running)?.child.kill('SIGKILL')
      await running.ended
    },

    /** Asks it to end in good order, and insists after 8 s. */
    async stop(running: Running): Promise<void> {
      const entry = find(running)
      if (entry === undefined) return
      entry.child.kill('SIGTERM')
      const insist = setTimeout(() => entry.child.kill('SIGKILL'), STOP_MS)
      await entry.ended
      clearTimeout(insist)
    },

    /** Ends at once whatever still runs. */
    async killAll(): Promise<void> {
      const rest = [...alive]
      for (const { child } of rest) child.kill('SIGKILL')
      await Promise.all(rest.map(({ ended }) => ended))
      process.off('exit', lastResort)
    }
  }
}

/** Our own environment without settings of a Hongyan that may be installed here. */
function surroundings(): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('HONGYAN_') && name !== 'MONGODB_URI') kept[name] = value
  }
  return kept
}
