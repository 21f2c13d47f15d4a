import { once } from 'node:events'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as retry } from 'node:timers/promises'
import t from 'tap'
import { nodeVersion } from '../../../server/commands/doctor.js'
import { namesDatabase } from '../../../server/commands/ground.js'
import { VERSION } from '../../../server/version.js'
import { run } from './run.js'
import { start } from './start.js'

// Whole processes start here, several of them.
t.setTimeout(170_000)

t.test('a wrong command line', async (t) => {
  t.test('is answered with what would be right, and exit code 2', async (t) => {
    t.match(await run(['srve']), { code: 2, err: /no command "srve"[\s\S]*serve/ })
    t.match(await run(['serve', '--prot', '1']), { code: 2, err: /'--prot'\nusage: hongyan serve/ })
    t.match(await run(['serve', '--port', '99999']), { code: 2, err: /no port/ })
    t.match(await run(['key', 'create']), { code: 2, err: /--scopes is missing/ })
    t.match(await run(['key', 'create', '--scopes', 'all,things']), { code: 2, err: /"all" is no scope/ })
    t.match(await run(['keys', 'burn']), { code: 2, err: /none of new, list, status, add, rotate, reseal, retire/ })
    t.match(await run(['store', 'backup']), { code: 2, err: /needs a directory/ })
    t.match(await run(['store', '--listen', '8480']), { code: 2, err: /HOST:PORT/ })
    t.match(await run(['store', '--password-file', 'x']), { code: 2, err: /is for --listen/ })
    t.match(await run(['store', '--password', 'x']), { code: 2, err: /'--password'/ }) // ps would show it to everybody
    t.match(await run(['export', 'a', 'b']), { code: 2, err: /usage: hongyan export/ })
    t.match(await run(['import', 'a', 'b']), { code: 2, err: /"b" is one word too many/ })
    t.match(await run(['account', 'add', '--kind', 'shop', '--app-id', 'wx1', '--secret', 'x']), {
      code: 2,
      err: /--kind: .*; --app-id: an appId is wx and 16 hex digits; --secret: /
    })
  })
  t.test('may ask for help', async (t) => {
    t.match(await run(['--version']), { code: 0, out: VERSION })
    t.match(await run([]), { code: 0, out: /doctor[\s\S]*MONGODB_URI/ })
    for (const name of [
      'serve',
      'api',
      'worker',
      'sandbox',
      'demo',
      'doctor',
      'store',
      'export',
      'import',
      'keys',
      'key',
      'account'
    ]) {
      t.match(await run([name, '--help']), { code: 0, out: new RegExp(`usage: hongyan ${name}`) })
    }
  })
})

