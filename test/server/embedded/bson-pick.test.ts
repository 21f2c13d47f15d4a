import t from 'tap'
import {
  decode,
  decodeFields,
  encode,
  pickFields,
  valueFromPlain,
  type Doc
} from '../../../server/embedded/bson/document.js'

const doc = valueFromPlain({
  _id: 'a',
  n: 1,
  names: ['x', { deep: new Date(0) }],
  inner: { n: 2, none: null },
  naïve: true,
  last: 7n
}) as Doc
const raw = encode(doc)

t.test('a document cut down to some fields says the same as those fields read off it', async (t) => {
  const all = [...doc.keys()]
  for (const fields of [
    [],
    ['_id'],
    ['n', 'inner'],
    ['last', '_id'],
    ['naïve', 'names'],
    ['nobody'],
    ['nobody', 'n'],
    all
  ]) {
    const names = new Set(fields)
    t.same(decode(pickFields(raw, names)), decodeFields(raw, names), fields.join(' ') || 'nothing')
  }
  t.ok(pickFields(raw, new Set(all)).equals(raw), 'all of them are the document, byte for byte')
})

t.test('the order is the one stored, whatever was asked for first', async (t) => {
  t.same([...decode(pickFields(raw, new Set(['last', 'n', '_id']))).keys()], ['_id', 'n', 'last'])
})
