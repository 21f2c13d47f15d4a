import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { looks, PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

t.test('the overview follows a running campaign to its end, with and without the stream', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  const visitor = await visit(t, url)
  const { page } = visitor
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

  const wrong = await looks(visitor, '/', 'dashboard-account', async (page) => {
    await page.locator('canvas').first().waitFor()
    await page.locator('.tiles strong').first().waitFor()
  })
  t.same(wrong, [])
  // Cutting the stream is a failed request to the browser.
  t.same(
    visitor.troubles.filter((trouble) => !trouble.includes('/v1/stream')),
    []
  )
})
