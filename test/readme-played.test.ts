import t from 'tap'
import { blocksOf, play } from './support/pages.js'

// Whole servers start here.
t.setTimeout(230_000)

const README = 'README.md'
const blocks = (page: string, how: string) => blocksOf(page).filter((each) => each.how === how)

t.test('the tour of the README is played, and says what it says there', (t) => play(t, README, blocks(README, 'run')))
t.test('so are the examples of docs/rest.md', (t) => play(t, 'docs/rest.md', blocks('docs/rest.md', 'run')))
t.test('the README moves a store by the command it names', async (t) => {
  const [block] = blocks(README, 'transfer')
  const first = {
    how: 'run',
    line: 0,
    code: 'npx hongyan account add --kind miniprogram --app-id wx5b1a2c3d4e5f6001 --secret 6001a1b2c3d4e5f60718293a4b5c6d7e > /dev/null'
  }
  const code = block!.code.replace(
    /import --data elsewhere$/m,
    'import --data elsewhere > told; grep -c "checksums are those" told\n#> 1'
  )
  await play(t, README, [
    first,
    {
      ...block!,
      code: `${code}cp .hongyan/keys.json elsewhere/\nnpx hongyan account list --data elsewhere | cut -c27-44\n#> wx5b1a2c3d4e5f6001\n`
    }
  ])
})
