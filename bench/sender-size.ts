import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from './child.js'
import type { Seen } from './fake-wechat.js'
import { judged, type Figure } from './figure.js'
import { AT_ONCE, carriedBy, withSender, type Latency, type SenderGround, type Sent } from './sender-ground.js'
import type { Run, Wish } from './sender-peers.js'

const SECTION = 'sender'
const FEW = 10_000
const UNLIMITED = 100_000
const CLOSE = 200
/** WeChat at its slowest: a thousand in flight are then 667 a second. */
const PEAK: Latency = { minMs: 1_500, maxMs: 1_500 }
const CROWDED = { perSecond: 800, inFlight: 1_000 }
const LONELY = { perSecond: 800, inFlight: 50 }
const CROWD = 6_000
const LOOK_MS = 100
const LOOKS = 600

/** Goal 7: does a message cost as much among many as among few? Each in a worker of its own, on a store of its own. */
export async function size(many: number, say: (line: string) => void): Promise<Figure[]> {
  const alone = (count: number) =>
    withSender(say, async (ground) => {
      const accountId = await ground.account({ perSecond: UNLIMITED, inFlight: CLOSE }, count)
      // what the process compiles at first would be counted as the few's
      const warm = await ground.account({ perSecond: UNLIMITED, inFlight: CLOSE }, FEW / 4)
      await ground.send(warm, FEW / 4, AT_ONCE)
      say(`${count} messages`)
      return ground.send(accountId, count, AT_ONCE)
    })
  const few = await alone(FEW)
  const crowd = await alone(many)
  const cpu = (sent: Sent) => `${sent.cpuMicros.toFixed(0)} µs`
  const peak = (sent: Sent) => sent.cost.mostRssMb
  const which = many < 1_000_000 ? ` (--full: at 1,000,000)` : ''
  return [
    judged(
      SECTION,
      'size-cpu',
      crowd.cpuMicros / few.cpuMicros,
      { atMost: 1.15 },
      `processor time a message at ${many} (${cpu(crowd)}) ÷ at ${FEW} (${cpu(few)})${which}`
    ),
    judged(
      SECTION,
      'size-rss',
      peak(crowd) - peak(few),
      { atMost: 64 },
      `MB more at the peak: ${peak(crowd).toFixed(0)} with ${many} messages, ${peak(few).toFixed(0)} with ${FEW}${which}`
    )
  ]
}

/** KB in use for each request in flight, with what is in hand for the next ones; garbage is collected for it first. */
async function liveMemory(ground: SenderGround, accountId: string): Promise<number> {
  const before = await ground.live()
  await ground.fake.ask('begin', PEAK)
  const amid = async () => {
    for (let looks = 0; looks < LOOKS; looks++) {
      if ((await ground.fake.ask<Seen>('seen')).sends > CROWD / 3) break
      await sleep(LOOK_MS)
    }
    return ground.live()
  }
  const [during] = await Promise.all([amid(), ground.send(accountId, CROWD / 2, PEAK)])
  return ((during - before) * 1024) / CROWDED.inFlight
}

/** KB a request takes in flight when nothing is done but requests, each on a connection of its own as ours are. */
async function rawMemory({ wechat, fake }: SenderGround): Promise<number> {
  const [few, many] = [LONELY.inFlight, CROWDED.inFlight]
  const mb: number[] = []
  for (const inFlight of [few, many]) {
    const peers = startChild('sender-peers')
    try {
      await fake.ask('begin', PEAK)
      mb.push((await peers.ask<Run>('raw', { wechat, count: 3 * inFlight, inFlight } satisfies Wish)).mostMb)
    } finally {
      await peers.stop()
    }
  }
  return ((mb[1]! - mb[0]!) * 1024) / (many - few)
}

/** Goal 11: what a thousand requests in flight do to the worker. */
export async function inFlight(say: (line: string) => void): Promise<Figure[]> {
  return withSender(say, async (ground) => {
    const lonely = await ground.account(LONELY, CROWD / 4)
    const crowded = await ground.account(CROWDED, CROWD)
    say('50 in flight')
    const few = await ground.send(lonely, CROWD / 4, { minMs: 75, maxMs: 75 })
    say('1,000 in flight')
    const many = await ground.send(crowded, CROWD, PEAK)
    const [live, raw] = [await liveMemory(ground, crowded), await rawMemory(ground)]
    const more = many.seen.mostInFlight - few.seen.mostInFlight
    const kb = ((many.cost.mostRssMb - few.cost.mostRssMb) * 1024) / more
    const { delayP99Ms, delayMaxMs, longestGcMs } = many.cost
    const slow = `WeChat takes ${PEAK.minMs} ms, ${many.seen.mostInFlight} in flight`
    return [
      judged(
        SECTION,
        'loop-delay',
        delayP99Ms,
        { atMost: 50 },
        `ms p99 of the worker's event loop, ${delayMaxMs.toFixed(0)} at most; ${slow}, ${CROWD} messages`,
        `the longest collection of garbage took ${longestGcMs.toFixed(0)} ms; ${carriedBy([many]).words}, and the worker's thread waits for a core`
      ),
      judged(
        SECTION,
        'rss-in-flight',
        kb,
        { atMost: 64 },
        `KB a request: ${many.cost.mostRssMb.toFixed(0)} MB of its own at the peak, ${few.cost.mostRssMb.toFixed(0)} with ${few.seen.mostInFlight} in flight`,
        `${live.toFixed(0)} KB of it are in use, ${raw.toFixed(0)} KB by the request itself (the raw undici loop with a connection each); the rest ` +
          'is garbage of rows read and written meanwhile, which the engine lets lie for a while'
      )
    ]
  })
}
