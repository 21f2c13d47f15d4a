import t from 'tap'
import { liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(240_000)

t.test('an audience is built by rule while its size is watched, and another from a file', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  await rooms.tryout.begin()
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/audiences/new')
  await visitor.signIn('o@example.com')
  const size = page.locator('[data-test=count]')
  await size.filter({ hasText: /^400$/ }).waitFor()

  await page.getByLabel('Add a condition').selectOption('attribute')
  await page.getByLabel('Attribute').fill('city')
  await page.getByLabel('Value', { exact: true }).fill('上海')
  await size.filter({ hasText: /^80$/ }).waitFor()
  await page.getByLabel('Add a condition').first().selectOption('did')
  await page.getByLabel('Event', { exact: true }).fill('order_placed')
  await size.filter({ hasText: /^20$/ }).waitFor()
  await page.getByRole('button', { name: 'Narrow by a property' }).click()
  await page.getByLabel('Property of the event').fill('amount')
  await page.getByLabel('Comparison').last().selectOption('gte')
  await page.getByLabel('Type of value').last().selectOption('number')
  await page.getByLabel('Value', { exact: true }).last().fill('50')
  await page.getByLabel('Name').fill('Shanghai buyers')
  await visitor.settle()
  const shown = await size.textContent()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('heading', { level: 1, name: 'Shanghai buyers' }).waitFor()
  t.match((await rooms.audiences.page({ limit: 1 })).data[0], {
    name: 'Shanghai buyers',
    rule: {
      all: [
        { attribute: 'city', op: 'eq', value: '上海' },
        { did: 'order_placed', where: { amount: { gte: 50 } }, withinDays: 30 }
      ]
    }
  })
  await page.reload()
  await size.filter({ hasText: shown! }).waitFor()
  t.equal(await page.getByLabel('Property of the event').inputValue(), 'amount', 'it is read back as it was typed')

  await visitor.open('/audiences/new?kind=list')
  await page.getByLabel('Name').fill('guests')
  await page.getByRole('button', { name: 'Save' }).click()
  const csv =
    'externalId,attributes.city,attributes.orders:number\nguest-0001,上海,9\nguest-0002,北京,many\nguest-9999,广州,1\n'
  await page.getByLabel('File').setInputFiles({ name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) })
  await page.getByRole('button', { name: 'Import', exact: true }).click()
  await page.getByText('Import finished').waitFor()
  t.match(await page.locator('table td').allTextContents(), ['3', /orders/, /.+/], 'the row that fails is named')
  await page.getByText('2 people are in the list.').waitFor()
  await visitor.shot('audience-import')
  t.same(await visitor.barriers(), [])
  t.same(visitor.troubles, [])
})
