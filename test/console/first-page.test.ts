import t from 'tap'
import { layoutShift } from '../support/browser.js'
import { liveApp } from '../support/live-app.js'
import { visit } from './browse.js'

t.setTimeout(240_000)
/** Of scripts as they travel, until the overview is there; the charts come after it, in a file of their own. */
const SCRIPT_MAX = 220 * 1024

t.test('the first page is light, stands still, and the demo opens it without a sign-in', async (t) => {
  const { url, rooms } = await liveApp(t)
  const password = 'a-demo_password-1'
  await rooms.operators.create({ email: 'demo@example.com', password, role: 'owner', accountIds: null })
  await rooms.tryout.begin()
  const visitor = await visit(t, url)
  const { page } = visitor
  const scripts: Promise<number>[] = []
  page.on('requestfinished', (request) => {
    if (request.resourceType() !== 'script' || /\/chart-/.test(request.url())) return
    scripts.push(request.sizes().then(({ responseBodySize }) => responseBodySize))
  })

  await visitor.open(`/#demo=${password}`)
  await page.locator('.demo').waitFor()
  t.equal(new URL(page.url()).hash, '', 'the secret leaves the address')
  await page.locator('.tiles strong').first().waitFor()
  const sum = (await Promise.all(scripts)).reduce((all, size) => all + size, 0)
  t.comment(`${scripts.length} scripts, ${Math.round(sum / 1024)} KB as they travelled`)
  t.ok(sum > 10_000 && sum <= SCRIPT_MAX, 'within its budget')

  await page.locator('canvas').first().waitFor()
  const shift = await layoutShift(page)
  t.comment(`layout shift ${shift.toFixed(3)}`)
  t.equal(shift, 0, 'nothing jumps about')
  t.same(visitor.troubles, [])
})
