import type { z } from 'zod'
import type {
  CampaignCreate,
  CampaignPatch,
  CampaignView,
  ForecastView,
  RunView,
  TestSendsView
} from '../../../../shared/campaign.js'
import type { CampaignFunnel } from '../../../../shared/report.js'
import type { TesterCode, TesterView } from '../../../../shared/tester.js'
import type { WaitView } from '../../../../shared/trigger.js'
import { api, call, matching, versioned, type Versioned } from './http.js'
import { keyed } from './key.js'
import type { Page } from './pages.js'

export type Campaign = z.input<typeof CampaignView>
export type CampaignBody = z.input<typeof CampaignCreate>
export type CampaignState = Campaign['state']
export type Trigger = Campaign['trigger']
export type Run = z.input<typeof RunView>
export type Wait = z.input<typeof WaitView>
export type Forecast = z.input<typeof ForecastView>
type FunnelAnswer = z.input<typeof CampaignFunnel>
export type Funnel = FunnelAnswer['funnel']
export type Tests = z.input<typeof TestSendsView>
export type Tester = z.input<typeof TesterView>
export type Fault = { pointer: string; code: string; message: string }
/** What stands in the way of going online, what is odd, and whom it would reach. */
export type Check = {
  ready: boolean
  problems: Fault[]
  warnings: Fault[]
  forecast: Forecast | null
  nextRuns: string[]
}
/** A campaign and the version it was seen in. */
export type Seen = Versioned<Campaign>
export type Verb = 'pause' | 'resume' | 'cancel'

/** Campaigns, their runs and trials; each verb throws Refused. */
export const campaignsApi = {
  get: (id: string) => api.getVersioned<Campaign>(`/v1/campaigns/${id}`),
  create: (body: CampaignBody, key: string) =>
    versioned<Campaign>(call('POST', '/v1/campaigns', { body, headers: keyed(key) })),
  patch: (id: string, body: z.input<typeof CampaignPatch>, etag: string | null) =>
    versioned<Campaign>(call('PATCH', `/v1/campaigns/${id}`, { body, ...matching(etag) })),
  remove: (id: string) => api.remove(`/v1/campaigns/${id}`),
  duplicate: (id: string, key: string) => api.post<Campaign>(`/v1/campaigns/${id}/duplicate`, undefined, keyed(key)),
  check: (id: string) => api.post<Check>(`/v1/campaigns/${id}/check`),
  /** `reason`: an owner takes upon them what still stands in the way. */
  activate: (id: string, reason?: string) =>
    api.post<Campaign>(`/v1/campaigns/${id}/activate`, reason === undefined ? {} : { override: { reason } }),
  move: (id: string, verb: Verb) =>
    api.post<Campaign>(`/v1/campaigns/${id}/${verb}`, verb === 'resume' ? {} : undefined),
  funnel: (id: string) => api.get<FunnelAnswer>(`/v1/campaigns/${id}/funnel`),
  /** When a trigger would fire next; what recurs, as the server reckons. */
  nextRuns: async (trigger: Trigger): Promise<string[]> => {
    if (trigger.kind === 'once') return Date.parse(trigger.at) > Date.now() ? [trigger.at] : []
    return (await api.post<{ nextRuns: string[] }>('/v1/campaigns/next-runs', { trigger })).nextRuns
  },
  runs: (id: string) => api.get<Page<Run>>(`/v1/campaigns/${id}/runs`, { limit: 20 }),
  retry: (runId: string, body: { states: string[]; reasons?: string[]; errcodes?: number[] }) =>
    api.post<{ retried: number }>(`/v1/runs/${runId}/retry`, body),
  resolveUnknown: (runId: string, as: 'accepted' | 'failed') =>
    api.post<{ resolved: number }>(`/v1/runs/${runId}/resolve-unknown`, { as }),
  test: (id: string, to: 'me' | 'testers' | string[], event: Record<string, unknown> | undefined, key: string) =>
    api.post<Tests>(`/v1/campaigns/${id}/test-sends`, { to, ...(event && { event }) }, keyed(key)),
  dryRun: (id: string, event: Record<string, unknown> | undefined) =>
    api.post<{ id: string }>(`/v1/campaigns/${id}/dry-run`, event === undefined ? {} : { event }),
  testers: (accountId: string) => api.get<Page<Tester>>(`/v1/accounts/${accountId}/testers`, { limit: 50 }),
  testerCode: (accountId: string, whose: 'me' | 'others') =>
    api.post<z.input<typeof TesterCode>>(`/v1/accounts/${accountId}/tester-codes`, { for: whose })
}
