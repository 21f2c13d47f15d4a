import type { Page } from 'playwright-core'
import { until } from '../support/live-app.js'

/** Where a screen is looked at, and what is there once it is ready. */
export type Screen = { at: string; name: string; ready: string | ((page: Page) => Promise<unknown>) }

/** The routes as the router itself has them. */
export const ROUTES = `document.querySelector('#app').__vue_app__.config.globalProperties.$router.getRoutes().map((route) => route.path)`

export const isReady = ({ ready }: Screen, page: Page): Promise<unknown> =>
  typeof ready === 'string' ? page.locator(ready).first().waitFor() : ready(page)

/**
 * Every screen of the console, by route, and what of a screen stands at an address of its own; filled by the sandbox to
 * try with, which is made ready if it is not.
 */
export async function placesOf(url: string, headers: Record<string, string>) {
  await fetch(`${url}/v1/tryout`, { method: 'POST', headers })
  const get = async (path: string) => (await (await fetch(url + path, { headers })).json()) as any
  const campaigns = (await get('/v1/campaigns')).data as { id: string; name: string; state: string }[]
  const running = campaigns.find(({ name }) => name === '订单发货提醒')!
  const answering = campaigns.find(({ name }) => name === '到店取件提醒')!
  const draft = campaigns.find(({ state }) => state === 'draft')!
  await until('messages are accepted', () => get(`/v1/campaigns/${running.id}/funnel`), ({ funnel }) => funnel.accepted > 5, 90_000) // prettier-ignore
  const message = (await get('/v1/messages?state=accepted&limit=1')).data[0]
  const right = (await get(`/v1/credentials?accountId=${message.accountId}&limit=1`)).data[0]
  const audience = (await get('/v1/audiences?limit=1')).data[0]

  const screens: Record<string, Screen> = {
    '/': { at: '/', name: 'dashboard', ready: (page) => page.locator('canvas').first().waitFor() },
    '/start': { at: '/start', name: 'start', ready: 'section h2' },
    '/accounts': { at: '/accounts', name: 'accounts', ready: 'tbody tr' },
    '/accounts/connect': { at: '/accounts/connect', name: 'accounts-connect', ready: '[role=tablist]' },
    '/accounts/:id': { at: `/accounts/${message.accountId}`, name: 'account', ready: 'form' },
    '/templates': { at: '/templates', name: 'templates', ready: 'tbody tr' },
    '/templates/add': { at: '/templates/add', name: 'templates-add', ready: '.titles li' },
    '/templates/:account/:id': {
      at: `/templates/${message.accountId}/${message.templateId}`,
      name: 'template',
      ready: '.card-face'
    },
    '/audiences': { at: '/audiences', name: 'audiences', ready: 'tbody tr' },
    '/audiences/new': { at: '/audiences/new', name: 'audience-new', ready: '[data-test=count]' },
    '/audiences/:id': { at: `/audiences/${audience.id}`, name: 'audience', ready: 'form' },
    '/campaigns': { at: '/campaigns', name: 'campaigns', ready: 'tbody tr' },
    '/campaigns/new': { at: '/campaigns/new', name: 'campaign-new', ready: '#content section' },
    '/campaigns/:id/edit': {
      at: `/campaigns/${draft.id}/edit?step=content`,
      name: 'campaign-content',
      ready: '.card-face'
    },
    '/campaigns/:id': { at: `/campaigns/${running.id}`, name: 'campaign', ready: '[data-testid=funnel-accepted]' },
    '/messages': { at: '/messages', name: 'messages', ready: 'tbody tr' },
    '/messages/:id': { at: `/messages/${message.id}`, name: 'message', ready: '.card-face' },
    '/people': { at: '/people', name: 'people', ready: 'tbody tr' },
    '/people/:id': { at: `/people/${message.personId}`, name: 'person', ready: 'section li' },
    '/credentials': { at: '/credentials', name: 'credentials', ready: 'tbody tr' },
    '/credentials/:id': { at: `/credentials/${right.id}`, name: 'credential', ready: 'dl' },
    '/settings': { at: '/settings', name: 'settings', ready: '[role=tabpanel] *' },
    '/:rest(.*)*': { at: '/nowhere', name: 'not-found', ready: 'h1' }
  }
  const edit = (step: string, ready: string): Screen => ({
    at: `/campaigns/${draft.id}/edit?step=${step}`,
    name: `campaign-${step}`,
    ready
  })
  const settings = (tab: string): Screen => ({
    at: `/settings?tab=${tab}`,
    name: `settings-${tab}`,
    ready: '[role=tabpanel] *'
  })
  const parts: Screen[] = [
    edit('who', 'input[name=account]'),
    edit('trigger', 'input[name=missing]'),
    edit('open', 'select'),
    edit('limits', 'input'),
    edit('review', '[role=status] .state-tag'),
    edit('launch', '#content section.last button:not([disabled])'),
    { at: `/campaigns/${running.id}?tab=runs`, name: 'campaign-runs', ready: 'tbody tr' },
    { at: `/campaigns/${running.id}?tab=messages`, name: 'campaign-messages', ready: 'tbody tr' },
    { at: `/campaigns/${answering.id}?tab=waits`, name: 'campaign-waits', ready: '[role=tabpanel]' },
    ...['keys', 'webhooks', 'alerts', 'audit', 'system'].map(settings)
  ]
  return { screens, parts }
}
