import type { z } from 'zod'
import type { AlertView } from '../../../../shared/alert.js'
import type { BreakerView } from '../../../../shared/breaker.js'
import type {
  ApiKeyCreate,
  ApiKeyCreated,
  ApiKeyView,
  OperatorCreate,
  Scope,
  TotpBegun,
  TotpConfirmed
} from '../../../../shared/operator.js'
import type { SettingsPatch, SettingsView } from '../../../../shared/settings.js'
import type {
  DeliveryView,
  WebhookCreate,
  WebhookCreated,
  WebhookEvent,
  WebhookView
} from '../../../../shared/webhook.js'
import { api } from './http.js'
import { keyed } from './key.js'
import type { Me } from './session.js'

export type ApiKey = z.input<typeof ApiKeyView>
export type KeyScope = z.input<typeof Scope>
export type Webhook = z.input<typeof WebhookView>
export type HookEvent = z.input<typeof WebhookEvent>
export type Delivery = z.input<typeof DeliveryView>
export type Settings = z.input<typeof SettingsView>
export type Breaker = z.input<typeof BreakerView>
export type Alert = z.input<typeof AlertView>
export type AuditLine = {
  id: string
  at: string
  by: { kind: string; id: string }
  method: string
  route: string
  target: Record<string, string>
  status: number
  address: string
  note?: string
}

/** Written out, so that zod stays off the page; the type keeps them true. */
export const SCOPES = [
  'accounts:read', 'accounts:write', 'capture:mint', 'credentials:read', 'credentials:write', 'people:read',
  'people:write', 'recipients:identify', 'events:write', 'events:read', 'templates:read', 'templates:write',
  'audiences:read', 'audiences:write', 'campaigns:read', 'campaigns:write', 'messages:read', 'messages:send',
  'tokens:read', 'tokens:refresh', 'alerts:read', 'webhooks:read', 'webhooks:write', 'settings:read', 'settings:write'
] as const satisfies readonly KeyScope[] // prettier-ignore
export const HOOK_EVENTS = [
  'message.accepted', 'message.delivered', 'message.failed', 'message.skipped', 'message.unknown', 'message.expired',
  'message.opened', 'campaign.state', 'credential.low', 'account.problem', 'alert.fired', 'alert.cleared'
] as const satisfies readonly HookEvent[] // prettier-ignore

/** Who may do what, and how the installation is set; each verb throws Refused. */
export const settingsApi = {
  addOperator: (body: z.input<typeof OperatorCreate>, key: string) => api.post<Me>('/v1/operators', body, keyed(key)),
  setRole: (id: string, role: Me['role']) => api.patch<Me>(`/v1/operators/${id}`, { role }),
  removeOperator: (id: string) => api.remove(`/v1/operators/${id}`),
  changePassword: (currentPassword: string, password: string) => api.patch<Me>('/v1/me', { currentPassword, password }),
  beginTotp: (password: string) => api.post<z.input<typeof TotpBegun>>('/v1/me/totp', { password }),
  confirmTotp: (code: string) => api.put<z.input<typeof TotpConfirmed>>('/v1/me/totp', { code }),
  removeTotp: (password: string, code: string) => api.post('/v1/me/totp/remove', { password, code }),
  addKey: (body: z.input<typeof ApiKeyCreate>, key: string) =>
    api.post<z.input<typeof ApiKeyCreated>>('/v1/api-keys', body, keyed(key)),
  removeKey: (id: string) => api.remove(`/v1/api-keys/${id}`),
  addWebhook: (body: z.input<typeof WebhookCreate>, key: string) =>
    api.post<z.input<typeof WebhookCreated>>('/v1/webhooks', body, keyed(key)),
  switchWebhook: (id: string, enabled: boolean) => api.patch<Webhook>(`/v1/webhooks/${id}`, { enabled }),
  removeWebhook: (id: string) => api.remove(`/v1/webhooks/${id}`),
  testWebhook: (id: string) => api.post<Delivery>(`/v1/webhooks/${id}/test`),
  get: () => api.getVersioned<Settings>('/v1/settings'),
  patch: (body: z.input<typeof SettingsPatch>, etag: string | null) => api.patch<Settings>('/v1/settings', body, etag),
  /** Sends a group robot something that means nothing. */
  testTarget: (id: string) => api.post<Delivery>(`/v1/settings/alert-targets/${id}/test`),
  resetBreaker: (id: string) => api.post<Breaker>(`/v1/breakers/${id}/reset`)
}
