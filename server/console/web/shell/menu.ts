import type { Component } from 'vue'
import AccountsIcon from 'tdesign-icons-vue-next/esm/components/app.js'
import AudiencesIcon from 'tdesign-icons-vue-next/esm/components/usergroup.js'
import CampaignsIcon from 'tdesign-icons-vue-next/esm/components/send.js'
import CredentialsIcon from 'tdesign-icons-vue-next/esm/components/ticket.js'
import DashboardIcon from 'tdesign-icons-vue-next/esm/components/dashboard.js'
import MessagesIcon from 'tdesign-icons-vue-next/esm/components/chat.js'
import PeopleIcon from 'tdesign-icons-vue-next/esm/components/user.js'
import SettingsIcon from 'tdesign-icons-vue-next/esm/components/setting.js'
import TemplatesIcon from 'tdesign-icons-vue-next/esm/components/template.js'

export type MenuEntry = {
  name:
    | 'dashboard'
    | 'campaigns'
    | 'templates'
    | 'audiences'
    | 'people'
    | 'messages'
    | 'credentials'
    | 'accounts'
    | 'settings'
  to: string
  icon: Component
}

/** The rooms of the console in the order of a day's work. */
export const MENU: readonly MenuEntry[] = [
  { name: 'dashboard', to: '/', icon: DashboardIcon },
  { name: 'campaigns', to: '/campaigns', icon: CampaignsIcon },
  { name: 'templates', to: '/templates', icon: TemplatesIcon },
  { name: 'audiences', to: '/audiences', icon: AudiencesIcon },
  { name: 'people', to: '/people', icon: PeopleIcon },
  { name: 'messages', to: '/messages', icon: MessagesIcon },
  { name: 'credentials', to: '/credentials', icon: CredentialsIcon },
  { name: 'accounts', to: '/accounts', icon: AccountsIcon },
  { name: 'settings', to: '/settings', icon: SettingsIcon }
]
