import type { Lane } from '../../shared/message.js'
import type { TemplateKind } from '../../shared/template.js'
import type { Fault } from './wechat.js'

export type Right = { value: string; to: string; source: 'form' | 'payment' | 'grant'; late?: boolean }
export type Planned = { id: string; to: string; lane?: Lane; waits?: boolean; lifeMs?: number }

/**
 * A small world: who gets what, what they hold, and how much may go wrong. Within these bounds everything that can
 * happen is looked at.
 */
export type World = {
  name: string
  says: string
  channel: TemplateKind
  rights: Right[]
  messages: Planned[]
  /** Programs that give way between any two of their writes; the others happen in one go. */
  fine: string[]
  /** How many of each may be under way at once. */
  workers: number
  followers: number
  /** Processes that die, at any point. */
  crashes: number
  /** Times at which time goes on though somebody is in the middle of something. */
  stalls: number
  /** Requests that meet one of `kinds`. */
  faults: number
  kinds: Fault[]
  /** Steps of time that are looked at; what is open after them is followed to its end one way only. */
  ticks: number
  /** A step of time may also be this long. */
  leapMs?: number
  /** An operator cancels; an operator resolves what is unknown; everything that failed goes once more; a phone hands in twice; a run is planned twice. */
  acts?: ('cancel' | 'resolve' | 'retry' | 'again' | 'replan' | 'sweep')[]
  /** Pushes of WeChat: each message's verdict, at any time after it was taken, or never. */
  receipts?: ('delivered' | 'systemFailed')[]
  /** Somebody else spends this account's forms. */
  others?: boolean
  cap?: number
  reserve?: number
  /** What is added where there is time: every world can be made too large to be looked at whole in a minute. */
  wider?: Partial<World>
}

const CALM = {
  workers: 1,
  followers: 1,
  crashes: 0,
  stalls: 0,
  faults: 0,
  kinds: [],
  ticks: 3
} satisfies Partial<World>
const form = (n: number, to = 'p'): Right => ({ value: `form${n}`, to, source: 'form' })
const payment: Right = { value: 'prepay1', to: 'p', source: 'payment' }
const grant: Right = { value: 'grant1', to: 'p', source: 'grant' }
const m = (n: number, more: Partial<Planned> = {}): Planned => ({ id: `m${n}`, to: 'p', ...more })

/** What may come of a request whose caller never hears of it, and the -1 that nobody can read. */
const DOUBTS: Fault[] = ['lostThere', 'lostBack', 'late']

