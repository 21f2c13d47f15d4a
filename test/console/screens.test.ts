import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { looks, PASSWORD, TWO_LOOKS, visit } from './browse.js'
import { isReady, placesOf, ROUTES } from './places.js'

t.setTimeout(1_200_000)

t.test('every screen in every look, with the sandbox’s own data', async (t) => {
  const { url, rooms } = await liveApp(t)
  const owner = await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null }) // prettier-ignore
  const { token } = rooms.tokens.operator(owner.id)
  const { screens, parts } = await placesOf(url, { authorization: `Bearer ${token}` })

  const visitor = await visit(t, url, { journey: false })
  await visitor.open('/')
  await visitor.signIn('o@example.com')
  await visitor.page.getByRole('navigation').first().waitFor()
  const routes = (await visitor.page.evaluate(ROUTES)) as string[]
  t.same(
    Object.keys(screens).sort(),
    [...routes].sort(),
    'whoever adds a route adds its screen to the places looked at'
  )

  for (const screen of Object.values(screens)) {
    t.same(await looks(visitor, screen.at, screen.name, (page) => isReady(screen, page)), [], screen.name)
  }
  for (const part of parts) {
    t.same(await looks(visitor, part.at, part.name, (page) => isReady(part, page), TWO_LOOKS), [], part.name)
  }
  t.same(visitor.troubles, [])
})
