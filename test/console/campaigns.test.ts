import t from 'tap'
import { liveApp, until } from '../support/live-app.js'
import { visit } from './browse.js'

t.setTimeout(240_000)

t.test('first run to a full funnel: sandbox, audience, campaign once, online, as the ledger has it', async (t) => {
  const { url, rooms, db } = await liveApp(t)
  const code = (await rooms.operators.setupCode())!
  const visitor = await visit(t, url)
  const { page } = visitor
  await visitor.arrive('/')
  await visitor.setUp(code)
  await page.getByRole('button', { name: 'Prepare the sandbox' }).click()
  await page.getByRole('navigation', { name: 'Menu' }).waitFor()

  const people = await db.collection<{ _id: string; externalId?: string }>('people').find().limit(6).toArray()
  const { id: listId } = await rooms.audiences.create({ name: 'Six', personIds: people.map(({ _id }) => _id) })
  const next = () => page.getByRole('button', { name: 'Next', exact: true }).click()
  const heading = (name: string) => page.getByRole('heading', { level: 2, name, exact: true }).waitFor()

  await visitor.open('/campaigns/new')
  await page.getByLabel('Campaign name').fill('Journey')
  await page.reload()
  t.equal(await page.getByLabel('Campaign name').inputValue(), 'Journey', 'a draft outlives a reload')
  await next()
  await heading('Audience and account')
  await page.getByRole('radio', { name: /^晨读书店 Ready/ }).check()
  await page.locator('select[name=audience]').selectOption(listId)
  t.same(await visitor.barriers(), [])
  await next()
  await heading('Trigger')
  await page.getByRole('radio', { name: /Recurring/ }).check()
  await page.getByTestId('next-runs').locator('li').nth(4).waitFor()
  t.equal(await page.getByTestId('next-runs').locator('li').count(), 5)
  t.same(await visitor.barriers(), [])
  await page.getByRole('radio', { name: /A without B/ }).check()
  await page.getByLabel('Event A').fill('order_placed')
  await page.getByLabel('Event B').fill('order_paid')
  t.same(await visitor.barriers(), [])
  await page.getByRole('radio', { name: /Once/ }).check()
  await next()
  await heading('Template and content')
  const template = page.locator('select[name=template]')
  const legacy = template.locator('option', { hasText: 'Mini-program' }).first()
  await template.selectOption((await legacy.getAttribute('value'))!)
  await page.locator('input[name=keyword1]').fill('')
  const insert = page.getByRole('combobox', { name: /Insert a variable/ }).first()
  await insert.selectOption({ label: 'nickname' }).catch(async () => insert.selectOption({ index: 1 }))
  t.match(await page.locator('input[name=keyword1]').inputValue(), /^\{\{ \w+\.\w+ \}\}$/)
  await page.getByRole('region', { name: 'Preview' }).locator('.card-face').waitFor()
  t.same(await visitor.barriers(), [])
  await visitor.shot('wizard-content')
  await next()
  await heading('What a tap opens')
  t.match(page.url(), /\/campaigns\/\w+\/edit\?step=open/)
  await page.getByLabel('A tap on the card opens').selectOption('page')
  await page.getByLabel('Page', { exact: true }).fill('/pages/order')
  visitor.expected.add(
    `PATCH ${new URL(page.url()).pathname.replace('/campaigns', '/v1/campaigns').replace('/edit', '')} 422`
  )
  await next()
  await page.getByText('has no leading slash').first().waitFor()
  await page.getByLabel('Page', { exact: true }).fill('pages/order')
  await next()
  await heading('Time and limits')
  await page.getByText('The account’s limit: 3 · Default: 3 (by agreement)').waitFor()
  await page.getByText('Default: 1 day (built in)').waitFor()
  await page.getByText('Default: 1 hr (built in)').waitFor()
  t.same(await visitor.barriers(), [])
  await next()
  await heading('Review')
  await page.getByText('It can go online.').waitFor()
  t.same(await visitor.barriers(), [])
  await visitor.shot('wizard-review')
  // It was for tomorrow; the journey does not wait until then.
  await page.getByRole('button', { name: 'Trigger' }).first().click()
  await heading('Trigger')
  const soon = new Date(Date.now() + 8 * 3_600_000 + 61_000).toISOString().slice(0, 16)
  await page.locator('input[name=at]').fill(soon)
  await page.getByRole('button', { name: 'Test and go online' }).click()
  await heading('Test and go online')
  await page.getByLabel('Person ID').fill(people[0]!._id)
  await page.getByRole('button', { name: 'To a person' }).click()
  await page.getByTestId('test-outcomes').getByText('Accepted by WeChat').waitFor()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await page.getByText('Of 6 people:').waitFor()
  t.same(await visitor.barriers(), [])
  await visitor.shot('wizard-launch')
  await page.getByRole('button', { name: 'Go online', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Go online' }).click()
  await page.getByRole('heading', { level: 1, name: 'Journey' }).waitFor()

  const id = new URL(page.url()).pathname.split('/')[2]!
  const rows = () => rooms.messages.rows.find({ campaignId: id, test: false }).toArray()
  await until(
    'all six are through',
    rows,
    (all) => all.length === 6 && all.every(({ settledAt }) => settledAt !== null),
    90_000
  )
  await page.getByText('100% done').waitFor()
  const accepted = (await rows()).filter(({ state }) => state === 'accepted').length
  t.ok(accepted > 0, 'somebody was reached')
  t.equal(await page.getByTestId('funnel-matched').locator('strong').textContent(), '6')
  await page.waitForFunction(
    `document.querySelector('[data-testid=funnel-accepted] strong').textContent === '${accepted}'`
  )
  t.same(await visitor.barriers(), [])
  await visitor.shot('campaign-done')
  t.same(visitor.troubles, [])
})
