import { fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What a child can be asked, by name; questions and answers must survive a structured clone. */
export type Skills = Record<string, (argument: any) => unknown>
type Question = { id: number; name: string; argument: unknown }
type Answer = { id: number; value?: unknown; error?: string }

/** A process of the bench's own. */
export type Child = {
  pid: number
  /** @throws Error with what the child threw, or that it ended */
  ask<T>(name: string, argument?: unknown): Promise<T>
  /** Asks it to end, and resolves when it has. */
  stop(): Promise<void>
}

const STOP_MS = 10_000

/** Starts `bench/<name>`, compiled or not as this file itself is. It ends with us, whatever happens to us. */
export function startChild(name: string, nodeOptions: readonly string[] = []): Child {
  const script = fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))
  const child = fork(script, {
    execArgv: [...process.execArgv, ...nodeOptions],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })
  const waiting = new Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>()
  let asked = 0
  let over = false
  const ended = new Promise<void>((resolve) => {
    const end = (error: Error) => {
      over = true
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
      resolve()
    }
    child.once('error', end)
    child.once('exit', (code, signal) => end(new Error(`${name} ended (${signal ?? code})`)))
  })
  child.on('message', ({ id, value, error }: Answer) => {
    const one = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) one?.resolve(value)
    else one?.reject(new Error(`${name}: ${error}`))
  })
  return {
    pid: child.pid!,
    ask(what, argument) {
      if (over) return Promise.reject(new Error(`${name} has ended`))
      return new Promise((resolve, reject) => {
        const id = ++asked
        waiting.set(id, { resolve, reject })
        child.send({ id, name: what, argument } satisfies Question)
      })
    },
    async stop() {
      if (child.connected) child.disconnect()
      const insist = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await ended
      clearTimeout(insist)
    }
  }
}

/** The child's side: answers the parent until it lets go, then does what `last` says and ends. */
export function answerParent(skills: Skills, last: () => Promise<void> = async () => {}): void {
  process.on('message', async ({ id, name, argument }: Question) => {
    let answer: Answer
    try {
      answer = { id, value: await skills[name]!(argument) }
    } catch (error) {
      answer = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
    if (process.connected) process.send!(answer)
  })
  process.once('disconnect', () => void last().finally(() => process.exit()))
}