t.test('wrong surroundings are said in a line, with exit code 1', async (t) => {
  const fault = async (argv: string[], env: Record<string, string>, message: RegExp) => {
    const { code, err } = await run(argv, env)
    t.equal(code, 1)
    t.match(err, message)
    t.notMatch(err, /\n\s+at /, 'no stack')
  }
  const file = join(t.testdir({ file: 'text' }), 'file')
  await fault(['serve'], { HONGYAN_PORT: 'x', MONGODB_URI: 'q' }, /not right:\n  HONGYAN_PORT: .*\n  MONGODB_URI: /)
  await fault(
    ['serve', '--port', '0'],
    { HONGYAN_DATA: file },
    /data directory .*file cannot be written to \(it is not a directory\)/
  )
  const data = t.testdir()
  const away = { HONGYAN_DATA: data, MONGODB_URI: 'mongodb://u:hunter2@127.0.0.1:1/x?serverSelectionTimeoutMS=200' }
  await fault(['serve', '--port', '0'], away, /the store at mongodb:\/\/\*\*\*@127\.0\.0\.1:1\/x.* does not answer/)
  await fault(['key', 'create', '--scopes', 'all'], { ...away, HONGYAN_KEYS: 'k1:zzz' }, /the key "k1" is not 32 bytes/)
  await fault(['serve'], { HONGYAN_DATA: join(data, 'x'.repeat(300)) }, /its path is too long/)
  if (process.platform === 'linux') {
    // Nothing can be made there, and node's own recursive mkdir never says so.
    for (const command of ['serve', 'store']) {
      await fault(
        [command],
        { HONGYAN_DATA: '/proc/hy' },
        /\/proc\/hy cannot be written to \(nothing can be made there\)/
      )
    }
    t.match(await run(['doctor', '--offline'], { HONGYAN_DATA: '/proc/hy' }), {
      code: 1,
      out: /✗ store: .*nothing can be made/
    })
  }
  await fault(['store', 'check'], { HONGYAN_DATA: join(data, 'none') }, /There is no store in .*none\/store/)
  await fault(['store', 'check'], { HONGYAN_DATA: file }, /There is no store in|is not a directory/)
  await fault(['store', 'backup', join(data, 'to')], { HONGYAN_DATA: join(data, 'none') }, /There is no store/)
  const listen = ['store', '--listen', '127.0.0.1:0', '--password-file']
  await fault([...listen, join(data, 'no', 'such')], { HONGYAN_DATA: data }, /password file .*such cannot be used/)
  await writeFile(join(data, 'empty'), '\n', { mode: 0o600 })
  await fault([...listen, join(data, 'empty')], { HONGYAN_DATA: data }, /empty holds no password/)
  if (process.platform !== 'win32') {
    await writeFile(join(data, 'open'), 'secret')
    await chmod(join(data, 'open'), 0o644)
    await fault(
      [...listen, join(data, 'open')],
      { HONGYAN_DATA: data },
      /can be read by others \(mode 644\): chmod 600/
    )
  }
  const damaged = t.testdir({ store: { 'data.mdb': 'no store at all' } })
  await fault(['store', 'check'], { HONGYAN_DATA: damaged }, /not an LMDB file/)
  await fault(['store'], { HONGYAN_DATA: damaged }, /not an LMDB file/)
  await fault(['serve', '--port', '0'], { HONGYAN_DATA: damaged }, /does not open: .*not an LMDB file/)
  if (process.getuid?.() !== 0) {
    const locked = t.testdir()
    await chmod(locked, 0o500)
    await fault(['serve', '--port', '0'], { HONGYAN_DATA: locked }, /cannot be written to \(no permission\)/)
    await chmod(locked, 0o700)
  }
})

