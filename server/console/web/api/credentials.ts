import type { z } from 'zod'
import type { SourceOverride } from '../../../../shared/account.js'
import type { CredentialDetail, CredentialView, Source } from '../../../../shared/credential.js'
import { api } from './http.js'

export type Credential = z.input<typeof CredentialView>
export type CredentialWhole = z.input<typeof CredentialDetail>
export type GroupBy = 'source' | 'day' | 'place' | 'state'
export type StatGroup = {
  /** As the groups are by: a source, a day, a place or a state. */
  source?: Source
  day?: string
  place?: string | null
  state?: string
  captured: number
  sendsLeft: number
  spent: number
  held: number
  wasted: number
}
export type Stats = { groups: StatGroup[]; verdicts: Record<string, number> }
/** `sends` null: as many as one likes; `lifeMs` null: until it is withdrawn. `own`: what the account has set instead. */
export type SourceWorth = {
  source: Source
  sends: number | null
  lifeMs: number | null
  perDay: number | null
  origin: string
  own: z.input<typeof SourceOverride> | null
}
export type Reach = { days: { at: string; people: number }[]; estimated: boolean }
export type Expiring = { day: string; source: Source; expiring: number }

/** Rights to send; each verb throws Refused. */
export const credentialsApi = {
  get: (id: string) => api.get<CredentialWhole>(`/v1/credentials/${id}`),
  stats: (accountId: string, groupBy: GroupBy) => api.get<Stats>('/v1/credentials/stats', { accountId, groupBy }),
  /** What a right of each source is worth to an account. */
  sources: async (accountId: string) =>
    (await api.get<{ sources: SourceWorth[] }>('/v1/credentials/sources', { accountId })).sources,
  /** Who can be written to now and on the coming seven days. */
  reach: (accountId: string) => api.get<Reach>('/v1/credentials/reach', { accountId, days: 7 }),
  /** What expires in the coming seven days. */
  forecast: async (accountId: string) =>
    (await api.get<{ days: Expiring[] }>('/v1/credentials/forecast', { accountId, days: 7 })).days
}
