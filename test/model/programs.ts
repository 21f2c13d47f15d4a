import type { Connection } from 'mongoose'
import type { SendInput } from '../../server/senders/sender.js'
import type { WechatResult } from '../../server/wechat/client.js'
import { copyOf, writesOf, type Command, type Doc, type Told, type Write } from './documents.js'

/** What a running program asks of the outside and waits for. */
export type Call =
  { at: number; command: Command; request?: undefined } | { at: number; request: SendInput; command?: undefined }

/** What a program is handed: a store and a WeChat that answer when the explorer says so, and the time of its last answer. */
export type Outside = {
  db: Connection
  now: () => Date
  send: (input: SendInput) => Promise<WechatResult>
}

/** A piece of the product at work. Nothing but its name, its arguments and what it was told may decide what it does. */
export type Program = (outside: Outside, ...args: string[]) => Promise<unknown>

/** How a broken rule bends what programs ask and see; nothing where all rules hold. */
export type Bent = {
  /** Another command instead; 'acknowledged': none at all, though the program is told it was done. */
  command?: (command: Command, program: string) => Command | 'acknowledged' | undefined
  /** What a program sees instead of a document it reads. */
  read?: (doc: Doc, collection: string, program: string) => Doc | undefined
}

type Reply = { told: Told } | { result: WechatResult }

/**
 * Where a program is: what it was told so far, and what it waits for. Two runs that were told the same are the same
 * point, so each point is reached by running the program once, however many worlds come by it.
 */
export type Point = {
  readonly id: number
  readonly waits: readonly Call[]
  readonly done: boolean
  /** A complaint that was not caught: the process goes on, the turn is over. */
  readonly error: string | null
}

type Node = Point & { start: { name: string; args: string[]; now: number }; parent: Node | null; last: Step | null }
type Step = { at: number; reply: Reply; now: number }

/** Lets everything run that need not wait for an answer. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

const NAMES: Record<string, string> = { Message: 'messages', Credential: 'credentials', Receipt: 'receipts' }

class Run {
  private readonly waiting = new Map<number, { call: Call; give: (reply: Reply) => void }>()
  private calls = 0
  private now: number
  private readonly name: string
  private end: { error: string | null } | null = null

  constructor(
    program: Program,
    { name, args, now }: Node['start'],
    private readonly bent: Bent
  ) {
    this.name = name
    this.now = now
    const outside: Outside = {
      db: {
        collection: (name: string) => this.collection(name),
        model: (name: string) => ({ collection: this.collection(NAMES[name] ?? name) })
      } as unknown as Connection,
      now: () => new Date(this.now),
      send: (request) => this.ask({ at: this.calls++, request }, (reply) => (reply as { result: WechatResult }).result)
    }
    program(outside, ...args).then(
      () => (this.end = { error: null }),
      (error: unknown) => (this.end = { error: error instanceof Error ? error.message : JSON.stringify(error) })
    )
  }

  private rewrite(command: Command): Command | 'acknowledged' {
    return this.bent.command?.(command, this.name) ?? command
  }

  private show(doc: Doc, collection: string): Doc {
    return this.bent.read?.(doc, collection, this.name) ?? doc
  }

  private ask<T>(call: Call, read: (reply: Reply) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.set(call.at, {
        call,
        give: (reply) => {
          try {
            resolve(read(reply))
          } catch (error) {
            reject(error)
          }
        }
      })
    })
  }

  private command<T>(given: Command, read: (told: any) => T): Promise<T> {
    const command = this.rewrite(named(copyOf(given)))
    if (command === 'acknowledged') {
      const n = writesOf(given)?.length ?? 0
      return Promise.resolve(read({ matched: n, modified: n, errors: [] }))
    }
    return this.ask({ at: this.calls++, command }, (reply) => {
      const { told } = reply as { told: Told }
      if ('errors' in told && told.errors.length > 0) {
        throw Object.assign(new Error('E11000 duplicate key'), { code: 11000, writeErrors: told.errors })
      }
      return read(told)
    })
  }

  /** As much of the driver's collection as the ledger's rooms use. */
  private collection(collection: string) {
    const wrote = (told: { matched: number; modified: number }) => ({
      matchedCount: told.matched,
      modifiedCount: told.modified
    })
    const found = (told: { found: { doc: Doc }[] }) => told.found.map(({ doc }) => this.show(copyOf(doc), collection))
    return {
      find: (filter: Doc) => {
        const command: Command = { collection, op: 'find', filter }
        const cursor = {
          sort: (sort: Doc) => ((command.sort = sort), cursor),
          limit: (limit: number) => ((command.limit = limit), cursor),
          toArray: () => this.command(command, found)
        }
        return cursor
      },
      findOne: (filter: Doc) =>
        this.command({ collection, op: 'findOne', filter, limit: 1 }, (told) => found(told)[0] ?? null),
      insertOne: (doc: Doc) => this.command({ collection, op: 'insertOne', documents: [doc] }, wrote),
      insertMany: (documents: Doc[]) => this.command({ collection, op: 'insertMany', documents }, wrote),
      updateOne: (filter: Doc, update: Doc, { upsert = false } = {}) =>
        this.command(
          { collection, op: 'updateOne', write: { collection, many: false, filter, update, upsert } },
          wrote
        ),
      updateMany: (filter: Doc, update: Doc) =>
        this.command(
          { collection, op: 'updateMany', write: { collection, many: true, filter, update, upsert: false } },
          wrote
        ),
      bulkWrite: (ops: Record<string, Doc>[]) =>
        this.command({ collection, op: 'bulkWrite', writes: ops.map((op) => writeOf(collection, op)) }, wrote)
    }
  }

  async give({ at, reply, now }: Step): Promise<void> {
    this.now = now
    const { give } = this.waiting.get(at)!
    this.waiting.delete(at)
    give(reply)
    await settled()
  }

  where(): Omit<Point, 'id'> {
    const waits = [...this.waiting.values()].map(({ call }) => call)
    return { waits, done: this.end !== null && waits.length === 0, error: this.end?.error ?? null }
  }
}

