import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openGround } from '../../../server/commands/ground.js'
import { readConfig } from '../../../server/config.js'
import { silentLog } from '../../../server/platform/log.js'
import { keyOf } from '../../../server/resealing/places.js'
import { run } from './run.js'

t.setTimeout(120_000)

const ACCOUNT = ['account', 'add', '--kind', 'miniprogram', '--app-id', 'wx00112233445566aa', '--mode', 'sandbox']
const SECRET = 'secret of the app'

/** As if the current key had been that for two minutes. */
async function settled(dir: string): Promise<void> {
  const path = join(dir, 'keys.json')
  const file = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify({ ...file, rotatedAt: new Date(Date.now() - 120_000).toISOString() }))
}

t.test('a key is added, made current, sealed with, and the old one retired', async (t) => {
  const env = { HONGYAN_DATA: join(t.testdir(), 'data') }
  await run([...ACCOUNT, '--secret', SECRET], env)
  const retire = () => run(['keys', 'retire', 'k1'], env)

  t.match(await run(['keys', 'retire'], env), { code: 2, err: /which key/ })
  t.match(await retire(), { code: 1, err: /"k1" is the current key/ })
  t.match(await run(['keys', 'retire', 'k7'], env), { code: 1, err: /no key "k7"/ })
  t.match(await run(['keys', 'add'], env), { code: 0, out: /^k2 was added/ })
  t.match(await run(['keys', 'list'], env), { out: 'k1  current\nk2' })
  t.match(await run(['keys', 'status'], env), { out: /^k1 {2}current {2}accounts 1\nk2 {2}seals nothing/ })
  t.match(await run(['keys', 'rotate'], env), { code: 0, out: /^k2 is the current key now/ })
  t.match(await retire(), { code: 1, err: /less than a minute/ })
  await settled(env.HONGYAN_DATA)
  t.match(await retire(), { code: 1, err: /still sealed with k1 \(1 in accounts/ })
  t.match(await run(['keys', 'reseal'], env), { code: 0, out: /^2 values were sealed anew with k2/ })
  t.match(await run(['keys', 'reseal'], env), { code: 0, out: /^0 values/ }, 'again')
  t.match(await retire(), { code: 0, out: /k1 is gone/, err: /backups made before need it/ })
  t.match(await run(['keys', 'list'], env), { out: 'k2  current' })
  t.match(await run(['doctor'], env), { out: /✓ keys: / })
  t.match(
    await run(['keys', 'rotate'], env),
    { out: /^k3 is the current key/ },
    'in one step, where one file serves all'
  )
})

t.test('a ring in the environment changes line by line', async (t) => {
  const data = join(t.testdir(), 'data')
  const line = (await run(['keys', 'new'])).out
  const env = (keys: string) => ({ HONGYAN_DATA: data, HONGYAN_KEYS: keys })
  await run([...ACCOUNT, '--secret', SECRET], env(line))
  t.match(await run(['keys', 'rotate'], env(line)), { code: 1, err: /no newer key/ })
  const added = (await run(['keys', 'add'], env(line))).out
  t.match(added, new RegExp(`^${line},k2:[\\w-]{43}$`))
  const turned = (await run(['keys', 'rotate'], env(added))).out
  t.match(turned, /^hash:[\w-]+,k2:[\w-]+,k1:[\w-]+$/)
  t.match(await run(['keys', 'retire', 'k1'], env(turned)), { code: 1, err: /still sealed with k1/ })
  t.match(await run(['keys', 'reseal'], env(turned)), { code: 0, out: /^2 values/ })
  t.match(await run(['keys', 'reseal'], env(added)), { code: 1, err: /the ring here is older/ })
  const last = await run(['keys', 'retire', 'k1'], env(turned))
  t.match(last, { code: 0, out: /^hash:[\w-]+,k2:[\w-]+$/ })
  t.match(await run(['account', 'list'], env(last.out)), { code: 0, out: /wx00112233445566aa/ })
})

t.test('killed in the middle of it, beside a process that goes on', async (t) => {
  const dir = join(t.testdir(), 'data')
  const config = readConfig({ HONGYAN_DATA: dir })
  // It runs the store, has the old ring in memory, and is not restarted.
  const server = await openGround(config, silentLog())
  t.teardown(() => server.close())
  const rows = server.db.collection('recipients')
  const before = Array.from({ length: 120 }, (_, n) => ({ _id: `r${n}` as never, sealed: server.sealer.seal(`o${n}`) }))
  await rows.insertMany(before)
  t.equal((await run(['keys', 'rotate'], { HONGYAN_DATA: dir })).code, 0)

  const child = spawn(process.execPath, [...childFile(), dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const text of child.stdout) if (Number(String(text).trim().split('\n').at(-1)) > 30) break
  child.kill('SIGKILL')
  const keys = async () => (await rows.find().toArray()).map(({ sealed }) => keyOf(sealed))
  const half = await keys()
  t.ok(half.includes('k1') && half.includes('k2'), 'it was in the middle')
  const said = async () =>
    (await rows.find().toArray()).map(({ sealed }) => server.sealer.open(sealed as string)).sort()
  const all = Array.from({ length: 120 }, (_, n) => `o${n}`).sort()
  t.same(await said(), all, 'who runs opens both')

  t.match(await run(['keys', 'reseal'], { HONGYAN_DATA: dir }), { code: 0, out: /values were sealed anew with k2/ })
  t.same([...new Set(await keys())], ['k2'])
  t.same(await said(), all)
})

/** The child beside the tests of the room, compiled or from its source. */
function childFile(): string[] {
  const file = (ending: string) => fileURLToPath(new URL(`../resealing/reseal-child.${ending}`, import.meta.url))
  return existsSync(file('js')) ? [file('js')] : ['--import', 'tsx', file('ts')]
}
