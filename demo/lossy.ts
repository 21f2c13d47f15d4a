import type { FakeAnswer, FakeNetwork } from './fake-wx.js'
import type { PhoneTime } from './phone-time.js'

/**
 * What may befall one request, and in which share. `before`: it never reaches the server. `after`: the server did its
 * work, the answer is lost. `hang`: no answer, ever. `late`: the answer comes when nobody waits any more. These four are
 * the lossy network, 30 % together. Then what servers and their proxies say now and then; `badGateway` after the work was
 * done. `twice`: a proxy sends it two times at once, which is no failure for the phone.
 */
export const MISHAPS = {
  before: 0.14,
  after: 0.13,
  hang: 0.015,
  late: 0.015,
  unauthorized: 0.01,
  tooMany: 0.01,
  serverError: 0.01,
  badGateway: 0.01,
  twice: 0.01
} as const
export type Mishap = keyof typeof MISHAPS

/** Requests made and what befell them. */
export type Traffic = { requests: number; mishaps: Record<Mishap, number> }

export const noTraffic = (): Traffic => ({
  requests: 0,
  mishaps: Object.fromEntries(Object.keys(MISHAPS).map((name) => [name, 0])) as Record<Mishap, number>
})

/** The share of requests the phone got no good answer to, by the network's doing. */
export const failedShare = ({ requests, mishaps }: Traffic): number =>
  requests === 0 ? 0 : (Object.values(mishaps).reduce((sum, n) => sum + n, 0) - mishaps.twice) / requests

/** Picks by one roll of the dice, 0 to below 1. */
export function mishapOf(roll: number): Mishap | null {
  let upTo = 0
  for (const [name, share] of Object.entries(MISHAPS)) {
    upTo += share
    if (roll < upTo) return name as Mishap
  }
  return null
}

/** Longer than the library waits for an answer. */
const LATE_MS = 16_000

/**
 * A network that loses one request in three on its way there or back. Ways take the phone's own time, so that its app may
 * die while one is under way; `inner` is the real thing.
 */
export function lossyNetwork(parts: {
  time: PhoneTime
  random: () => number
  traffic: Traffic
  inner: FakeNetwork
}): FakeNetwork {
  const { time, random, traffic, inner } = parts
  const lag = () => 20 + 400 * random()
  return async (request) => {
    traffic.requests += 1
    const mishap = mishapOf(random())
    if (mishap !== null) traffic.mishaps[mishap] += 1
    await time.later(lag())
    const made = answerMadeUp(mishap, random)
    if (made !== null) return made
    if (mishap === 'before') throw new Error('the network was lost')
    const answer = await time.real(mishap === 'twice' ? twice(inner, request) : inner(request))
    if (mishap === 'hang') return new Promise<FakeAnswer>(() => {})
    await time.later(mishap === 'late' ? LATE_MS : lag())
    if (mishap === 'after') throw new Error('the network was lost')
    return mishap === 'badGateway' ? { statusCode: 502, data: '<html>502 Bad Gateway</html>' } : answer
  }
}

async function twice(inner: FakeNetwork, request: Parameters<FakeNetwork>[0]): Promise<FakeAnswer> {
  const [first] = await Promise.all([inner(request), inner(request)])
  return first
}

/** Said by something in front of the server, which never saw the request; null when the server is asked. */
function answerMadeUp(mishap: Mishap | null, random: () => number): FakeAnswer | null {
  if (mishap === 'unauthorized') return { statusCode: 401, data: { code: 'auth.expired' } }
  if (mishap === 'tooMany') return { statusCode: 429, header: { 'Retry-After': String(Math.ceil(600 * random())) } }
  if (mishap === 'serverError') return { statusCode: random() < 0.5 ? 500 : 503, data: 'oops' }
  return null
}