t.test('an installation is prepared without a login', async (t) => {
  const env = { HONGYAN_DATA: join(t.testdir(), 'data') }
  const account = ['account', 'add', '--kind', 'miniprogram', '--app-id', 'wx00112233445566aa', '--mode', 'sandbox']

  t.test('with its keys', async (t) => {
    t.match(await run(['keys', 'new']), { code: 0, out: /^hash:[\w-]{43},k1:[\w-]{43}$/ })
    t.match(await run(['keys', 'list'], env), { code: 0, out: 'k1  current' })
    t.match(await run(['keys', 'rotate'], env), { code: 0, out: /k2 is the current key/ })
    t.match(await run(['keys', 'list'], env), { out: 'k2  current\nk1' })
    if (process.platform !== 'win32') {
      t.equal((await stat(join(env.HONGYAN_DATA, 'keys.json'))).mode & 0o777, 0o600)
    }
  })
  t.test('with accounts', async (t) => {
    const added = await run([...account, '--secret', '-'], env, 'secret of the app\n')
    t.match(added, { code: 0, out: /^[0-9a-f]{24}$/, err: /\/callback\/wx00112233445566aa/ })
    t.match(await run([...account, '--secret', 'secret of the app'], env), { code: 1, err: /is connected already/ })
    t.match(await run(['account', 'list'], env), { out: new RegExp(`^${added.out}  wx00112233445566aa  miniprogram`) })
  })
  t.test('with API keys: the key alone on standard output', async (t) => {
    const scopes = ['--scopes', 'messages:send,accounts:read', '--accounts', 'wx00112233445566aa']
    t.match(await run(['key', 'create', ...scopes], env), { code: 0, out: /^hk_[\w-]{32}$/, err: /2 scope/ })
    t.match(await run(['key', 'create', '--scopes', 'all', '--accounts', 'wxffffffffffffffff'], env), {
      code: 1,
      err: /no such account/
    })
  })
  t.test('and looked over by the doctor', async (t) => {
    const { code, out } = await run(['doctor', '--offline'], env)
    t.equal(code, 0, out)
    for (const name of ['node', 'settings', 'store', 'keys']) t.match(out, `✓ ${name}: `)
    t.match(out, /account wx00112233445566aa .* not asked/)
    t.match(await run(['doctor'], { ...env, HONGYAN_PORT: 'x' }), { code: 1, out: /✗ settings/ })
    const other = { ...env, HONGYAN_KEYS: (await run(['keys', 'new'])).out }
    t.match(await run(['doctor', '--offline'], other), { code: 1, out: /written with another key ring/ })
    t.throws(() => nodeVersion('20.18.0'), { message: /20\.19/ })
    t.equal(nodeVersion('22.0.0'), '22.0.0')
  })
  t.test('checked and copied', async (t) => {
    t.match(await run(['store', 'check'], env), { code: 0, out: /, 0 fault\(s\)/ })
    const copy = join(t.testdir(), 'copy')
    t.match(await run(['store', 'backup', copy], env), { code: 0, out: /keys\.json as well/ })
    t.ok((await stat(copy)).isDirectory())
  })
})

t.test('a server', async (t) => {
  const env = { HONGYAN_DATA: join(t.testdir(), 'data'), HONGYAN_API_BASE: 'http://127.0.0.1:1' }
  const first = await start(t, ['serve', '--port', '0'], { ...env, HONGYAN_METRICS: '127.0.0.1:0' })

  t.test('comes up with its own store although WeChat is away, and says where', async (t) => {
    t.match(first.ready, { kind: 'ready', store: 'embedded', ownsStore: true, works: true, url: /^http:/ })
    const answer = await fetch(`${first.ready.url}/readyz`)
    t.same([answer.status, await answer.json()], [200, { status: 'ready', causes: [] }])
    t.ok(JSON.parse(await readFile(join(env.HONGYAN_DATA, 'keys.json'), 'utf8')).hash)
  })
  t.test('tells its figures where it was told to, without a token, and on the API to nobody without', async (t) => {
    const text = await (await fetch(first.ready.metrics)).text()
    const checks = ['hongyan_check_ok{check="keys"} 1', 'hongyan_check_ok{check="clock"} 1']
    for (const line of ['hongyan_jobs_running 1', ...checks]) t.ok(text.includes(`${line}\n`), line)
    t.match(text, /^nodejs_eventloop_lag_p99_seconds \d/m)
    t.match(text, /^process_resident_memory_bytes \d/m)
    t.equal((await fetch(`${first.ready.url}/metrics`)).status, 401)
  })
  t.test('is set up with the code it printed', async (t) => {
    const { setupCode } = JSON.parse(await first.line('setupCode'))
    const answer = await fetch(`${first.ready.url}/v1/setup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code: setupCode, email: 'a@example.com', password: 'correct horse battery' })
    })
    t.equal(answer.status, 201)
  })
  t.test('started on a taken port says so', async (t) => {
    const port = new URL(first.ready.url).port
    t.match(await run(['serve', '--port', port], env), {
      code: 1,
      err: new RegExp(`hongyan serve: port ${port} of 127.0.0.1 is taken: `)
    })
  })
  t.test('started again on the same data uses the first one’s store', async (t) => {
    const second = await start(t, ['api', '--port', '0'], env)
    t.match(second.ready, { store: 'embedded', ownsStore: false, works: false })
    const login = await fetch(`${second.ready.url}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'a@example.com', password: 'correct horse battery' })
    })
    t.equal(login.status, 200)
    t.equal(await second.stop(), 0)
  })
  t.test('killed leaves its store to the other one', async (t) => {
    const second = await start(t, ['api', '--port', '0'], env)
    t.equal(second.ready.ownsStore, false)
    const readiness = async () => (await fetch(`${second.ready.url}/readyz`)).status
    t.equal(await readiness(), 200)
    await first.stop('SIGKILL')
    let status = await readiness()
    for (; status !== 200; status = await readiness()) await retry(50)
    t.equal(status, 200, 'and nobody had to be started again')
    t.equal(await second.stop(), 0)
  })
  t.test('stops in good order', async (t) => {
    const first = await start(t, ['serve', '--port', '0'], env)
    t.equal(first.ready.ownsStore, true)
    t.equal(await first.stop(), 0)
    t.match(JSON.parse(await first.line('"stopped"')), { msg: 'stopped' })
  })
})