/** The worlds that are looked at whole. */
export const WORLDS: World[] = [
  {
    ...CALM,
    name: 'form, deaths',
    says: 'one message, two forms, two workers of which one dies anywhere, WeChat fails once in any way',
    channel: 'legacy',
    rights: [form(1), form(2)],
    messages: [m(1)],
    fine: ['turn'],
    workers: 2,
    crashes: 1,
    faults: 1,
    kinds: [...DOUBTS, 'minusOne', 'notSent', 'tooFast', 'unfit'],
    wider: { crashes: 2 }
  },
  {
    ...CALM,
    name: 'form, stalls',
    says: 'one message, two forms, two workers of which one stalls anywhere beyond its lease',
    channel: 'legacy',
    rights: [form(1), form(2)],
    messages: [m(1)],
    fine: ['turn'],
    workers: 2,
    stalls: 1,
    faults: 1,
    kinds: ['lostBack', 'late', 'notSent'],
    wider: { kinds: [...DOUBTS, 'minusOne', 'notSent'], faults: 2 }
  },
  {
    ...CALM,
    name: 'form, others',
    says: 'somebody else may spend the form, too',
    channel: 'legacy',
    rights: [form(1), form(2)],
    messages: [m(1)],
    fine: ['turn'],
    workers: 1,
    crashes: 1,
    faults: 1,
    kinds: ['lostThere', 'lostBack'],
    others: true,
    wider: { workers: 2 }
  },
  {
    ...CALM,
    name: 'form, -1',
    says: 'WeChat answers -1 and uses the form up, or not, before and after other faults',
    channel: 'legacy',
    rights: [form(1), form(2)],
    messages: [m(1)],
    fine: ['turn'],
    faults: 3,
    kinds: [...DOUBTS, 'minusOne', 'minusOneUsed', 'notSent']
  },
  {
    ...CALM,
    name: 'one form, two messages',
    says: 'two messages to one person who has one form; two workers, one dies anywhere',
    channel: 'legacy',
    rights: [form(1)],
    messages: [m(1), m(2)],
    fine: ['turn'],
    workers: 2,
    crashes: 1,
    faults: 1,
    kinds: ['lostBack'],
    wider: { crashes: 2, kinds: DOUBTS }
  },
  {
    ...CALM,
    name: 'two people',
    says: 'a batch of two messages breaks off between any two of its writes',
    channel: 'legacy',
    rights: [form(1), form(2, 'q')],
    messages: [m(1), m(2, { to: 'q' })],
    fine: ['turn'],
    workers: 1,
    crashes: 2,
    faults: 1,
    kinds: ['lostBack']
  },
  {
    ...CALM,
    name: 'payment',
    says: 'a prepay_id of three uses, two messages; what may be out is never asked again',
    channel: 'legacy',
    rights: [payment],
    messages: [m(1), m(2)],
    fine: ['turn'],
    workers: 1,
    crashes: 1,
    faults: 1,
    kinds: [...DOUBTS, 'minusOne'],
    wider: { workers: 2 }
  },
  {
    ...CALM,
    name: 'service, stalls',
    says: 'client_msg_id, which WeChat knows again for ten minutes; time may leap beyond them',
    channel: 'service',
    rights: [],
    messages: [m(1)],
    fine: ['turn'],
    workers: 2,
    stalls: 1,
    faults: 1,
    kinds: ['lostBack', 'late'],
    leapMs: 660_000,
    ticks: 2,
    wider: { ticks: 3, faults: 2, kinds: DOUBTS }
  },
  {
    ...CALM,
    name: 'service, receipts',
    says: 'two messages, one request is lost; receipts before, after and instead of answers',
    channel: 'service',
    rights: [],
    messages: [m(1), m(2, { to: 'q' })],
    fine: ['turn'],
    faults: 1,
    kinds: ['lostThere', 'lostBack'],
    receipts: ['delivered'],
    leapMs: 660_000,
    ticks: 1
  },
  {
    ...CALM,
    name: 'service, second round',
    says: 'what the system failed goes once more while its receipt is still at work, and its request is lost',
    channel: 'service',
    rights: [],
    messages: [m(1)],
    fine: ['receipt'],
    crashes: 1,
    faults: 1,
    kinds: ['lostThere'],
    receipts: ['systemFailed'],
    acts: ['retry'],
    leapMs: 660_000,
    ticks: 0,
    wider: { ticks: 1, fine: ['turn', 'receipt', 'look'], kinds: DOUBTS }
  },
  {
    ...CALM,
    name: 'service, operator',
    says: 'a worker dies anywhere, an operator decides what is unknown, receipts come before and after',
    channel: 'service',
    rights: [],
    messages: [m(1)],
    fine: ['turn', 'resolve'],
    crashes: 1,
    receipts: ['delivered'],
    acts: ['resolve', 'retry'],
    leapMs: 660_000,
    wider: { faults: 1, kinds: DOUBTS }
  },
  {
    ...CALM,
    name: 'grant',
    says: 'one grant, two messages, no answer: at most once; an operator; what failed goes once more',
    channel: 'subscribe',
    rights: [grant],
    messages: [m(1), m(2)],
    fine: ['turn'],
    workers: 1,
    crashes: 1,
    faults: 1,
    kinds: ['lostBack'],
    acts: ['resolve', 'retry'],
    wider: { kinds: DOUBTS, workers: 2 }
  },
  {
    ...CALM,
    name: 'followers',
    says: 'two followers at the same rows, while rows are sent, refused and sent once more',
    channel: 'legacy',
    rights: [form(1)],
    messages: [{ id: 'unfit', to: 'p' }],
    fine: ['follow'],
    followers: 2,
    acts: ['cancel', 'retry'],
    ticks: 1,
    wider: { crashes: 1, fine: ['follow', 'turn'] }
  },
  {
    ...CALM,
    name: 'followers, deaths',
    says: 'a follower dies anywhere, twice; the next one begins where it stopped',
    channel: 'legacy',
    rights: [form(1), form(2, 'q')],
    messages: [m(1), { id: 'unfit', to: 'q' }],
    fine: ['follow'],
    crashes: 2,
    acts: ['cancel', 'retry'],
    ticks: 1
  },
  {
    ...CALM,
    name: 'sweep',
    says: 'holds of workers that died or stall, looked for by the sweep five minutes later',
    channel: 'legacy',
    rights: [form(1)],
    messages: [m(1), m(2)],
    fine: ['turn', 'sweep'],
    workers: 1,
    crashes: 1,
    stalls: 1,
    acts: ['sweep'],
    ticks: 2,
    leapMs: 301_001
  },
  {
    ...CALM,
    name: 'cancel, deadline',
    says: 'a message that lives for a minute is cancelled at any moment; its run is planned, its form handed in twice',
    channel: 'legacy',
    rights: [form(1)],
    messages: [m(1, { lifeMs: 60_000 })],
    fine: ['turn', 'cancel', 'keep', 'plan'],
    workers: 1,
    crashes: 1,
    faults: 1,
    kinds: ['lostThere', 'lostBack'],
    acts: ['cancel', 'again', 'replan']
  },
  {
    ...CALM,
    name: 'parked',
    says: 'a message waits for a form that is caught at any moment, also while it is being parked',
    channel: 'legacy',
    rights: [{ ...form(1), late: true }],
    messages: [m(1, { waits: true, lifeMs: 120_000 })],
    fine: ['turn', 'keep'],
    workers: 1,
    crashes: 1,
    ticks: 2,
    wider: { workers: 2 }
  },
  {
    ...CALM,
    name: 'cap',
    says: 'one message a day and person; two messages, two forms',
    channel: 'legacy',
    rights: [form(1), form(2)],
    messages: [m(1), m(2)],
    fine: ['turn'],
    workers: 2,
    crashes: 1,
    cap: 1,
    ticks: 1,
    wider: { ticks: 2, faults: 1, kinds: ['unfit'] }
  }
]

