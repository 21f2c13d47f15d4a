import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { cureOf } from '../../../server/commands/doctor-cures.js'
import { openGround } from '../../../server/commands/ground.js'
import { readConfig } from '../../../server/config.js'
import { KeysFault } from '../../../server/platform/keys.js'
import { silentLog } from '../../../server/platform/log.js'
import { createSandbox } from '../../../server/sandbox/sandbox.js'
import { signature } from '../../../server/wechat/callback.js'
import { createTokenRows } from '../../../server/wechat/token-rows.js'
import { run } from './run.js'
import { start } from './start.js'

t.setTimeout(170_000)

const SHOP = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
const ACCOUNT = ['account', 'add', '--kind', 'miniprogram', '--mode', 'sandbox', '--app-id', SHOP.appId]

/** A data directory with one account, of a local WeChat. */
async function installation(t: Test, { secret = SHOP.secret }: { secret?: string } = {}) {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 1 })
  t.teardown(() => sandbox.close())
  // Nobody listens at port 1: a doctor that knocks there must not be kept waiting.
  const env = {
    HONGYAN_DATA: join(t.testdir(), 'data'),
    HONGYAN_API_BASE: sandbox.url,
    HONGYAN_PUBLIC_URL: 'http://127.0.0.1:1'
  }
  const added = await run([...ACCOUNT, '--callback-token', 'tokenHere', '--secret', secret], env)
  t.equal(added.code, 0, added.err)
  return { env, sandbox }
}

/** The cause and the cure of what is wrong with `name`, as they are printed. */
function told(out: string, name: string): [cause: string, cure: string] {
  const lines = out.split('\n')
  const at = lines.findIndex((line) => line.startsWith(`✗ ${name}`))
  return at < 0 ? ['', ''] : [lines[at]!, lines[at + 1] ?? '']
}

async function finds(t: Test, env: Record<string, string>, name: string, cause: RegExp, cure: RegExp): Promise<string> {
  const { code, out } = await run(['doctor'], env)
  t.equal(code, 1, out)
  const [said, advice] = told(out, name)
  t.match(said, cause, out)
  t.match(advice, cure)
  t.match(advice, /^ {2}→ /)
  t.match(out, /1 thing\(s\) to mend/, 'and nothing else is blamed')
  return out
}

t.test('the doctor finds nothing in what is right', async (t) => {
  const { env } = await installation(t)
  const { code, out } = await run(['doctor'], env)
  t.equal(code, 0, out)
  for (const name of ['node', 'settings', 'disk', 'keys', 'store', 'keys fit', `account ${SHOP.appId}`]) {
    t.match(out, `✓ ${name}`)
  }
  t.match(out, /· callback .*: nothing answers at http:\/\/127\.0\.0\.1:1\/callback/)
  t.match(out, /all is well/)
})