t.test('a store of its own', async (t) => {
  const dir = t.testdir()
  const listen = ['--listen', '127.0.0.1:0', '--password-file', join(dir, 'password'), '--print-uri', '--data', dir]
  const store = await start(t, ['store', ...listen], {})

  t.test('prints its uri and nothing else', async (t) => {
    t.equal(await store.line('mongodb://'), store.ready.uri)
    t.equal(store.lines.length, 1, 'and nothing else')
    const password = (await readFile(join(dir, 'password'), 'utf8')).trim()
    t.match(store.ready.uri, new RegExp(`^mongodb://hongyan:${password}@127\\.0\\.0\\.1:\\d+/`))
    if (process.platform !== 'win32') t.equal((await stat(join(dir, 'password'))).mode & 0o777, 0o600)
    t.match(await run(['store', '--data', dir]), { code: 1, err: /run by another process already/ })
    t.match(await run(['store', 'check', '--data', dir]), { code: 0, out: /0 fault\(s\)/ })
    t.match(await run(['store', 'backup', join(dir, 'copy'), '--data', dir]), { code: 0, out: /was copied to/ })
  })
  t.test('serves a worker and an owner out of the environment', async (t) => {
    const admin = { HONGYAN_ADMIN_EMAIL: 'boss@example.com', HONGYAN_ADMIN_PASSWORD: 'correct horse battery' }
    const env = { HONGYAN_DATA: t.testdir(), MONGODB_URI: store.ready.uri, ...admin }
    const worker = await start(t, ['worker', '--port', '0'], env)
    t.match(worker.ready, { store: 'mongodb', works: true })
    t.equal((await fetch(`${worker.ready.url}/readyz`)).status, 200)
    t.equal((await fetch(`${worker.ready.url}/v1/accounts`)).status, 404, 'no API here')
    t.equal(await worker.stop(), 0)
    t.notMatch(worker.lines.join('\n'), /setupCode/)
  })
  t.test('ends on a signal', async (t) => {
    t.equal(await store.stop(), 0)
  })
  t.test('says which port is taken', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    t.match(await run(['store', '--listen', `127.0.0.1:${port}`], { HONGYAN_DATA: t.testdir() }), {
      code: 1,
      err: new RegExp(`port ${port} of 127.0.0.1 is taken`)
    })
    taken.close()
  })
})

t.test('the version is the package’s, and a uri may name its database', async (t) => {
  const root = new URL(import.meta.url.endsWith('.ts') ? '../../../' : '../../../../', import.meta.url)
  t.equal(JSON.parse(await readFile(new URL('package.json', root), 'utf8')).version, VERSION)
  t.equal(namesDatabase('mongodb://h:1/name?x=1'), true)
  t.equal(namesDatabase('mongodb://%2Ftmp%2Fs.sock/name'), true)
  t.equal(namesDatabase('mongodb://h:1/?x=1'), false)
  t.equal(namesDatabase('mongodb+srv://h'), false)
})
