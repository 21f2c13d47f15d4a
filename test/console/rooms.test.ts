import t from 'tap'
import { liveApp, until } from '../support/live-app.js'
import { looks, PASSWORD, visit } from './browse.js'

t.setTimeout(480_000)

t.test(
  'campaigns, messages, people, credentials and settings in every look, with the sandbox’s own data',
  async (t) => {
    const { url, rooms } = await liveApp(t)
    const owner = await rooms.operators.create({ email: 'owner@example.com', password: PASSWORD, role: 'owner', accountIds: null }) // prettier-ignore
    const { token } = rooms.tokens.operator(owner.id)
    const headers = { authorization: `Bearer ${token}` }
    await fetch(`${url}/v1/tryout`, { method: 'POST', headers })
    const get = async (path: string) => (await (await fetch(url + path, { headers })).json()) as any
    const campaigns = (await get('/v1/campaigns')).data as { id: string; name: string; state: string }[]
    const running = campaigns.find(({ name }) => name === '订单发货提醒')!
    const draft = campaigns.find(({ state }) => state === 'draft')!
    await until('messages are accepted', () => get(`/v1/campaigns/${running.id}/funnel`), ({ funnel }) => funnel.accepted > 5, 90_000) // prettier-ignore
    const message = (await get('/v1/messages?state=accepted&limit=1')).data[0]
    const right = (await get(`/v1/credentials?accountId=${message.accountId}&limit=1`)).data[0]

    const visitor = await visit(t, url)
    await visitor.open('/')
    await visitor.signIn('owner@example.com')
    await visitor.page.getByRole('navigation').first().waitFor()
    const card = (selector: string) => (page: typeof visitor.page) => page.locator(selector).first().waitFor()
    for (const [at, name, ready] of [
      ['/campaigns', 'campaigns', 'tbody tr'],
      [`/campaigns/${running.id}`, 'campaign', '[data-testid=funnel-accepted]'],
      [`/campaigns/${draft.id}/edit?step=trigger`, 'campaign-trigger', 'input[name=missing]'],
      [`/campaigns/${draft.id}/edit?step=content`, 'campaign-content', '.card-face'],
      [`/campaigns/${draft.id}/edit?step=review`, 'campaign-review', '[role=status] .state-tag'],
      ['/messages', 'messages', 'tbody tr'],
      [`/messages/${message.id}`, 'message', '.card-face'],
      ['/people', 'people', 'tbody tr'],
      [`/people/${message.personId}`, 'person', 'section li'],
      ['/credentials', 'credentials', 'tbody tr'],
      [`/credentials/${right.id}`, 'credential', 'dl'],
      ['/settings', 'settings', 'table, form'],
      ['/settings?tab=keys', 'settings-keys', 'section'],
      ['/settings?tab=webhooks', 'settings-webhooks', 'section .empty'],
      ['/settings?tab=alerts', 'settings-alerts', 'fieldset'],
      ['/settings?tab=audit', 'settings-audit', 'tbody tr'],
      ['/settings?tab=system', 'settings-system', 'dl']
    ] as const) {
      t.same(await looks(visitor, at, name, card(ready)), [], name)
    }
    t.same(visitor.troubles, [])
  }
)
