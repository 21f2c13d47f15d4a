import t from 'tap'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { liveApp } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(300_000)

t.test('what is set in the console is there when it is opened again', async (t) => {
  const { url, rooms } = await liveApp(t)
  await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null })
  await rooms.tryout.begin()
  const [shop, brand] = (await rooms.accounts.list()).sort((a, b) => a.appId.localeCompare(b.appId))
  const visitor = await visit(t, url)
  const { page } = visitor
  const dialog = page.getByRole('dialog')
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const saved = () => page.getByText('Saved', { exact: true }).last().waitFor()
  await visitor.arrive('/settings')
  await visitor.signIn('o@example.com')

  t.test('an operator comes, is raised and goes', async (t) => {
    await button('Add an operator').click()
    await dialog.getByLabel('Email').fill('new@example.com')
    await dialog.getByLabel('First password').fill('another long password')
    await dialog.getByRole('button', { name: 'Add an operator' }).click()
    const row = page.locator('tr', { hasText: 'new@example.com' })
    await row.locator('select').selectOption('operator')
    await page.getByText('new@example.com is now operator').waitFor()
    await page.reload()
    t.equal(await row.locator('select').inputValue(), 'operator')
    await row.getByRole('button').last().click()
    await dialog.getByRole('button', { name: 'Remove the operator' }).click()
    await row.waitFor({ state: 'detached' })
  })

  t.test('an API key is shown once', async (t) => {
    await visitor.open('/settings?tab=keys')
    await button('New key').first().click()
    await dialog.locator('input[name=key-name]').fill('backend')
    await dialog.getByLabel('messages:read').check()
    await dialog.getByRole('button', { name: 'New key' }).click()
    const key = await dialog.getByText(/^hk_/).first().textContent()
    t.match(key, /^hk_/)
    const asked = await fetch(`${url}/v1/messages?limit=1`, { headers: { authorization: `Bearer ${key!.trim()}` } })
    t.equal(asked.status, 200, 'and works')
    await page.reload()
    await page.getByText('backend').waitFor()
    t.equal(await page.getByText(key!.trim()).count(), 0)
  })

  t.test('thresholds of alerts', async (t) => {
    await visitor.open('/settings?tab=alerts')
    const share = page.getByLabel('Fires at share (0–1)').first()
    await share.fill('0.35')
    await button('Save').click()
    await saved()
    await page.reload()
    await share.waitFor()
    t.equal(await share.inputValue(), '0.35')
    t.equal((await rooms.settings.fresh()).thresholds.failures.share, 0.35)
  })

  t.test('a group robot is added, tried and dropped', async (t) => {
    await visitor.open('/settings?tab=alerts')
    const targets = page.getByRole('region', { name: 'Told to group robots' })
    await targets.getByLabel('Name').fill('值班群')
    await targets.getByLabel('Robot’s address').fill('https://robot.invalid/send?key=secret')
    await targets.getByRole('button', { name: 'Add' }).click()
    await targets.getByText('值班群').waitFor()
    t.equal(await page.getByText('key=secret').count(), 0)
    await targets.getByRole('button', { name: 'Test 值班群' }).click()
    await page.getByText(/^The test: /).waitFor()
    await targets.getByRole('button', { name: 'Delete 值班群' }).click()
    await dialog.getByRole('button', { name: 'Remove the robot' }).click()
    await targets.getByText('Nobody is told.').waitFor()
    t.same((await rooms.settings.fresh()).targets, [])
  })

  t.test('the words that are looked for', async (t) => {
    await visitor.open('/settings?tab=words')
    const text = page.locator('textarea[name=words]')
    await text.fill('暗号\n优惠券|促销|*')
    await button('Save').click()
    await saved()
    await page.reload()
    await page.getByText('2 words').waitFor()
    t.equal(await text.inputValue(), '暗号\n优惠券|促销|*')
    t.same((await rooms.words.get('sensitive')).words, [
      { word: '暗号', kind: '', titleOnly: false },
      { word: '优惠券', kind: '促销', titleOnly: true }
    ])
    t.same(await visitor.barriers(), [])
  })

  t.test('how the system is', async (t) => {
    await visitor.open('/settings?tab=system')
    await page.getByText('All is well').waitFor()
    const people = page.locator('tr', { hasText: 'People as accounts know them' })
    await people.waitFor()
    t.equal(await people.locator('td').nth(1).textContent(), String(await rooms.people.models.recipients.countDocuments({}))) // prettier-ignore
    await page.locator('tr', { hasText: 'Messages' }).getByText('180 days').waitFor()
    await page.locator('tr', { hasText: 'Triggers that wait' }).getByText('30 days after their end').waitFor()
    await page.locator('tr', { hasText: 'Credentials' }).getByText('30 days after they expire; those that never do, 180 days after their last use').waitFor() // prettier-ignore
    await page.getByText('Address seen from outside (WeChat comes from there)').waitFor()
    await visitor.shot('settings-system-findings')
    t.same(await visitor.barriers(), [])
  })

  t.test('limits and what rights are worth, of an account', async (t) => {
    await visitor.open(`/accounts/${shop!.id}`)
    const limits = page.getByRole('form', { name: 'Limits and settings' })
    const perSecond = limits.getByLabel('Requests a second')
    await limits.getByText('Default: 200 (built in)').waitFor()
    await limits.getByText('Default: 1,000,000 (by WeChat’s rules)').waitFor()
    await limits.getByText('Default: 3 (by agreement)').waitFor()
    await perSecond.fill('')
    await limits.getByRole('button', { name: 'Save' }).click()
    await limits.getByText('Default: 50 (built in)', { exact: true }).waitFor()
    t.equal((await rooms.accounts.get(shop!.id)).limits.perSecond, 50, 'an emptied field is the default')
    await perSecond.fill('17')
    await limits.getByRole('button', { name: 'Save' }).click()
    await limits.getByText('Set for this account; default: 50 (built in)').waitFor()
    const sources = page.getByRole('form', { name: 'What rights are worth' })
    const form = sources.getByRole('group', { name: 'Form' })
    await form.getByText('Default: 1 send · 7 days').waitFor()
    await form.getByLabel('Days it lives').fill('5')
    await sources.getByRole('group', { name: 'Payment' }).getByRole('checkbox').uncheck()
    const kept = page.waitForResponse((answer) => answer.request().method() === 'PATCH' && answer.ok())
    await sources.getByRole('button', { name: 'Save' }).click()
    await kept
    await page.reload()
    await form.getByLabel('Days it lives').waitFor()
    t.equal(await form.getByLabel('Days it lives').inputValue(), '5')
    const stored = await rooms.accounts.get(shop!.id)
    t.match(stored, { limits: { perSecond: 17 }, sources: { form: { lifeMs: 432_000_000 }, payment: { enabled: false } } }) // prettier-ignore
    t.same(await visitor.barriers(), [])
  })

  t.test('its push address is asked, its phone is a click away', async (t) => {
    await button('Test the address').click()
    await page.getByText(/^Nobody answers, or not as WeChat wants: /).waitFor()
    const phone = page.getByRole('link', { name: 'Open the sandbox phone' })
    const address = await phone.getAttribute('href')
    t.equal(new URL(address!).origin, rooms.tryout.where())
    const other = await visitor.browser.newPage()
    await other.goto(address!)
    await other.locator(':visible', { hasText: '晨读书店' }).first().waitFor()
    await other.close()
  })

  t.test('industries of a service account', async (t) => {
    await visitor.open(`/accounts/${brand!.id}`)
    const card = page.getByRole('form', { name: 'Industries' })
    await card.locator('select[name=primary]').selectOption({ label: '教育 / 培训' })
    await card.locator('select[name=secondary]').selectOption({ label: '餐饮 / 餐饮' })
    await card.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('button', { name: 'Save' }).click()
    await saved()
    await page.reload()
    await card.getByText(/^Last changed/).waitFor()
    t.equal(await card.locator('select[name=primary] option:checked').textContent(), '教育 / 培训')
  })

  t.test('a webhook is tried, and whom nothing reaches is listed', async (t) => {
    const heard: string[] = []
    const hook = createServer((request, response) => {
      heard.push(request.headers['webhook-id'] as string)
      response.end()
    })
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
    t.teardown(() => new Promise<void>((resolve) => void hook.close(() => resolve())))
    await visitor.open('/settings?tab=webhooks')
    await button('New webhook').first().click()
    await dialog.getByLabel('Address').fill(`http://127.0.0.1:${(hook.address() as AddressInfo).port}/`)
    visitor.expected.add('POST /v1/webhooks 422')
    await dialog.getByLabel('message.failed').check()
    await dialog.getByRole('button', { name: 'New webhook' }).click()
    await dialog.getByRole('alert').first().waitFor()
    await dialog.getByLabel('Address').fill('https://example.com/hook')
    await dialog.getByRole('button', { name: 'New webhook' }).click()
    await dialog.getByText(/^whsec_/).waitFor()
    await page.reload()
    await page.getByText('https://example.com/hook').waitFor()
    t.same(heard, [], 'what is inside is never called')

    const one = await rooms.people.models.recipients.findOne({ accountId: shop!.id })
    await rooms.people.models.recipients.updateOne({ _id: one!._id }, { $set: { reach: 'blocked', reachAt: new Date() } }) // prettier-ignore
    await visitor.open('/people?tab=suppressed')
    await page.getByText('Refuses').waitFor()
    await page.locator('tbody').getByRole('button', { name: 'Lift' }).click()
    await dialog.getByRole('button', { name: 'Lift' }).click()
    await page.getByText('Nobody is out of reach').waitFor()
    t.equal((await rooms.people.models.recipients.findOne({ _id: one!._id }))!.reach, 'ok')
  })
  t.test('and nothing was refused that should not be', async (t) => t.same(visitor.troubles, []))
})
