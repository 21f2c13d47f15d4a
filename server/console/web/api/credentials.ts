import type { z } from 'zod'
import type { CredentialDetail, CredentialView } from '../../../../shared/credential.js'
import { api } from './http.js'

export type Credential = z.input<typeof CredentialView>
export type CredentialWhole = z.input<typeof CredentialDetail>
export type GroupBy = 'source' | 'day' | 'place' | 'state'
export type StatGroup = {
  source?: string
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
export type Expiring = { day: string; source: string; expiring: number }

/** Rights to send; each verb throws Refused. */
export const credentialsApi = {
  get: (id: string) => api.get<CredentialWhole>(`/v1/credentials/${id}`),
  stats: (accountId: string, groupBy: GroupBy) => api.get<Stats>('/v1/credentials/stats', { accountId, groupBy }),
  forecast: async (accountId: string, days = 7) =>
    (await api.get<{ days: Expiring[] }>('/v1/credentials/forecast', { accountId, days })).days
}
