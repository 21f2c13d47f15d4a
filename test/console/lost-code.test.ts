import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

t.test('a screen whose code does not come is opened all the same, or it is said why not', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/')
  await visitor.signIn('o@example.com')
  const menu = page.getByRole('navigation', { name: 'Menu' })
  const heading = (name: string) => page.getByRole('heading', { level: 1, name })
  await heading('Overview').waitFor()

  // As after an update of the server: what the page was to load is not there any more.
  let asked = 0
  await page.route('**/assets/accounts-*.js', (route) => (++asked === 1 ? route.abort() : route.continue()))
  await menu.getByRole('link', { name: 'Accounts' }).click()
  await heading('Accounts').waitFor()
  t.equal(asked, 2)
  t.equal(new URL(page.url()).pathname, '/accounts')

  await page.route('**/assets/people-*.js', (route) => route.abort())
  // As a proxy answers while the server behind it is away.
  await page.route('**/people', (route) => route.fulfill({ status: 502, body: 'Bad Gateway' }))
  await menu.getByRole('link', { name: 'People' }).click()
  await page.getByText('The server does not answer.').waitFor()
  t.equal(new URL(page.url()).pathname, '/accounts', 'what was open stays open')
  t.same(
    visitor.troubles.filter((trouble) => !/\/assets\/|\/people |dynamically imported/.test(trouble)),
    []
  )
})
