import { FAR, type MessageRow } from '../../server/messages/model.js'
import type { WechatResult } from '../../server/wechat/client.js'
import { carryOut, writesOf } from './documents.js'
import { messagesOf, rightsOf, rowsOf } from './laws.js'
import type { Call, Runner } from './programs.js'
import type { Process, State } from './state.js'
import { carriedOut, faulted, wasted, type Fault } from './wechat.js'
import type { World } from './worlds.js'

/** Something that may happen next. */
export type Step = { label: string; to: () => Promise<State> }

const NOTHING = { matched: 0, modified: 0, errors: [] }
const OPEN = ['planned', 'held', 'sending']
const LEAP_LOSES_TICKS = 2

/** The call a program gets its answer to next: commands in the order they were given. */
const commandOf = (waits: readonly Call[]) => waits.find((call) => call.command !== undefined)
const requestsOf = (waits: readonly Call[]) => waits.filter((call) => call.request !== undefined)

/** Everything that may happen in a world, step by step. */
export function createSteps(world: World, runner: Runner) {
  const alive = (state: State, role: string) => state.processes.filter((each) => each.role === role).length
  const without = (state: State, process: Process, instead: Process[] = []): Process[] => [
    ...state.processes.filter((each) => each !== process),
    ...instead
  ]

  /** The process a point is, or none when it is through. */
  function standing(process: Process, point: { id: number; done: boolean }, arrived = process.arrived): Process[] {
    return point.done ? [] : [{ ...process, point: point.id, place: 0, soFar: NOTHING, arrived }]
  }

  /** The next write (or the read) of a process's command. */
  async function write(state: State, process: Process): Promise<State> {
    const { at, command } = commandOf(runner.point(process.point).waits)!
    const { docs, told } = carryOut(state.docs, command!, process.place, process.soFar)
    const place = process.place + 1
    if ('matched' in told && place < writesOf(command!)!.length)
      return { ...state, docs, processes: without(state, process, [{ ...process, place, soFar: told }]) }
    const point = await runner.give(process.point, at, { told }, state.now)
    return { ...state, docs, processes: without(state, process, standing(process, point)) }
  }

  /** A process hears what WeChat answered. */
  async function hear(state: State, process: Process, at: number, result: WechatResult): Promise<State> {
    const point = await runner.give(process.point, at, { result }, state.now)
    const arrived = process.arrived.filter((each) => each.at !== at)
    return { ...state, processes: without(state, process, standing(process, point, arrived)) }
  }

  async function begin(state: State, role: string, args: string[]): Promise<State> {
    const point = await runner.start(role, args, state.now)
    const process: Process = { role, point: point.id, place: 0, soFar: NOTHING, arrived: [] }
    return { ...state, processes: [...state.processes, ...standing(process, point)] }
  }

  /** Runs a program from its beginning to its end; WeChat answers at once. */
  async function through(state: State, role: string, args: string[], fault: Fault | null = null): Promise<State> {
    let at = await begin(state, role, args)
    const others = state.processes.length
    while (at.processes.length > others) {
      const process = at.processes.at(-1)!
      const { waits } = runner.point(process.point)
      if (commandOf(waits) !== undefined) at = await write(at, process)
      else {
        const call = requestsOf(waits)[0]!
        const input = call.request!
        const { wechat, result, stillOut } =
          fault === null
            ? { ...carriedOut(at.wechat, input, at.now), stillOut: false }
            : faulted(at.wechat, input, fault, at.now)
        const orphans = stillOut ? [...at.orphans, { input, ticks: 0 }] : at.orphans
        at = await hear({ ...at, wechat, orphans }, process, call.at, result)
      }
    }
    return at
  }

  const run = (state: State, role: string, args: string[]) =>
    world.fine.includes(role) ? begin(state, role, args) : through(state, role, args)

  const dueNow = ({ docs, now }: State) =>
    messagesOf(docs).some((row) => OPEN.includes(row.state) && row.due.getTime() <= now)
  const open = ({ docs }: State) => messagesOf(docs).some((row) => OPEN.includes(row.state))
  const consequences = ({ docs }: State) =>
    messagesOf(docs).some((row) => row.todo) || rowsOf(docs, 'tallies').some((tally) => tally.batch !== null)
  const looking = ({ docs, now }: State) => rowsOf(docs, 'receipts').some((row) => row.todo && row.due.getTime() <= now)

  /** When something is due next; null when nothing is. */
  function nextDue({ docs, now }: State): number | null {
    const dues = [
      ...messagesOf(docs).filter((row) => OPEN.includes(row.state)),
      ...rowsOf(docs, 'receipts').filter((row) => row.todo)
    ]
      .map((row) => (row as MessageRow).due.getTime())
      .filter((due) => due > now && due < FAR.getTime())
    if (world.acts?.includes('sweep') === true)
      dues.push(
        ...rightsOf(docs)
          .filter((right) => right.held > 0)
          .map((right) => right.heldAt!.getTime() + 300_001)
          .filter((due) => due > now)
      )
    return dues.length === 0 ? null : Math.min(...dues)
  }

  function later(state: State, now: number, kind: 'ticks' | 'leaps'): State {
    const orphans = state.orphans
      .map((each) => ({ ...each, ticks: each.ticks + (kind === 'leaps' ? LEAP_LOSES_TICKS : 1) }))
      .filter((each) => each.ticks < LEAP_LOSES_TICKS)
    return { ...state, now, orphans, left: { ...state.left, [kind]: state.left[kind] - 1 } }
  }

  /** What one process may do, or have done to it. */
  function ofProcess(state: State, process: Process): Step[] {
    const steps: Step[] = []
    const { role } = process
    const { waits } = runner.point(process.point)
    const command = commandOf(waits)
    if (command !== undefined)
      steps.push({
        label: `${role}: ${command.command!.op} ${command.command!.collection}${process.place > 0 ? ` (${process.place})` : ''}`,
        to: () => write(state, process)
      })
    for (const { at, result } of process.arrived)
      steps.push({ label: `${role}: hears ${told(result)}`, to: () => hear(state, process, at, result) })
    for (const call of requestsOf(waits)) {
      if (process.arrived.some((each) => each.at === call.at)) continue
      const input = call.request!
      const m = input.data.keyword1!.value
      const answered = (next: State, result: WechatResult): (() => Promise<State>) => {
        // a process may stall between the answer and its own work
        if (state.left.stalls === 0) return () => hear(next, process, call.at, result)
        const arrived = [...process.arrived, { at: call.at, result }]
        return async () => ({ ...next, processes: without(next, process, [{ ...process, arrived }]) })
      }
      const plain = carriedOut(state.wechat, input, state.now)
      steps.push({
        label: `WeChat: ${m} by ${input.formId ?? input.clientMsgId ?? 'grant'}, ${told(plain.result)}`,
        to: answered({ ...state, wechat: plain.wechat }, plain.result)
      })
      if (state.left.faults === 0) continue
      for (const kind of world.kinds) {
        const { wechat, result, stillOut } = faulted(state.wechat, input, kind, state.now)
        const orphans = stillOut ? [...state.orphans, { input, ticks: 0 }] : state.orphans
        const left = { ...state.left, faults: state.left.faults - 1 }
        steps.push({ label: `WeChat: ${m} ${kind}`, to: answered({ ...state, wechat, orphans, left }, result) })
      }
    }
    if (state.left.crashes > 0) {
      const out = requestsOf(waits).filter((call) => !process.arrived.some((each) => each.at === call.at))
      steps.push({
        label: `${role} dies`,
        to: async () => ({
          ...state,
          processes: without(state, process),
          orphans: [...state.orphans, ...out.map((call) => ({ input: call.request!, ticks: 0 }))],
          left: { ...state.left, crashes: state.left.crashes - 1 }
        })
      })
    }
    return steps
  }

  /** What people and WeChat may do of themselves. */
  function ofOthers(state: State): Step[] {
    const steps: Step[] = []
    const once = (name: string, to: (next: State) => Promise<State>) => {
      if (state.acted.includes(name)) return
      steps.push({ label: name, to: () => to({ ...state, acted: [...state.acted, name].sort() }) })
    }
    for (const [index, { input }] of state.orphans.entries()) {
      const orphans = state.orphans.filter((_, place) => place !== index)
      const m = input.data.keyword1!.value
      const { wechat } = carriedOut(state.wechat, input, state.now)
      steps.push({ label: `WeChat: ${m}, which nobody waits for`, to: async () => ({ ...state, wechat, orphans }) })
      steps.push({ label: `${m} is lost`, to: async () => ({ ...state, orphans }) })
    }
    for (const right of world.rights) {
      if (right.late)
        once(`catch ${right.value}`, (next) => run(caught(next, world, right.value), 'keep', [right.value]))
      else if (world.acts?.includes('again')) once(`again ${right.value}`, (next) => run(next, 'keep', [right.value]))
    }
    if (world.others)
      for (const { value } of world.rights)
        once(`somebody spends ${value}`, async (next) => ({ ...next, wechat: wasted(next.wechat, value) }))
    if (world.acts?.includes('replan')) once('plan again', (next) => run(next, 'plan', [planAt(state)]))
    for (const row of messagesOf(state.docs)) {
      if (world.acts?.includes('cancel') && OPEN.includes(row.state))
        once(`cancel ${row._id}`, (next) => run(next, 'cancel', [row._id]))
      // who looks it up looks when nothing is on its way any more
      const quiet = state.orphans.length === 0 && state.processes.every(({ role }) => role !== 'turn')
      const has = state.wechat.taken.some(({ key }) => key === row._id || key === `${row._id}.${row.round}`)
      if (world.acts?.includes('resolve') && (quiet ? row.state === 'unknown' : row.state === 'sending'))
        once(`resolve ${row._id}`, (next) => run(next, 'resolve', [row._id, has ? 'accepted' : 'failed']))
    }
    if (
      world.acts?.includes('retry') &&
      messagesOf(state.docs).some((row) => row.state === 'failed' || row.state === 'skipped' || row.state === 'expired')
    )
      // whoever presses the button takes a moment
      once('retry', (next) => run({ ...next, now: next.now + 1 }, 'retry', []))
    if (world.acts?.includes('sweep')) {
      const old = rightsOf(state.docs).some((right) => right.held > 0 && right.heldAt!.getTime() + 300_000 < state.now)
      if (old && alive(state, 'sweep') === 0) once(`sweep at ${state.now}`, (next) => run(next, 'sweep', []))
    }
    for (const { m, msgid, at } of state.wechat.taken) {
      const to = world.messages.find(({ id }) => id === m)!.to
      if (state.acted.some((act) => act.startsWith(`receipt ${msgid} `) || act === `no receipt ${msgid}`)) continue
      for (const verdict of world.receipts ?? [])
        once(`receipt ${msgid} ${verdict}`, (next) =>
          run(next, 'receipt', [to, msgid, verdict, new Date(Math.floor(at / 1000) * 1000).toISOString()])
        )
    }
    return steps
  }

  return {
    through,
    nextDue,
    open,
    dueNow,
    consequences,
    looking,

    /** All that may happen next. */
    of(state: State): Step[] {
      const steps = state.processes.flatMap((process) => ofProcess(state, process))
      const idle = state.processes.length === 0
      let work = 0
      const mayBegin = (role: string, most: number) => !world.fine.includes(role) || alive(state, role) < most
      const begins = (role: string) => {
        work += 1
        steps.push({ label: `${role} begins`, to: () => run(state, role, []) })
      }
      const turns = state.turns + 1
      if (dueNow(state) && mayBegin('turn', world.workers)) {
        work += 1
        steps.push({ label: 'turn begins', to: () => run({ ...state, turns }, 'turn', [`t${turns}`]) })
        if (!world.fine.includes('turn') && state.left.faults > 0) {
          const left = { ...state.left, faults: state.left.faults - 1 }
          for (const kind of world.kinds)
            steps.push({
              label: `turn, ${kind}`,
              to: () => through({ ...state, turns, left }, 'turn', [`t${turns}`], kind)
            })
        }
      }
      if (consequences(state) && mayBegin('follow', world.followers)) begins('follow')
      if (looking(state) && mayBegin('look', 1)) begins('look')
      steps.push(...ofOthers(state))
      // nothing else to do: time goes on by itself; otherwise somebody stalls
      const busy = !(idle && work === 0)
      const mayPass = state.left.ticks > 0 && (!busy || state.left.stalls > 0)
      const unheard = state.processes.some(
        (process) => requestsOf(runner.point(process.point).waits).length > process.arrived.length
      )
      if (mayPass && !unheard) {
        const from = busy ? { ...state, left: { ...state.left, stalls: state.left.stalls - 1 } } : state
        const due = nextDue(state)
        if (due !== null)
          steps.push({ label: `time: +${(due - state.now) / 1000} s`, to: async () => later(from, due, 'ticks') })
        if (world.leapMs !== undefined && state.left.leaps > 0)
          steps.push({
            label: `time: +${world.leapMs / 1000} s`,
            to: async () => later(from, state.now + world.leapMs!, 'leaps')
          })
      }
      return steps
    }
  }
}
export type Steps = ReturnType<typeof createSteps>

const told = (result: WechatResult) => (result.kind === 'answer' ? `answers ${result.errcode}` : result.kind)

/** When the messages were first planned for. */
const planAt = (state: State): string => messagesOf(state.docs)[0]!.dueAt.toISOString()

/** A person hands out one more right: WeChat knows it first. */
export function caught(state: State, world: World, value: string): State {
  const { to, source } = world.rights.find((right) => right.value === value)!
  const by = source === 'grant' ? `${to} T` : value
  const left = { ...state.wechat.left, [by]: (state.wechat.left[by] ?? 0) + (source === 'payment' ? 3 : 1) }
  return { ...state, wechat: { ...state.wechat, left } }
}