/** The same worlds with more that may go wrong: too many states to be looked at whole in a minute. */
export const WIDER: World[] = WORLDS.map(({ wider, ...world }) => ({ ...world, ...wider }))

/** One that is too large to be looked at whole: it is walked through at random. */
export const LARGE: World[] = [
  {
    ...CALM,
    name: 'a shop',
    says: 'three people with forms and payments, six messages, three workers, two followers, a sweep, a cap',
    channel: 'legacy',
    rights: [
      form(1),
      form(2),
      payment,
      form(3, 'q'),
      { value: 'prepay2', to: 'q', source: 'payment' },
      { ...form(4, 'r'), late: true }
    ],
    messages: [
      m(1),
      m(2),
      m(3, { lane: 'transactional' }),
      m(4, { to: 'q' }),
      { id: 'unfit', to: 'q', lane: 'transactional' },
      m(5, { to: 'r', waits: true, lifeMs: 1_800_000 })
    ],
    fine: ['turn', 'follow', 'sweep', 'keep', 'cancel', 'plan', 'retry', 'resolve'],
    workers: 3,
    followers: 2,
    crashes: 4,
    stalls: 3,
    faults: 4,
    kinds: [...DOUBTS, 'minusOne', 'notSent', 'tooFast'],
    ticks: 12,
    leapMs: 301_001,
    acts: ['cancel', 'resolve', 'retry', 'again', 'replan', 'sweep'],
    cap: 3
  },
  {
    ...CALM,
    name: 'a brand',
    says: 'service messages to three people, receipts of either kind at any time, an operator',
    channel: 'service',
    rights: [],
    messages: [m(1), m(2), m(3, { to: 'q', lane: 'transactional' }), { id: 'unfit', to: 'r' }],
    fine: ['turn', 'follow', 'receipt', 'look', 'resolve', 'retry', 'cancel'],
    workers: 3,
    followers: 2,
    crashes: 4,
    stalls: 3,
    faults: 4,
    kinds: [...DOUBTS, 'minusOne', 'notSent'],
    ticks: 12,
    leapMs: 660_000,
    acts: ['cancel', 'resolve', 'retry'],
    receipts: ['delivered', 'systemFailed']
  }
]
