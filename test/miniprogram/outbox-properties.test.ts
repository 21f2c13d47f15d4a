import fc from 'fast-check'
import t from 'tap'
import { createPhone, FAULTS, take, valueOf } from './restarting-phone.js'

const HOUR = 3_600_000
const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)

type Step =
  | { do: 'catch'; source: string; copy: number; poison: boolean }
  | { do: 'advance' | 'jump' | 'slow'; ms: number }
  | { do: 'online'; now: boolean }
  | { do: 'fault'; fault: keyof typeof FAULTS }
  | { do: 'crashAtWrite'; n: number }
  | { do: 'crash' | 'hide' | 'revoke' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('catch' as const),
      source: fc.constantFrom('form', 'payment', 'grant', 'event', 'open'),
      copy: fc.nat(1),
      poison: fc.nat(9).map((n) => n === 0)
    })
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(40_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('jump' as const),
      ms: fc.integer({ min: -400, max: 400 }).map((d) => d * 24 * HOUR)
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('slow' as const), ms: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('online' as const), now: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      fault: fc.constantFrom(...(Object.keys(FAULTS) as (keyof typeof FAULTS)[]))
    })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crashAtWrite' as const), n: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'hide' as const, 'revoke' as const) }) }
)

t.test(
  'whatever happens to phone, network and server, each catch is acknowledged once or counted as dropped',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.constantFrom(500, 6),
        fc.array(step, { maxLength: 40 }),
        async (seed, size, steps) => {
          const phone = createPhone(seed, 2, { outboxSize: size })
          const { server, time } = phone
          const expected: string[] = []
          const poisons: string[] = []
          let unsure = 0
          let fault: keyof typeof FAULTS = 'none'
          server.fault = (request) => {
            const set = FAULTS[fault](request)
            const items: any[] = request.body?.items ?? []
            const errors = items.flatMap((item, at) =>
              /^poison/.test(valueOf(item)) ? [{ pointer: `/items/${at}/value` }] : []
            )
            const poisoned = errors.length > 0
            // a refused batch is not kept, whether or not its answer arrives
            if (set !== null) return set === 'lost' && poisoned ? 'offline' : set
            return poisoned ? { statusCode: 422, data: { errors } } : null
          }
          let made = 0
          for (const s of steps) {
            if (s.do === 'catch') {
              if (!phone.alive()) phone.restart()
              const value = `${s.poison ? 'poison' : s.source}-${++made}`
              take(phone.kit(s.copy), s.source, value)
              // a payment or a grant is caught when WeChat answers, a moment later
              await time.settle()
              if (phone.alive()) (s.poison ? poisons : expected).push(value)
              else unsure++ // it died in the catch: before its write or after
            }
            if (s.do === 'advance') await time.advance(s.ms)
            if (s.do === 'jump') time.jump(s.ms)
            if (s.do === 'slow') phone.setSlow(s.ms)
            if (s.do === 'online') phone.setOnline(s.now)
            if (s.do === 'fault') fault = s.fault
            if (s.do === 'crashAtWrite') phone.crashAtWrite(s.n)
            if (s.do === 'crash') phone.crash()
            if (s.do === 'hide' && phone.alive()) phone.fake().hide()
            if (s.do === 'revoke') server.revoke()
          }
          fault = 'none'
          phone.setSlow(0)
          phone.setOnline(true)
          phone.restart()
          await time.advance(2 * HOUR)
          await phone.kit(0).flush()

          const status = phone.kit(0).status()
          const kept = [...server.kept.values()].map(valueOf)
          if (status.queued !== 0) throw new Error(`still waiting: ${JSON.stringify(status)}`)
          const lost = expected.filter((value) => !kept.includes(value))
          const dropped = sum(status.dropped)
          const acknowledged = sum(status.acknowledged)
          const facts = JSON.stringify({ status, lost, poisons, unsure, kept: kept.length })
          if (new Set(kept).size !== kept.length) throw new Error(`handed in under two ids: ${kept}`)
          if (sum(status.caught) !== acknowledged + dropped) throw new Error(`counts disagree: ${facts}`)
          if (dropped < lost.length + poisons.length) throw new Error(`gone without a count: ${facts}`)
          if (dropped > lost.length + poisons.length + unsure + (kept.length - acknowledged)) {
            throw new Error(`counted as dropped without being gone: ${facts}`)
          }
          if (acknowledged > kept.length) throw new Error(`acknowledged twice: ${facts}`)
          if (size === 6) return
          if (lost.length > 0) throw new Error(`lost: ${facts}`)
          if (acknowledged !== kept.length) throw new Error(`acknowledged without being kept: ${facts}`)
        }
      ),
      { numRuns: 300 }
    )
    t.pass('no counter-example')
  }
)

t.test('while storage is full or cannot be read now and then, an app that lives on loses nothing', async (t) => {
  const step = fc.oneof(
    fc.record({ source: fc.constantFrom('form', 'payment', 'grant', 'event', 'open'), copy: fc.nat(1) }),
    fc.record({ full: fc.boolean(), unreadable: fc.boolean() }),
    fc.nat(20_000)
  )
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.constantFrom(1, 2),
      fc.array(step, { maxLength: 25 }),
      async (seed, copies, steps) => {
        const phone = createPhone(seed, copies)
        let made = 0
        for (const s of steps) {
          if (typeof s === 'number') await phone.time.advance(s)
          else if ('full' in s) {
            phone.setFull(s.full)
            phone.setUnreadable(s.unreadable)
          } else {
            take(phone.kit(s.copy), s.source, `${s.source}-${++made}`)
            await phone.time.settle()
          }
        }
        phone.setFull(false)
        phone.setUnreadable(false)
        // what was in memory is written with the next change
        for (let copy = 0; copy < copies; copy++) take(phone.kit(copy), 'form', `last-${++made}`)
        await phone.time.advance(HOUR)
        const kept = [...phone.server.kept.values()].map(valueOf)
        if (kept.length !== made || new Set(kept).size !== made) throw new Error(`${made}: ${kept}`)
        const status = phone.kit(0).status()
        if (status.queued + phone.kit(1).status().queued > 0) throw new Error('still waiting')
        if (sum(status.caught) !== made) throw new Error(`miscounted: ${JSON.stringify(status)}`)
        // two copies that cannot write may both hand in what the storage held before
        if (sum(status.acknowledged) !== made && copies === 1) throw new Error(`miscounted: ${JSON.stringify(status)}`)
      }
    ),
    { numRuns: 100 }
  )
  t.pass('no counter-example')
})
