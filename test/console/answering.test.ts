import t from 'tap'
import { liveApp, until } from '../support/live-app.js'
import { PASSWORD, visit } from './browse.js'

t.setTimeout(300_000)

t.test('A without B: set up in the wizard, and who waits between the two is seen', async (t) => {
  const { url, rooms } = await liveApp(t)
  const owner = await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null }) // prettier-ignore
  const headers = {
    authorization: `Bearer ${rooms.tokens.operator(owner.id).token}`,
    'content-type': 'application/json'
  }
  await rooms.tryout.begin()
  const visitor = await visit(t, url)
  const { page } = visitor
  const next = () => page.getByRole('button', { name: 'Next', exact: true }).click()
  const heading = (name: string) => page.getByRole('heading', { level: 2, name, exact: true }).waitFor()
  await visitor.arrive('/campaigns/new')
  await visitor.signIn('o@example.com')

  await page.getByLabel('Campaign name').fill('Unpaid orders')
  await next()
  await heading('Audience and account')
  await page.getByRole('radio', { name: /^晨读书店 Ready/ }).check()
  await next()
  await heading('Trigger')
  await page.getByRole('radio', { name: /A without B/ }).check()
  await page.getByLabel('Event A').fill('order_placed')
  await page.getByLabel('Event B').fill('order_paid')
  await page.getByLabel('Wait for', { exact: true }).first().fill('45')
  await page.getByText('order_placed without order_paid within 45').waitFor()
  await next()
  await heading('Template and content')
  const template = page.locator('select[name=template]')
  const legacy = template.locator('option', { hasText: 'Mini-program' }).first()
  await template.selectOption((await legacy.getAttribute('value'))!)
  await next()
  await heading('What a tap opens')
  await next()
  await heading('Time and limits')
  await next()
  await heading('Review')
  await page.getByText('It can go online.').waitFor()
  await next()
  await heading('Test and go online')
  await page.getByRole('button', { name: 'Go online', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Go online' }).click()
  await page.getByRole('heading', { level: 1, name: 'Unpaid orders' }).waitFor()
  const id = new URL(page.url()).pathname.split('/')[2]!
  // the wizard is headed the same
  const stored = await until('online', () => rooms.campaigns.get(id), ({ state }) => state === 'online') // prettier-ignore
  t.match(stored.trigger, {
    kind: 'notFollowed',
    event: 'order_placed',
    missing: 'order_paid',
    withinMs: 45 * 60_000
  })

  const happened = async (name: string) => {
    const body = JSON.stringify({ items: [{ id: `${name}-1`, externalId: 'guest-0001', name, at: new Date().toISOString() }] }) // prettier-ignore
    const answer = await fetch(`${url}/v1/events`, { method: 'POST', headers, body })
    t.equal(answer.status, 202)
  }
  const waits = async () => (await (await fetch(`${url}/v1/campaigns/${id}/waits`, { headers })).json()) as any
  await happened('order_placed')
  await until('somebody waits', waits, ({ data }) => data.length === 1)
  await visitor.open(`/campaigns/${id}?tab=waits`)
  await page.locator('td').getByText('Waiting', { exact: true }).waitFor()
  await visitor.shot('campaign-waiting')
  await happened('order_paid')
  await until('nobody waits', waits, ({ data }) => data[0]?.state === 'stopped')
  await page.reload()
  await page.getByText('Stopped', { exact: true }).first().waitFor()
  t.same(await visitor.barriers(), [])
  t.same(visitor.troubles, [])
})
