import t from 'tap'
import { liveApp, SHOP } from '../support/live-app.js'
import { looks, visit } from './browse.js'

t.setTimeout(240_000)
t.test('first run: owner, first account, its page; nothing in between is a dead end', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  const code = (await rooms.operators.setupCode())!
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.open('/')
  await visitor.speak('en')
  t.same(await looks(visitor, '/', 'start-owner', (page) => page.locator('input[name=code]').waitFor()), [])

  await visitor.speak('en')
  await visitor.open('/accounts')
  visitor.expected.add('POST /v1/setup 403')
  await visitor.setUp('wrong')
  await page.getByRole('alert').first().waitFor()
  await page.getByLabel('Set-up code').fill(code)
  await page.getByRole('button', { name: 'Create and go on' }).click()
  await page.getByRole('heading', { name: 'Try with the sandbox' }).waitFor()
  await visitor.shot('start-connect')

  await page.getByRole('button', { name: 'Connect an account' }).click()
  await page.getByLabel('AppID').fill('wx12')
  await page.getByLabel('AppSecret').fill(SHOP.secret)
  await page.getByLabel('Name').fill('晨读书店')
  await page.getByLabel('API address').fill(sandbox.url)
  visitor.expected.add('POST /v1/accounts 422')
  await page.getByRole('button', { name: 'Connect an account' }).click()
  await page.getByText('an appId is wx and 16 hex digits').waitFor()
  t.same(await visitor.barriers(), [])
  await page.getByLabel('AppID').fill(SHOP.appId)
  await page.getByRole('button', { name: 'Connect an account' }).click()
  await page.getByRole('heading', { level: 1, name: '晨读书店' }).waitFor()
  await page.getByText('Ready').waitFor()
  t.same(visitor.troubles, [])
})
