import { createRouter, createWebHistory, START_LOCATION, type RouteRecordRaw } from 'vue-router'
import { say } from './parts/toasts.js'
import { common } from './words/common.js'

/** Each screen is a file of its own, loaded when it is first opened. */
const screens: RouteRecordRaw[] = [
  { path: '/', component: () => import('./screens/dashboard/dashboard.vue') },
  { path: '/start', component: () => import('./screens/start/start.vue'), meta: { bare: true } },
  { path: '/accounts', component: () => import('./screens/accounts/accounts.vue') },
  { path: '/accounts/connect', component: () => import('./screens/accounts/connect.vue') },
  { path: '/accounts/:id', component: () => import('./screens/accounts/account.vue'), props: true },
  { path: '/templates', component: () => import('./screens/templates/templates.vue') },
  { path: '/templates/add', component: () => import('./screens/templates/add.vue') },
  { path: '/templates/:account/:id', component: () => import('./screens/templates/template.vue'), props: true },
  { path: '/audiences', component: () => import('./screens/audiences/audiences.vue') },
  { path: '/audiences/new', component: () => import('./screens/audiences/audience.vue') },
  { path: '/audiences/:id', component: () => import('./screens/audiences/audience.vue'), props: true },
  { path: '/campaigns', component: () => import('./screens/campaigns/campaigns.vue') },
  { path: '/campaigns/new', component: () => import('./screens/campaigns/wizard.vue') },
  { path: '/campaigns/:id/edit', component: () => import('./screens/campaigns/wizard.vue'), props: true },
  { path: '/campaigns/:id', component: () => import('./screens/campaigns/campaign.vue'), props: true },
  { path: '/messages', component: () => import('./screens/messages/messages.vue') },
  { path: '/messages/:id', component: () => import('./screens/messages/message.vue'), props: true },
  { path: '/people', component: () => import('./screens/people/people.vue') },
  { path: '/people/:id', component: () => import('./screens/people/person.vue'), props: true },
  { path: '/credentials', component: () => import('./screens/credentials/credentials.vue') },
  { path: '/credentials/:id', component: () => import('./screens/credentials/credential.vue'), props: true },
  { path: '/settings', component: () => import('./screens/settings/settings.vue') },
  { path: '/:rest(.*)*', component: () => import('./shell/not-found.vue') }
]

export const router = createRouter({
  history: createWebHistory(),
  routes: screens,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 }
})

/** A screen whose code did not come: of another version since, or the server is away. A browser asks for it only once. */
router.onError(async (_error, to, from) => {
  if (from === START_LOCATION) return
  try {
    const page = await fetch(to.fullPath, { headers: { accept: 'text/html' }, cache: 'no-store' })
    if (!page.ok) throw new Error(`HTTP ${page.status}`)
    location.assign(to.fullPath)
  } catch {
    say(common.value.offline, true)
  }
})