t.test('the doctor names cause and cure of', async (t) => {
  t.test('a wrong app secret', async (t) => {
    const { env } = await installation(t, { secret: 'a secret of another app' })
    const out = await finds(
      t,
      env,
      `account ${SHOP.appId}`,
      /the app secret is wrong \(40125\)/,
      /copy the AppSecret from .*PATCH \/v1\/accounts\/wx5b1a2c3d4e5f6001 /
    )
    t.notMatch(out, /a secret of another app/)
  })

  t.test('an address WeChat does not know', async (t) => {
    const { env, sandbox } = await installation(t)
    const errmsg = 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist'
    const rule = { path: '/cgi-bin/*', action: { errcode: 40164, errmsg } }
    const made = await fetch(`${sandbox.url}/sandbox/rules`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(rule)
    })
    t.equal(made.status < 300, true)
    const account = `account ${SHOP.appId}`
    await finds(t, env, account, /does not accept calls from 203\.0\.113\.7/, /add 203\.0\.113\.7 .*IP白名单/)
  })

  t.test('a WeChat that cannot be reached', async (t) => {
    const { env } = await installation(t)
    const away = { ...env, HONGYAN_API_BASE: 'http://127.0.0.1:1' }
    await finds(t, away, `account ${SHOP.appId}`, /could not be reached/, /DNS, proxy, firewall/)
  })

  t.test('a bad callback token: pushes signed with another, and an address of another installation', async (t) => {
    const { env } = await installation(t)
    const server = await start(t, ['serve', '--port', '0'], { HONGYAN_DATA: env.HONGYAN_DATA })
    const here = { ...env, HONGYAN_PUBLIC_URL: server.ready.url as string }
    const right = await run(['doctor'], here)
    t.match(right.out, /✓ callback .* answers with this token; no push came yet/)
    t.equal(right.code, 0, right.out)

    const knock = async (token: string) => {
      const query = `timestamp=1&nonce=2&echostr=3&signature=${signature(token, '1', '2')}`
      return (await fetch(`${server.ready.url}/callback/${SHOP.appId}?${query}`)).status
    }
    t.equal((await fetch(`${server.ready.url}/callback/${SHOP.appId}`)).status, 403)
    t.match(await run(['doctor'], here), { code: 0 }, 'who signs nothing at all is a stranger, and no news')
    t.equal(await knock('token there'), 403)
    await finds(
      t,
      here,
      `callback ${SHOP.appId}`,
      /turned away at .*another token \(and none was ever accepted\)/,
      /must be the same here and in WeChat's console.*PATCH/
    )

    const other = { ...here, HONGYAN_DATA: join(env.HONGYAN_DATA, '..', 'other') }
    t.equal((await run([...ACCOUNT, '--callback-token', 'tokenThere', '--secret', SHOP.secret], other)).code, 0)
    await finds(t, other, `callback ${SHOP.appId}`, /answers 403 to a check signed/, /point HONGYAN_PUBLIC_URL/)
    t.equal(await server.stop(), 0)
  })

  t.test('a full disk', async (t) => {
    if (process.platform === 'win32') return t.pass('no limit on file sizes to be had')
    const { env } = await installation(t)
    const here = fileURLToPath(import.meta.url)
    const main = fileURLToPath(new URL(`../../../server/main${extname(here)}`, import.meta.url))
    // A limit on the size of files stands for the disk's: a quarter of a MB or half of one, depending on the shell.
    // Without what a test runner puts in front, by arguments or NODE_OPTIONS: it would answer the signal of a full disk itself.
    const loader = extname(here) === '.ts' ? process.execArgv : []
    const command = [process.execPath, ...loader, main, 'doctor', '--offline']
    const child = spawn('sh', ['-c', 'unset NODE_OPTIONS; ulimit -f 512; exec "$0" "$@"', ...command], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    t.equal(code, 1, err)
    const [cause, cure] = told(out, 'disk')
    t.match(cause, /the disk of .*data is full: not even 1 MB can be written/, out)
    t.match(cure, /free some space there, or point HONGYAN_DATA/)
  })

  t.test('a bad key', async (t) => {
    const { env } = await installation(t)
    const path = join(env.HONGYAN_DATA, 'keys.json')
    const good = await readFile(path, 'utf8')
    const keys = async (cause: RegExp, cure: RegExp, more: Record<string, string> = {}, name = 'keys') =>
      finds(t, { ...env, ...more }, name, cause, cure)

    await keys(/HONGYAN_KEYS: the key "(hash|k1)" is not 32 bytes/, /put back your copy/, {
      HONGYAN_KEYS: 'hash:zzz,k1:zzz'
    })
    const { out: another } = await run(['keys', 'new'])
    await keys(/written with another key ring/, /bring back the keys\.json/, { HONGYAN_KEYS: another }, 'store')
    await writeFile(path, good.slice(0, -20))
    await keys(/keys\.json is damaged/, /put back your copy/)
    await writeFile(path, good)
    await chmod(path, 0o644)
    if (process.platform !== 'win32') {
      const { out } = await run(['doctor', '--offline'], env)
      t.match(told(out, 'keys')[0], /can be read by others \(mode 644\): chmod 600 it/)
    }
    await rename(path, `${path}.away`)
    await keys(/keys\.json is gone/, /bring keys\.json back from your copy/)
    await t.rejects(readFile(path), { code: 'ENOENT' }, 'and no new one was made')
    await rename(`${path}.away`, path)
    await chmod(path, 0o600)
    t.match(await run(['doctor', '--offline'], env), { code: 0 })

    // The ring of this store by its mark, but without the key this secret was sealed with.
    const ring = JSON.parse(good)
    const fresh = (await run(['keys', 'new'])).out.split('k1:')[1]!
    await writeFile(path, JSON.stringify({ ...ring, sealing: { k1: fresh } }), { mode: 0o600 })
    const { out, err } = await run(['doctor', '--offline'], env)
    t.equal(err, '', 'what cannot be read is not read')
    t.match(told(out, 'keys fit')[0], /these keys do not open what the store holds/)
    t.match(told(out, 'keys fit')[1], /restore the ring it was written with/)
  })

  t.test('keys that a disk or a stranger keeps from being there', async (t) => {
    const because = (code: string) => cureOf(new KeysFault('the keys', Object.assign(new Error(code), { code })))
    t.match(because('ENOSPC'), /free some space/)
    t.match(because('EACCES'), /as the user the directory belongs to/)
    t.match(because('EIO'), /put back your copy/)
  })

  t.test('a store that is away, and a damaged one', async (t) => {
    const away = { HONGYAN_DATA: t.testdir(), MONGODB_URI: 'mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200' }
    await finds(t, away, 'store', /does not answer/, /is mongod up, and MONGODB_URI/)
    const { env } = await installation(t)
    await rm(join(env.HONGYAN_DATA, 'store', 'data.mdb'))
    await writeFile(join(env.HONGYAN_DATA, 'store', 'data.mdb'), 'no store at all')
    await finds(t, env, 'store', /not an LMDB file/, /.*/)
  })

  t.test('tokens that WeChat refuses one after the other', async (t) => {
    const { env } = await installation(t)
    const ground = await openGround(readConfig(env), silentLog())
    const account = await ground.db.collection<{ _id: string }>('accounts').findOne({})
    const rows = createTokenRows(ground.db)
    await rows.make(account!._id)
    await rows.block(account!._id, new Date(Date.now() + 3_600_000))
    await ground.close()
    await finds(
      t,
      env,
      `account ${SHOP.appId}`,
      /refuses this account's tokens/,
      /take ours.*wx5b1a2c3d4e5f6001\/token/
    )
  })

  t.test('a data directory that is none', async (t) => {
    const path = join(t.testdir({ file: '' }), 'file')
    const { code, out } = await run(['doctor'], { HONGYAN_DATA: path })
    t.equal(code, 1)
    t.match(told(out, 'store')[0], /cannot be written to \(it is not a directory\); choose another with HONGYAN_DATA/)
    t.match(out, /1 thing\(s\) to mend/)
  })

  t.test('settings that are none', async (t) => {
    const { out } = await run(['doctor'], { HONGYAN_PROT: '1', HONGYAN_PORT: 'x' })
    t.match(out, /✗ settings: [^]*HONGYAN_PROT: is no setting of Hongyan[^]*HONGYAN_PORT: [^]*→ README\.md lists/)
  })
})
