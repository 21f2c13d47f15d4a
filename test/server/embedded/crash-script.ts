/*
 * What the writers of crash-child.ts do, and what must be found after it: both are worked out from the same numbers, so
 * that the one that kills knows what the killed one was doing.
 */

/** A writer's own documents by id. */
export type State = Map<string, Row>
export type Row = { _id: string; key: string; writer: number; n: number; m: number; open: boolean; tags: number[] }

type Bulk = { insert: string; update: string | undefined; remove: string | undefined }
export type Op =
  | { kind: 'insert'; id: string }
  | { kind: 'update'; id: string }
  | { kind: 'remove'; id: string }
  | { kind: 'bulk'; bulk: Bulk }
  | { kind: 'many' }
  | { kind: 'twice'; id: string }
  | { kind: 'race'; id: string }

/** Numbers that look random and are the same for the same seed: uniform in [0, 1). */
export function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

/** The documents a writer's insert makes. */
export function fresh(id: string, writer: number): Row {
  const turn = Number(id.slice(id.lastIndexOf('-') + 1))
  return { _id: id, key: id, writer, n: 0, m: 0, open: turn % 2 === 0, tags: [turn % 3, 5 + (turn % 4)] }
}

/** A writer's operations, without end; `state` is what its documents are before each, and changes as if it were done. */
export function* script(round: number, writer: number): Generator<{ op: Op; state: State }> {
  const roll = dice(round * 1_000 + writer)
  const state: State = new Map()
  for (let turn = 0; ; turn++) {
    const ids = [...state.keys()]
    const any = () => ids[Math.floor(roll() * ids.length)]
    const id = `${round}-${writer}-${turn}`
    const die = Math.floor(roll() * 15)
    let op: Op
    if (turn % 12 === 11)
      op = { kind: 'race', id: `race-${round}-${turn}` } // all writers want it, one gets it
    else if (ids.length < 3 || die < 5) op = { kind: 'insert', id }
    else if (die < 9) op = { kind: 'update', id: any() }
    else if (die < 11) op = { kind: 'remove', id: any() }
    else if (die < 13) op = { kind: 'bulk', bulk: { insert: id, update: any(), remove: any() } }
    else if (die < 14) op = { kind: 'many' }
    else op = { kind: 'twice', id: any() }
    yield { op, state }
    for (const step of stepsOf(op, writer)) step(state)
  }
}

/** What an operation does to a writer's documents, one step after another; each step happens whole or not at all. */
function stepsOf(op: Op, writer: number): ((state: State) => void)[] {
  const update = (id: string) => (state: State) => {
    const row = state.get(id)
    if (row) state.set(id, { ...row, n: row.n + 1, open: !row.open })
  }
  switch (op.kind) {
    case 'insert':
      return [(state) => void state.set(op.id, fresh(op.id, writer))]
    case 'update':
      return [update(op.id)]
    case 'remove':
      return [(state) => void state.delete(op.id)]
    case 'bulk': {
      const { insert, update: id, remove } = op.bulk
      const steps: ((state: State) => void)[] = [(state) => void state.set(insert, fresh(insert, writer))]
      if (id !== undefined) steps.push(update(id))
      if (remove !== undefined) steps.push((state) => void state.delete(remove))
      return steps
    }
    case 'many':
      return [(state) => state.forEach((row, id) => state.set(id, { ...row, m: row.m + 1 }))]
    default:
      return []
  }
}

const told = (state: State) => JSON.stringify([...state.values()].sort((a, b) => (a._id < b._id ? -1 : 1)))

/**
 * Whether documents found are those before `op`, or those after some of its steps: it was under way when the writer died.
 * An update of many may have reached some of them.
 */
export function fits(found: State, before: State, op: Op, writer: number): boolean {
  const state = new Map(before)
  if (told(found) === told(state)) return true
  for (const step of stepsOf(op, writer)) {
    step(state)
    if (told(found) === told(state)) return true
  }
  if (op.kind !== 'many') return false
  const level = (rows: State) => told(new Map([...rows].map(([id, row]) => [id, { ...row, m: 0 }])))
  return level(found) === level(before) && [...found].every(([id, row]) => row.m - before.get(id)!.m <= 1)
}
