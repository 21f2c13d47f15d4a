import t from 'tap'
import { blocksOf, staysUp } from './support/pages.js'

// The whole demo is played before it says where its phone is.
t.setTimeout(230_000)

const SECONDS = 200

t.test('what the README starts and leaves running shows a phone', async (t) => {
  for (const block of blocksOf('README.md').filter(({ how }) => how === 'stays')) await staysUp(t, block, SECONDS)
})