/** Ids that are made by chance are made of what makes the row unique instead. */
function named(command: Command): Command {
  if (command.collection === 'credentials') for (const doc of command.documents ?? []) doc._id = `c|${doc.hash}`
  return command
}

function writeOf(collection: string, op: Record<string, Doc>): Write {
  const [[kind, body]] = Object.entries(op) as [[string, Doc]]
  if (kind === 'insertOne') return { insert: body.document }
  return {
    collection,
    many: kind === 'updateMany',
    filter: body.filter,
    update: body.update,
    upsert: body.upsert === true
  }
}

/** Runs programs one answer at a time, and remembers every point one was ever at. */
export function createRunner(programs: Record<string, Program>, bent: Bent = {}) {
  const nodes: Node[] = []
  const next = new Map<string, Node>()
  /** The run that stands at a node, while nobody has taken it further. */
  const standing = new Map<Node, Run>()

  function note(node: Omit<Node, 'id'>, run: Run): Node {
    const made = { ...node, id: nodes.length }
    nodes.push(made)
    if (!made.done) standing.set(made, run)
    if (standing.size > 20_000) standing.delete(standing.keys().next().value!)
    return made
  }

  async function runTo(node: Node): Promise<Run> {
    const there = standing.get(node)
    if (there !== undefined) {
      standing.delete(node)
      return there
    }
    const steps: Step[] = []
    for (let at: Node = node; at.parent !== null; at = at.parent) steps.unshift(at.last!)
    const run = new Run(programs[node.start.name]!, node.start, bent)
    await settled()
    for (const step of steps) await run.give(step)
    return run
  }

  return {
    point: (id: number): Point => nodes[id]!,
    size: () => nodes.length,

    /** Begins a program at `now`. */
    async start(name: string, args: string[], now: number): Promise<Point> {
      const key = `${name} ${args.join(' ')} ${now}`
      const known = next.get(key)
      if (known !== undefined) return known
      const start = { name, args, now }
      const run = new Run(programs[name]!, start, bent)
      await settled()
      const node = note({ ...run.where(), start, parent: null, last: null }, run)
      next.set(key, node)
      return node
    },

    /** Hands a program the answer to one of the calls it waits for. */
    async give(id: number, at: number, reply: Reply, now: number): Promise<Point> {
      const key = `${id}>${at}:${now}:${nameOf(reply)}`
      const known = next.get(key)
      if (known !== undefined) return known
      const parent = nodes[id]!
      const last = { at, reply, now }
      const run = await runTo(parent)
      await run.give(last)
      const node = note({ ...run.where(), start: parent.start, parent, last }, run)
      next.set(key, node)
      return node
    }
  }
}
export type Runner = ReturnType<typeof createRunner>

function nameOf(reply: Reply): string {
  if ('result' in reply) return JSON.stringify(reply.result)
  if ('found' in reply.told) return reply.told.found.map(({ id }) => id).join(',')
  return JSON.stringify(reply.told)
}
