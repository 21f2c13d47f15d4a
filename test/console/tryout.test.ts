import t from 'tap'
import { liveApp, until } from '../support/live-app.js'
import { visit } from './browse.js'

t.setTimeout(240_000)

t.test('one click: the sandbox is there, its campaign runs, nothing is left to prepare', async (t) => {
  const { url, rooms } = await liveApp(t)
  const code = (await rooms.operators.setupCode())!
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/')
  await visitor.setUp(code)
  const began = performance.now()
  await page.getByRole('button', { name: 'Prepare the sandbox' }).click()
  await page.getByRole('navigation', { name: 'Menu' }).waitFor()
  t.comment(`prepared in ${Math.round(performance.now() - began)} ms`)
  t.match(await page.getByLabel('Account', { exact: true }).locator('option').allTextContents(), [
    'All accounts',
    '晨读书店',
    '晨读书店服务号'
  ])

  const token = rooms.tokens.operator((await rooms.operators.page({ limit: 1 })).data[0]!.id).token
  const get = async (path: string) =>
    (await (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).json()) as any
  const campaigns = (await get('/v1/campaigns')).data
  t.same(campaigns.map(({ state }: any) => state).sort(), ['draft', 'online', 'online', 'online'])
  const running = campaigns.find(({ name }: any) => name === '订单发货提醒')
  const { funnel } = await until(
    'messages are accepted',
    () => get(`/v1/campaigns/${running.id}/funnel`),
    ({ funnel }) => funnel.accepted > 5,
    60_000
  )
  t.equal(funnel.matched, 400, 'a message for everybody was planned')
  t.match(await get('/v1/tryout'), { url: /^http:\/\/127\.0\.0\.1:\d+$/ })
  t.same(visitor.troubles, [])
})
