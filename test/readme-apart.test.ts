import t from 'tap'
import { blocksOf, play } from './support/pages.js'

// The whole demo is one of them.
t.setTimeout(230_000)

const README = 'README.md'
const SECONDS = 200

t.test('what stands alone in the README is run by itself', async (t) => {
  for (const block of blocksOf(README).filter(({ how }) => how === 'apart'))
    await play(t, `${README}:${block.line}`, [block], SECONDS)
})
