import t from 'tap'
import { liveApp, SHOP } from '../support/live-app.js'
import { looks, PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

t.test('the overview follows a running campaign to its end, with and without the stream', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  const visitor = await visit(t, url)
  const { page } = visitor
  let tries = 0
  await page.route('**/chart-*.js*', (route) => (++tries === 1 ? route.abort() : route.continue()))
  await visitor.arrive('/')
  await visitor.signIn('o@example.com')
  await page.getByRole('button', { name: 'Set up' }).click()
  await page.getByRole('button', { name: 'Prepare the sandbox' }).click()

  const line = page.locator('[data-test=line]')
  await line.filter({ hasText: 'Live' }).waitFor()
  const bar = page.getByRole('progressbar', { name: '订单发货提醒' })
  await bar.waitFor()
  await page.getByText(/a second/).waitFor()
  const first = Number(await bar.getAttribute('value'))
  await visitor.shot('dashboard-running')

  // The stream is cut and not to be had again: what is shown goes on by asking.
  await page.route('**/v1/stream*', (route) => route.abort())
  await page.getByLabel('Account', { exact: true }).selectOption({ label: '晨读书店' })
  await line.filter({ hasText: 'Refreshed every 5 s' }).waitFor()
  await page.getByText('Rights in hand').waitFor()
  t.ok(Number(await bar.getAttribute('value')) >= first, 'it never goes back')
  await page.unroute('**/v1/stream*')
  await line.filter({ hasText: 'Live' }).waitFor()
  await page.getByText('No campaign is being sent just now.').waitFor({ timeout: 120_000 })

  await page.locator('canvas').first().waitFor()
  t.ok(tries > 1, 'the code of the chart did not come at first')
  const wrong = await looks(visitor, '/', 'dashboard-account', async (page) => {
    await page.locator('canvas').first().waitFor()
    await page.locator('.tiles strong').first().waitFor()
  })
  t.same(wrong, [])
  const unreached = page.getByRole('region', { name: 'People out of reach' })
  const shop = await rooms.accounts.get(SHOP.appId)
  const refusing = await rooms.people.models.recipients.countDocuments({ accountId: shop.id, reach: 'blocked' })
  await unreached.locator('dt', { hasText: 'Refuses' }).locator('+ dd').filter({ hasText: new RegExp(`^${refusing}$`) }).waitFor() // prettier-ignore
  // Cutting the stream, and the chart's code, is a failed request to the browser.
  t.same(
    visitor.troubles.filter((trouble) => !/\/v1\/stream|\/chart-/.test(trouble)),
    []
  )
})
