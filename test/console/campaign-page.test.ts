import t from 'tap'
import { readFileSync } from 'node:fs'
import { liveApp, until } from '../support/live-app.js'
import { NARROW, PASSWORD, visit, WIDE } from './browse.js'

t.setTimeout(300_000)

t.test('what the page of a campaign can do is done', async (t) => {
  const { url, rooms } = await liveApp(t)
  const owner = await rooms.operators.create({ email: 'o@example.com', password: PASSWORD, role: 'owner', accountIds: null }) // prettier-ignore
  const headers = { authorization: `Bearer ${rooms.tokens.operator(owner.id).token}` }
  await rooms.tryout.begin()
  const get = async (path: string) => (await (await fetch(url + path, { headers })).json()) as any
  const campaigns = (await get('/v1/campaigns')).data as { id: string; name: string }[]
  const { id } = campaigns.find(({ name }) => name === '订单发货提醒')!
  const state = async () => (await get(`/v1/campaigns/${id}`)).state
  const visitor = await visit(t, url)
  const { page } = visitor
  const dialog = page.getByRole('dialog')
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  await visitor.arrive(`/campaigns/${id}`)
  await visitor.signIn('o@example.com')

  t.test('paused and resumed', async (t) => {
    await button('Pause').click()
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click()
    await button('Resume').waitFor()
    t.equal(await state(), 'paused')
    await button('Resume').click()
    await dialog.getByRole('button', { name: 'Resume', exact: true }).click()
    await button('Pause').waitFor()
    t.equal(await state(), 'online')
  })

  t.test('its messages are a file, all of them', async (t) => {
    await until('all are through', () => get(`/v1/campaigns/${id}/funnel`), ({ funnel }) => funnel.open === 0, 120_000) // prettier-ignore
    await page.getByRole('tab', { name: 'Messages' }).click()
    await page.locator('tbody tr').first().waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), button('Export CSV').click()])
    const lines = readFileSync((await download.path())!, 'utf8')
      .trimEnd()
      .split('\r\n')
    t.equal(lines.length, 401, 'a line for each of 400 and one that names the columns')
    t.match(lines[0], /^\uFEFFid,createdAt,state/)
    await page.getByText('400 exported').waitFor()
  })

  t.test('on a phone, what there is nothing to say of is left out', async (t) => {
    const blanks = page.locator('td:visible', { hasText: /^\s*–\s*$/ })
    t.ok((await blanks.count()) > 0, 'the table has a cell for it')
    await page.setViewportSize(NARROW)
    t.equal(await blanks.count(), 0)
    t.ok((await page.locator('td:visible').count()) > 0)
    await page.setViewportSize(WIDE)
  })

  t.test('bars of the funnel are as wide as their card has room', async (t) => {
    await page.getByRole('tab', { name: 'Overview' }).click()
    await page.getByTestId('funnel-matched').waitFor()
    for (const size of [WIDE, NARROW]) {
      await page.setViewportSize(size)
      const share = await page.evaluate(`(() => {
        const line = document.querySelector('[data-testid=funnel-matched]')
        return line.querySelector('.bar span').clientWidth / line.clientWidth
      })()`)
      t.equal(share, 1, `everybody at ${size.width} px`)
    }
    await page.setViewportSize(WIDE)
  })

  t.test('what had no right is tried once more', async (t) => {
    await page.getByRole('button', { name: /^Send again: No right/ }).click()
    await dialog.getByRole('button', { name: 'Send again' }).click()
    const said = await page.getByText(/\d+ are tried once more/).textContent()
    t.ok(Number(/\d+/.exec(said!)![0]) > 0, said!)
  })

  t.test('messages nobody knows the end of are settled by hand', async () => {
    const [row] = await rooms.messages.rows.find({ campaignId: id, state: 'accepted', test: false }).limit(1).toArray()
    await rooms.messages.rows.updateOne({ _id: row!._id }, {
      $set: { state: 'unknown', todo: true },
      $inc: { seq: 1 }
    } as never)
    await page.getByRole('tab', { name: 'Runs' }).click()
    await page.getByText('1 with unknown outcome').waitFor()
    await button('sent').click()
    await dialog.getByRole('button', { name: 'sent' }).click()
    await page.getByText('1 settled').waitFor()
    await until('it is settled', () => rooms.messages.get(row!._id), ({ state }) => state === 'accepted') // prettier-ignore
  })

  t.test('duplicated, tried dry, sent to me', async (t) => {
    await button('Duplicate').click()
    await page.waitForURL(/\/campaigns\/\w+\/edit/)
    const copy = new URL(page.url()).pathname.split('/')[2]!
    t.not(copy, id)
    await page.goto(`${url}/campaigns/${copy}/edit?step=launch`)
    await button('Dry run').click()
    await page.getByText('Of 400 people:').waitFor()
    t.same(await visitor.barriers(), [])
    await button('To myself').waitFor()
    const person = (await rooms.messages.rows.findOne({ campaignId: id, state: 'accepted' }))!.personId!
    await page.getByLabel('Person ID').fill(person)
    await button('To a person').click()
    await page.getByTestId('test-outcomes').locator('li').first().waitFor()
  })

  t.test('cancelled for good', async (t) => {
    const recurring = campaigns.find(({ name }) => name === '每周新书到店')!
    await visitor.open(`/campaigns/${recurring.id}`)
    await button('Cancel it').click()
    await visitor.shot('campaign-cancel')
    await dialog.getByRole('button', { name: 'Cancel it' }).click()
    await page.getByText('Cancelled', { exact: true }).first().waitFor()
    t.equal((await get(`/v1/campaigns/${recurring.id}`)).state, 'cancelled')
  })
  t.test('and nothing was refused that should not be', async (t) => t.same(visitor.troubles, []))
})
