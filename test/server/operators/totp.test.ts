import t from 'tap'
import { codeAt, matchedStep, otpauthUri, stepAt, toBase32 } from '../../../server/operators/totp.js'
import { buildTestApp } from '../../support/build-app.js'

const ASCII = '1234567890123456789012345678901234567890123456789012345678901234'

t.test('codes', async (t) => {
  t.test('are those of RFC 6238, appendix B', async (t) => {
    const vectors: [seconds: number, sha1: string, sha256: string, sha512: string][] = [
      [59, '94287082', '46119246', '90693936'],
      [1111111109, '07081804', '68084774', '25091201'],
      [1111111111, '14050471', '67062674', '99943326'],
      [1234567890, '89005924', '91819424', '93441116'],
      [2000000000, '69279037', '90698825', '38618901'],
      [20000000000, '65353130', '77737706', '47863826']
    ]
    for (const [seconds, ...codes] of vectors) {
      const step = stepAt(new Date(seconds * 1_000))
      for (const [index, [algorithm, length]] of (
        [
          ['sha1', 20],
          ['sha256', 32],
          ['sha512', 64]
        ] as const
      ).entries()) {
        const secret = Buffer.from(ASCII.slice(0, length))
        t.equal(codeAt(secret, step, { digits: 8, algorithm }), codes[index], `${algorithm} at ${seconds}`)
      }
    }
  })
  t.test('and of RFC 4226, appendix D', async (t) => {
    const codes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489']
    t.same(
      codes.map((_, step) => codeAt(Buffer.from(ASCII.slice(0, 20)), step)),
      codes
    )
  })
  t.test('are good a step early and late, and once', async (t) => {
    const secret = Buffer.from(ASCII.slice(0, 20))
    const at = new Date(30_000 * 1_000)
    for (const [drift, good] of [
      [-2, false],
      [-1, true],
      [0, true],
      [1, true],
      [2, false]
    ] as const) {
      t.equal(matchedStep(secret, codeAt(secret, 1_000 + drift), at, 0), good ? 1_000 + drift : null, `${drift}`)
    }
    const now = codeAt(secret, 1_000)
    t.equal(matchedStep(secret, `${now.slice(0, 3)} ${now.slice(3)}`, at, 999), 1_000, 'as people type them')
    t.equal(matchedStep(secret, now, at, 1_000), null, 'used up')
    for (const odd of ['', '1', `${now}0`, 'abcdef', '９４２８７０']) t.equal(matchedStep(secret, odd, at, 0), null)
  })
  t.test('come of a secret as apps read it', async (t) => {
    t.equal(toBase32(Buffer.from('foobar')), 'MZXW6YTBOI', 'RFC 4648, section 10')
    t.equal(toBase32(Buffer.from('fooba')), 'MZXW6YTB')
    t.equal(
      otpauthUri('MZXW6YTB', 'lin@example.com'),
      'otpauth://totp/Hongyan:lin%40example.com?secret=MZXW6YTB&issuer=Hongyan'
    )
  })
})

t.test('an operator with a second factor', async (t) => {
  const { app, rooms, clock, login: headersOf } = await buildTestApp(t, { now: '2026-03-01T08:00:00Z' })
  const [email, password] = ['lin@example.com', 'correct horse battery']
  const { id } = await rooms.operators.create({ email, password, role: 'editor' })
  const login = (code?: string) =>
    app.inject({ method: 'POST', url: '/v1/auth/login', payload: { email, password, ...(code && { code }) } })
  const me = { authorization: `Bearer ${(await login()).json().token}` }
  const call = (method: 'POST' | 'PUT' | 'DELETE' | 'GET', url: string, payload?: object, headers = me) =>
    app.inject({ method, url, headers, ...(payload && { payload }) })

  t.match((await call('POST', '/v1/me/totp', { password: 'wrong' })).json(), { code: 'auth.wrong-password' })
  t.match((await call('PUT', '/v1/me/totp', { code: '123456' })).json(), { status: 409, code: 'auth.totp-not-begun' })
  const { secret } = (await call('POST', '/v1/me/totp', { password })).json()
  t.match(secret, /^[A-Z2-7]{32}$/)
  const row = await rooms.operators.get(id)
  t.equal(row.totp, false, 'until a code was confirmed')
  t.equal((await login()).statusCode, 200)

  const bytes = Buffer.from(
    Array.from(String(secret), (letter) =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')
    )
      .join('')
      .match(/.{8}/g)!
      .map((bits) => parseInt(bits, 2))
  )
  const code = () => codeAt(bytes, stepAt(clock.now()))
  t.match((await call('PUT', '/v1/me/totp', { code: '000000' })).json(), { code: 'auth.wrong-code' })
  const { recoveryCodes } = (await call('PUT', '/v1/me/totp', { code: code() })).json()
  t.same([recoveryCodes.length, new Set(recoveryCodes).size], [10, 10])
  t.equal((await call('GET', '/v1/me')).json().totp, true)

  t.match((await login()).json(), { status: 401, code: 'auth.code-needed' })
  t.match((await login(code())).json(), { code: 'auth.wrong-code' }, 'the one it was confirmed with is used up')
  clock.advance(30_000)
  const both = await Promise.all([login(code()), login(code())])
  t.same(both.map(({ statusCode }) => statusCode).sort(), [200, 401], 'of two at once one is let in')
  t.equal((await login(recoveryCodes[0])).statusCode, 200)
  t.match((await login(recoveryCodes[0])).json(), { code: 'auth.wrong-code' }, 'a recovery code is good once')
  t.equal((await login(recoveryCodes[1].toLowerCase().replace('-', ' '))).statusCode, 200)
  for (let n = 0; n < 8; n++) await login('000000')
  t.equal((await login('000000')).statusCode, 429, 'codes are not guessed')
  clock.advance(3_600_000)
  t.equal((await login(code())).statusCode, 200)

  clock.advance(30_000)
  const fresh = { authorization: `Bearer ${rooms.tokens.operator(id).token}` }
  const remove = (given: string) => call('POST', '/v1/me/totp/remove', { password, code: given }, fresh)
  t.match((await remove('000000')).json(), { code: 'auth.wrong-code' })
  t.equal((await remove(code())).statusCode, 204)
  t.equal((await login()).statusCode, 200)

  await rooms.operators.beginTotp(id, password)
  t.equal((await call('DELETE', `/v1/operators/${id}/totp`, undefined, fresh)).statusCode, 403)
  t.equal((await call('DELETE', `/v1/operators/${id}/totp`, undefined, await headersOf('owner'))).statusCode, 204)
})
