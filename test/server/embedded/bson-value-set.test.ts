import * as bson from 'bson'
import t from 'tap'
import { equalValues } from '../../../server/embedded/bson/compare.js'
import { fromPlain } from '../../../server/embedded/bson/document.js'
import type { Value } from '../../../server/embedded/bson/value.js'
import { createValueSet } from '../../../server/embedded/bson/value-set.js'

t.test('a hashed set answers as comparing with each does', async (t) => {
  const long = 'x'.repeat(3000)
  const kinds: ((n: number) => unknown)[] = [
    (n) => n,
    (n) => bson.Long.fromNumber(n),
    (n) => bson.Decimal128.fromString(`${n}.0`),
    (n) => n + 0.5,
    (n) => String(n),
    (n) => `${long}${n}`,
    (n) => ({ a: n, b: [1, bson.Long.fromNumber(n)] }),
    (n) => ({ b: [1, n], a: n }),
    (n) => new Date(n),
    (n) => [n, null],
    (n) => (n % 2 === 0 ? null : -0),
    (n) => new bson.Binary(Buffer.from([n])),
    () => NaN
  ]
  const values = kinds.flatMap((kind) =>
    Array.from({ length: 12 }, (_, n) => fromPlain({ v: kind(n) }).get('v') as Value)
  )
  const kept = values.filter((_, i) => i % 3 !== 0)
  const set = createValueSet(kept, values.length)
  for (const value of values)
    if (set.has(value) !== kept.some((other) => equalValues(other, value))) t.fail(`differs for ${String(value)}`)
  t.notOk(set.has(values[3]!) && !kept.some((other) => equalValues(other, values[3]!)))
  set.add('new')
  t.ok(set.has('new'))
  t.notOk(set.has('other'))
})
