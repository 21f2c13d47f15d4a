import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'
import { isReady, placesOf } from './places.js'

t.setTimeout(600_000)

/** What asks something and changes nothing, though it is a POST. */
const QUESTIONS = /\/(preview|check|lint|next-runs|auth\/refresh|auth\/login|lookup)$/
/** What may be pressed on a page, but for what leaves it. */
const PRESSABLE = '#content button:not([disabled]), dialog[open] button:not([disabled])'

t.test('a viewer sees every screen, and nothing they can press changes anything', async (t) => {
  const { url, rooms } = await liveApp(t)
  const owner = await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null }) // prettier-ignore
  await rooms.operators.create({ email: 'v@example.com', password: PASSWORD, role: 'viewer', accountIds: null })
  const { token } = rooms.tokens.operator(owner.id)
  const { screens, parts } = await placesOf(url, { authorization: `Bearer ${token}` })
  const visitor = await visit(t, url)
  const { page } = visitor
  page.setDefaultTimeout(10_000)
  await visitor.arrive('/')
  await visitor.signIn('v@example.com')
  await page.getByRole('navigation').first().waitFor()

  const changes: string[] = []
  page.on('request', (request) => {
    const { pathname } = new URL(request.url())
    if (request.method() !== 'GET' && !QUESTIONS.test(pathname)) changes.push(`${request.method()} ${pathname}`)
  })
  let pressed = 0
  for (const screen of [...Object.values(screens), ...parts]) {
    const { at, name } = screen
    await visitor.open(at)
    await isReady(screen, page).catch(() => {}) // what is for others only is not there
    await visitor.settle()
    t.ok(await page.locator('h1').first().isVisible(), `${name} is there`)
    const count = await page.locator(PRESSABLE).count()
    for (let i = 0; i < count; i++) {
      if (new URL(page.url()).pathname + new URL(page.url()).search !== at) {
        await visitor.open(at)
        await isReady(screen, page).catch(() => {})
        await visitor.settle()
      }
      const button = page.locator(PRESSABLE).nth(i)
      if (!(await button.isVisible().catch(() => false)) || (await button.isDisabled().catch(() => true))) continue
      await button.click({ timeout: 2_000 }).catch(() => {})
      pressed++
      await visitor.settle()
      await page.keyboard.press('Escape')
    }
    t.same(changes.splice(0), [], `${name}: nothing was sent that changes anything`)
  }
  t.ok(pressed > 20, `${pressed} buttons were pressed`)
  t.same(
    visitor.troubles.filter((trouble) => / 403$/.test(trouble)),
    [],
    'nothing is offered that is refused'
  )
})
