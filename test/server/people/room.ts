import type { Test } from 'tap'
import { createPeople } from '../../../server/people/people.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { testDb, testKeyring } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'

export const sealer = createSealer(testKeyring)

/** The people room on a fresh database. */
export async function room(t: Test) {
  const db = await testDb(t)
  const clock = testClock('2026-03-01T00:00:00Z')
  const people = createPeople({ db, clock, sealer })
  await people.ready()
  return { db, clock, people }
}
