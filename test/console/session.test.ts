import t from 'tap'
import { liveApp, SHOP } from '../support/live-app.js'
import { codeAt, stepAt } from '../../server/operators/totp.js'
import { looks, PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

t.test('sessions and roles', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  const operator = (email: string, role: 'owner' | 'viewer') =>
    rooms.operators.create({ email, password: PASSWORD, role, accountIds: null })
  await operator('o@example.com', 'owner')
  await operator('v@example.com', 'viewer')

  t.test('a session that ends in the middle of a form loses nothing typed', async (t) => {
    const visitor = await visit(t, url)
    const { page, browser } = visitor
    await visitor.open('/')
    await visitor.speak('en')
    t.same(await looks(visitor, '/', 'sign-in', (page) => page.locator('input[name=email]').waitFor()), [])
    await visitor.speak('en')
    await visitor.open('/accounts/connect')
    visitor.expected.add('POST /v1/auth/login 401')
    await page.getByLabel('Email').fill('o@example.com')
    await page.getByLabel('Password').fill('not the right one')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await visitor.signIn('o@example.com')

    await page.getByLabel('AppID').fill(SHOP.appId)
    await page.getByLabel('AppSecret').fill(SHOP.secret)
    await page.getByLabel('Name').fill('晨读书店')
    await page.getByLabel('API address').fill(sandbox.url)
    // The session is over on the server, and the cookie is gone.
    await browser.clearCookies()
    await page.route('**/v1/accounts', (route) => route.fulfill({ status: 401, body: '{}' }), { times: 1 })
    visitor.expected.add('POST /v1/accounts 401').add('POST /v1/auth/refresh 401')
    await page.getByRole('button', { name: 'Connect an account' }).click()
    const dialog = page.getByRole('dialog', { name: 'Your session has ended' })
    await dialog.waitFor()
    await visitor.shot('session-ended')
    t.same(await visitor.barriers(), [])
    t.equal(await dialog.getByLabel('Email').inputValue(), 'o@example.com')
    await dialog.getByLabel('Password').fill(PASSWORD)
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { level: 1, name: '晨读书店' }).waitFor()
    t.equal((await rooms.accounts.list()).length, 1, 'the request was repeated, once')

    await page.reload()
    await page.getByRole('heading', { level: 1, name: '晨读书店' }).waitFor()
    t.pass('the cookie carries the session over a reload')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.locator('input[name=password]').waitFor()
    t.same(visitor.troubles, [])
  })

  t.test('a second factor is set up, asked for, and removed', async (t) => {
    await operator('two@example.com', 'viewer')
    const visitor = await visit(t, url)
    const { page } = visitor
    visitor.expected.add('POST /v1/auth/login 401')
    await visitor.open('/')
    await visitor.speak('en')
    await visitor.open('/settings?tab=operators')
    await visitor.signIn('two@example.com')
    const card = page.getByRole('form', { name: 'Second factor' })
    await card.getByLabel('Password').fill(PASSWORD)
    await card.getByRole('button', { name: 'Set it up' }).click()
    const secret = fromBase32((await card.locator('code').first().textContent())!)
    t.same(await visitor.barriers(), [])
    await visitor.shot('second-factor')
    const step = stepAt(new Date())
    await card.getByLabel('Code').fill(codeAt(secret, step))
    await card.getByRole('button', { name: 'Confirm' }).click()
    await card.getByText('Recovery codes').waitFor()
    const [recovery] = (await card.locator('code').first().textContent())!.split(' ')

    await page.getByRole('button', { name: 'Sign out' }).click()
    const signIn = async (code: string) => {
      await page.getByLabel('Email').fill('two@example.com')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByLabel('Code').fill(code)
      t.equal(await page.getByRole('alert').count(), 0, 'to be asked for a code is no refusal')
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    await signIn('000000')
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Code').fill(codeAt(secret, step + 1))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    await visitor.open('/settings?tab=operators')
    await card.getByText('In use').waitFor()
    await card.getByLabel('Password').fill(PASSWORD)
    await card.getByLabel('Code').fill(recovery!)
    await card.getByRole('button', { name: 'Remove it' }).click()
    await card.getByText('Not in use').waitFor()
    t.same(visitor.troubles, [])
  })

  t.test('a viewer sees everything and can do nothing', async (t) => {
    const visitor = await visit(t, url)
    const { page } = visitor
    await visitor.arrive('/accounts')
    await visitor.signIn('v@example.com')
    const connect = page.getByRole('button', { name: 'Connect an account' })
    await connect.waitFor()
    t.ok(await connect.isDisabled())
    t.match(await connect.getAttribute('title'), /Needs the role operator/)
    await page.getByRole('link', { name: '晨读书店' }).click()
    await page.getByRole('heading', { name: 'Usable functions' }).waitFor()
    t.equal(await page.getByRole('button', { name: /Pause|Remove|Check/ }).count(), 0)
    t.same(visitor.troubles, [])
  })

  t.test('the keyboard alone gets from the menu to a page', async (t) => {
    const visitor = await visit(t, url)
    const { page } = visitor
    await visitor.arrive('/')
    await visitor.signIn('o@example.com')
    await page.getByRole('navigation').waitFor()
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
    await page.getByRole('link', { name: 'Accounts' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Accounts' }).waitFor()
    t.equal(await page.evaluate('document.activeElement.id'), 'content', 'and is there, not at the top of the menu')
    t.same(visitor.troubles, [])
  })
})

/** RFC 4648, as an authenticator app reads what is typed. */
function fromBase32(text: string): Buffer {
  const bits = [...text].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')
  )
  const bytes = bits.join('').match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => parseInt(byte, 2)))
}
