import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serialize } from 'bson'
import t, { type Test } from 'tap'
import { createKeysNeeded } from '../../../server/commands/keys-needed.js'
import { parseKeyLine, toKeyLine, withKey } from '../../../server/platform/keys.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { run } from './run.js'

/** A store with a secret sealed with k1 and another one sealed with k2, its ring, and an export of it. */
async function source(t: Test) {
  const dir = t.testdir()
  const [from, file] = [join(dir, 'from'), join(dir, 'all.jsonl')]
  const env = { HONGYAN_DATA: from }
  const connect = (appId: string) =>
    run(['account', 'add', '--kind', 'miniprogram', '--app-id', appId, '--secret', 'a secret of the app'], env)
  t.match(await connect('wx00000000000000a1'), { code: 0 })
  t.match(await run(['keys', 'rotate'], env), { code: 0, out: /^k2 is the current key/ })
  t.match(await connect('wx00000000000000a2'), { code: 0 })
  const exported = await run(['export', file], env)
  t.match(exported, { code: 0, err: /bring it along; k1, k2 of it are needed$/ })
  const ring = JSON.parse(await readFile(join(from, 'keys.json'), 'utf8')) as Ring
  let n = 0
  /** A new data directory with this ring, or none, in it. */
  const target = async (keys: Ring | null) => {
    const to = join(dir, `to${n++}`)
    await mkdir(to)
    if (keys !== null) await writeFile(join(to, 'keys.json'), JSON.stringify(keys), { mode: 0o600 })
    return to
  }
  return { dir, from, file, ring, target }
}
type Ring = { sealing: Record<string, string>; current: string; hash: string }

t.test('an import is refused before anything is written where the ring opens less than the export holds', async (t) => {
  const { file, ring, target } = await source(t)
  const { k1, k2 } = ring.sealing as { k1: string; k2: string }

  const older = await target({ ...ring, sealing: { k1 }, current: 'k1' })
  t.match(await run(['import', '--data', older, file]), {
    code: 1,
    err: /the keys\.json in .*so nothing was written:\n {2}k2 is missing; it sealed 2 values in accounts\nput the keys\.json of the source there \(or its whole HONGYAN_KEYS\), then call the same command again$/
  })
  t.notOk(existsSync(join(older, 'store')), 'not even an empty store')

  const retired = await target({ ...ring, sealing: { k2 }, current: 'k2' })
  t.match(await run(['import', '--data', retired, file]), {
    err: /\n {2}k1 is missing; it sealed 2 values in accounts\n/
  })

  // Two copies of one ring, to each of which a key was added: both call it k2.
  const other = withKey(withKey(parseKeyLine(`hash:${ring.hash},k9:${k1}`)).keyring).keyring.sealing[1]!
  const parted = await target({ ...ring, sealing: { k1, k2: other.key.toString('base64url') } })
  t.match(await run(['import', '--data', parted, file]), {
    code: 1,
    err: /k2 is another key than the k2 that sealed 2 values/
  })
  t.notOk(existsSync(join(parted, 'store')))

  const given = { HONGYAN_KEYS: `hash:${ring.hash},k3:${k1}` }
  t.match(await run(['import', '--data', await target(null), file], given), {
    code: 1,
    err: /HONGYAN_KEYS does not open all .*\n {2}k1 is missing.*\n {2}k2 is missing/
  })
  const piped = await run(['import', '--data', await target(null)], given, await readFile(file))
  t.match(piped, { code: 1, err: /k1 is missing/ })

  t.test('and taken where it opens all, in whatever order the keys stand', async (t) => {
    const whole = await target(ring)
    t.match(await run(['import', '--data', whole, file]), { code: 0, err: '' })
    t.match(await run(['account', 'list'], { HONGYAN_DATA: whole }), { code: 0, out: /a1.*\n.*a2/ })
    const line = toKeyLine(parseKeyLine(`k2:${k2},k1:${k1},hash:${ring.hash}`))
    t.match(await run(['import', '--data', await target(null), file], { HONGYAN_KEYS: line }), { code: 0, err: '' })
  })
  t.test('where no ring is there yet, the keys it must have are named', async (t) => {
    const bare = await target(null)
    t.match(await run(['import', '--data', bare, file]), {
      code: 0,
      err: /now put the keys\.json .*\(with k1, k2 in it\)/
    })
  })
})

t.test('one damaged value does not make a key another one; rows of others are not looked at', async (t) => {
  const needed = createKeysNeeded()
  const { seal } = createSealer({ sealing: [{ id: 'k10', key: Buffer.alloc(32, 1) }], hash: Buffer.alloc(32) })
  for (const sealed of [`k10.${'A'.repeat(60)}`, seal('x'), 'no sealed value']) {
    needed.look('credentials', serialize({ _id: sealed, sealed }))
  }
  needed.look('settings', serialize({ targets: [{ sealedUrl: seal('y').replace('k10', 'k9') }] }))
  needed.look('events', serialize({ name: 'order_paid', properties: { sealed: seal('z').replace('k10', 'k4') } }))
  needed.look('events', serialize({ name: '$push:scan', properties: { sealed: seal('z') } }))
  needed.look('elsewhere', serialize({ sealed: seal('z').replace('k10', 'k3') }))
  t.same(needed.names(), ['k9', 'k10'])
  t.match(needed.of('k10'), { values: 3, some: { length: 3 } })
})
