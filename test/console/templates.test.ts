import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)
const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')

t.test('a template is composed, checked, looked at and sent to one person', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/templates')
  await visitor.signIn('o@example.com')
  await page.getByText('Connect an account first').waitFor()
  await rooms.tryout.begin()
  const [shop] = await rooms.accounts.list()

  await visitor.open('/templates')
  await page.getByRole('link', { name: '订单发货提醒' }).waitFor()
  await page.getByRole('button', { name: 'Add a template' }).click()
  await page.getByLabel('Search title or number').fill('退款')
  await page.getByRole('button', { name: /退款成功通知/ }).click()
  const submit = page.getByRole('button', { name: 'Add to WeChat' })
  t.ok(await submit.isDisabled(), 'not before a keyword is chosen')
  for (const name of ['退款金额', '退款原因', '退款时间'])
    await page.getByRole('button', { name: `Choose ${name}` }).click()
  await page.getByRole('button', { name: 'Move 退款时间 up' }).click()
  t.same(
    await page.locator('.card-face dt').allTextContents(),
    ['退款金额', '退款时间', '退款原因'],
    'the card follows'
  )
  await page.getByRole('heading', { name: 'Audit rules' }).waitFor()
  await visitor.shot('templates-compose')
  t.same(await visitor.barriers(), [])
  await submit.click()
  await page.getByRole('heading', { level: 1, name: '退款成功通知' }).waitFor()

  await visitor.open(`/templates/${shop!.id}/${SHIPPED}`)
  await page.getByLabel(/keyword1/).fill('{{ event.orderId }}')
  await page.locator('.card-face dd', { hasText: 'D20261101' }).waitFor()
  await page.getByLabel('To', { exact: true }).fill('guest-0001')
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByText('Accepted by WeChat').waitFor()

  t.same(visitor.troubles, [])
})
