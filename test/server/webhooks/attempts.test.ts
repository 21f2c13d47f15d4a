import t from 'tap'
import { GIVE_UP_MS, isDead, nextTry, outcomeOf, restAfter, turnSize } from '../../../server/webhooks/attempts.js'

const START = new Date('2026-03-02T04:00:00Z')
const posted = (status: number | null, more = {}) => ({
  status,
  ms: 1,
  error: null,
  text: '',
  type: '',
  retryAfterMs: null,
  ...more
})

t.test('an answer', async (t) => {
  t.test('of 2xx is an arrival, any other is none', async (t) => {
    const table: [number | null, boolean][] = [
      [200, true],
      [204, true],
      [299, true],
      [301, false],
      [302, false],
      [400, false],
      [410, false],
      [500, false],
      [null, false]
    ]
    for (const [status, ok] of table) t.equal(outcomeOf(posted(status), 'standard').ok, ok, String(status))
  })
  t.test('of 410 says that nothing is wanted any more, and no other does', async (t) => {
    t.match(outcomeOf(posted(410), 'standard'), { gone: true })
    t.match(outcomeOf(posted(404), 'standard'), { gone: false, error: 'HTTP 404' })
  })
  t.test('of a robot is read: 200 with an errcode is a refusal', async (t) => {
    t.same(outcomeOf(posted(200, { text: '{"errcode":0,"errmsg":"ok"}' }), 'wecom'), { ok: true })
    t.match(outcomeOf(posted(200, { text: '{"errcode":45009}' }), 'wecom'), { ok: false, error: 'errcode 45009' })
    t.match(outcomeOf(posted(200, { text: '<html>' }), 'wecom'), { ok: false, error: 'not the answer of a robot' })
  })
})

t.test('a delivery', async (t) => {
  t.test('is tried again ever later, at least ten times, and for no more than a day', async (t) => {
    for (const chance of [0, 0.5, 1]) {
      const giveUpAt = new Date(START.getTime() + GIVE_UP_MS)
      let now = START
      let before = 0
      let tries = 1
      for (;;) {
        const next = nextTry(tries, { now, giveUpAt, askedMs: null, chance })
        if (next === null) break
        const wait = next.getTime() - now.getTime()
        t.ok(wait >= before || tries >= 9, `wait ${tries}`)
        before = wait
        now = next
        tries++
      }
      t.ok(tries >= 10 && tries < 20, `${tries} tries`)
      t.ok(now < giveUpAt)
      t.ok(now.getTime() - START.getTime() > GIVE_UP_MS * 0.6, 'most of the day is used')
    }
  })
  t.test('waits as long as it was asked to', async (t) => {
    const giveUpAt = new Date(START.getTime() + GIVE_UP_MS)
    const next = nextTry(1, { now: START, giveUpAt, askedMs: 120_000, chance: 0.5 })
    t.equal(next!.getTime() - START.getTime(), 120_000)
  })
})

t.test('a webhook that takes nothing', async (t) => {
  t.test('rests ever longer, at most ten minutes, and is then asked with one delivery', async (t) => {
    t.same(
      [0, 1, 2, 3, 4, 5, 30].map((failures) => restAfter(failures, null)),
      [0, 0, 0, 10_000, 20_000, 40_000, 600_000]
    )
    t.equal(restAfter(0, 5_000), 5_000, 'as asked')
    t.same([turnSize(2, 40), turnSize(3, 40)], [40, 1])
  })
  t.test('is dead after most of a day without an arrival, not before, and not after a single failure', async (t) => {
    const failingSince = START
    const after = (hours: number) => new Date(START.getTime() + hours * 3_600_000)
    t.notOk(isDead({ failures: 50, failingSince }, after(19)))
    t.ok(isDead({ failures: 5, failingSince }, after(20)))
    t.notOk(isDead({ failures: 4, failingSince }, after(100)))
    t.notOk(isDead({ failures: 50 }, after(100)))
  })
})
