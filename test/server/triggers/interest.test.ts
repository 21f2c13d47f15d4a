import t from 'tap'
import { interestOf, isAnswered, mayStop } from '../../../server/triggers/interest.js'
import { notFollowed, onEvent } from './processes.js'

const told = (name: string, properties: Record<string, unknown> = {}) => ({ name, properties })

t.test('an event is answered by who listens to its name, if it meets the conditions', async (t) => {
  t.equal(isAnswered(onEvent({ where: { vip: true } }), told('a', { vip: true })), true)
  t.equal(isAnswered(onEvent({ where: { vip: true } }), told('a')), false)
  t.equal(isAnswered(onEvent(), told('b')), false)
  t.equal(isAnswered(notFollowed(), told('b')), false)
})

t.test('an event may stop what waits', async (t) => {
  t.equal(mayStop(notFollowed(), told('b')), true, 'it was to be missing')
  t.equal(mayStop(notFollowed({ where: { vip: true } }), told('a')), false)
  t.equal(mayStop(notFollowed({ where: { vip: true } }), told('a', { vip: true })), true, 'a newer one of its kind')
  const cancelled = onEvent({ cancelOn: { event: 'off', where: { whole: true } } })
  t.equal(mayStop(cancelled, told('off', { whole: true })), true)
  t.equal(mayStop(cancelled, told('off')), false)
  t.equal(mayStop(onEvent({ delayMs: 60_000 }), told('a')), true)
  t.equal(mayStop(onEvent(), told('a')), false, 'what is answered at once does not wait')
})

t.test(
  'of all triggers together, what any of them answers or is stopped by is of interest, nothing else',
  async (t) => {
    const interest = interestOf([
      onEvent({ where: { vip: true }, cancelOn: { event: 'off' } }),
      notFollowed({ event: 'c', missing: 'c' }),
      onEvent({ event: 'toString' })
    ])
    const wanted = [told('a', { vip: true }), told('off'), told('c'), told('toString')]
    t.same(wanted.map(interest), [true, true, true, true])
    t.same([told('a'), told('b'), told('constructor')].map(interest), [false, false, false])
    t.equal(interestOf([])(told('a')), false)
  }
)
