import type { Connection } from 'mongoose'

/** What happens to a process at its n-th write to the store. */
export type Fate =
  /** It dies before the store has seen the command, or after, unheard; or half of a bulk write is done. */
  | 'before'
  | 'after'
  | 'half'
  /** It stands still, before or after the command, and goes on when everybody has given it up. */
  | 'stallBefore'
  | 'stallAfter'
  /** It lives, but its command was never seen, or its answer got lost. */
  | 'refused'
  | 'lost'

/** The store's complaint about a broken connection; a process survives it and tries again. */
export class ConnectionLost extends Error {}

const LEDGER =
  'messages credentials dayCaps tallies counters budgets receipts paidOrders runs breakers breakerCounts'.split(' ')
const WRITES = 'insertOne insertMany updateOne updateMany bulkWrite findOneAndUpdate'.split(' ')

const never = new Promise<never>(() => {})

/**
 * One process's way to the store, which breaks at its write number `at` as `fate` says. From then on nothing it asks is carried
 * out and nothing is answered, until `wake` (which only the stalled survive). Commands under way at that moment are
 * carried out; their answers are lost.
 */
export function createLifeline(db: Connection, at: number, fate: Fate) {
  let commands = 0
  let gone = false
  let wake: (() => void) | null = null
  let stalled: Promise<void> | null = null
  let where = ''
  let tell: () => void = () => {}
  const ended = new Promise<void>((resolve) => (tell = resolve))

  function leave(): void {
    gone = true
    if (fate.startsWith('stall')) stalled = new Promise((resolve) => (wake = resolve))
    tell()
  }

  /** Where a process that is gone waits: for ever, or until it is woken. */
  const standstill = () => stalled ?? never

  async function run<T>(
    name: string,
    writes: boolean,
    args: unknown[],
    command: (args: unknown[]) => Promise<T>
  ): Promise<T> {
    if (gone) await standstill()
    // between two writes nothing happens that a reader could tell apart
    if (writes) commands += 1
    if (writes && commands === at) {
      where = name
      if (fate === 'refused') throw new ConnectionLost(`refused: ${name}`)
      if (fate === 'before' || fate === 'stallBefore') leave()
      if (fate === 'half') {
        const ops = args[0]
        if (Array.isArray(ops) && ops.length > 1) await command([ops.slice(0, Math.ceil(ops.length / 2)), args[1]])
        leave()
      }
      if (gone) await standstill()
      const result = await command(args)
      if (fate === 'lost') throw new ConnectionLost(`lost: ${name}`)
      if (fate === 'after' || fate === 'stallAfter') leave()
      if (gone) await standstill()
      return result
    }
    const result = await command(args)
    if (gone) await standstill()
    return result
  }

  function cursor(name: string, inner: any): any {
    const self: any = {
      toArray: () => run(name, false, [], () => inner.toArray()),
      sort: (by: unknown) => (inner.sort(by), self),
      limit: (n: number) => (inner.limit(n), self)
    }
    return self
  }

  const collection = (inner: any, name: string): any =>
    new Proxy(inner, {
      get(target, key) {
        const value = target[key]
        if (typeof value !== 'function') return value
        if (key === 'find' || key === 'aggregate')
          return (...args: unknown[]) => cursor(`${name}.${String(key)}`, value.apply(target, args))
        const writes = WRITES.includes(String(key))
        if (!writes && key !== 'findOne') return value.bind(target)
        return (...args: unknown[]) =>
          run(`${name}.${String(key)}`, writes, args, (given) => value.apply(target, given))
      }
    })

  const through = new Proxy(db, {
    get(target: any, key) {
      if (key === 'collection') {
        return (name: string) => {
          const inner = target.collection(name)
          return LEDGER.includes(name) ? collection(inner, name) : inner
        }
      }
      if (key === 'model') {
        return (...args: unknown[]) => {
          const model = target.model(...args)
          const { collectionName } = model.collection
          if (!LEDGER.includes(collectionName)) return model
          const wrapped = collection(model.collection, collectionName)
          return new Proxy(model, { get: (inner, what) => (what === 'collection' ? wrapped : inner[what]) })
        }
      }
      const value = target[key]
      return typeof value === 'function' ? value.bind(target) : value
    }
  }) as Connection

  return {
    db: through,
    /** Resolves when the process is gone: dead or stalled. */
    ended,
    isGone: () => gone,
    /** Lets a stalled process go on. */
    wake(): void {
      if (wake === null) return
      gone = false
      wake()
    },
    /** The command it broke at; '' when it never came to that. */
    where: () => where,
    commands: () => commands
  }
}
export type Lifeline = ReturnType<typeof createLifeline>
