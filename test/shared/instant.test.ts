import t from 'tap'
import { Instant } from '../../shared/instant.js'

t.test('an instant is read with any offset, within the years a life can be added to', async (t) => {
  const table: [string, string | null][] = [
    ['2026-11-22T10:00:00+08:00', '2026-11-22T02:00:00.000Z'],
    ['2026-11-22T10:00:00.5Z', '2026-11-22T10:00:00.500Z'],
    ['9000-12-31T23:59:59Z', '9000-12-31T23:59:59.000Z'],
    ['9000-12-31T23:59:59-14:00', null],
    ['9999-12-31T23:59:59-14:00', null],
    ['0000-01-01T00:00:00+14:00', null],
    ['2026-11-22', null],
    ['2026-11-22T10:00:00', null]
  ]
  for (const [text, utc] of table) {
    const read = Instant.safeDecode(text)
    t.equal(read.success ? read.data.toISOString() : null, utc, text)
  }
})
