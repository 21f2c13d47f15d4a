import type { z } from 'zod'
import type {
  AudienceCreate,
  AudiencePatch,
  AudiencePreview,
  AudienceView,
  Rule as RuleShape
} from '../../../../shared/audience.js'
import type { OperationView } from '../../../../shared/operation.js'
import type { ImportResult } from '../../../../shared/person.js'
import { api } from './http.js'
import { keyed } from './key.js'

export type Rule = RuleShape
export type Audience = Omit<z.input<typeof AudienceView>, 'rule'> & { rule: Rule | null }
export type AudienceCount = z.input<typeof AudiencePreview>
export type Operation = z.input<typeof OperationView>
export type Imported = z.input<typeof ImportResult>

/** Audiences; each verb throws Refused. */
export const audiencesApi = {
  get: (id: string) => api.get<Audience>(`/v1/audiences/${id}`),
  create: (body: Omit<z.input<typeof AudienceCreate>, 'rule'> & { rule?: Rule }, key: string) =>
    api.post<Audience>('/v1/audiences', body, keyed(key)),
  patch: (id: string, body: Omit<z.input<typeof AudiencePatch>, 'rule'> & { rule?: Rule }) =>
    api.patch<Audience>(`/v1/audiences/${id}`, body),
  remove: (id: string) => api.remove(`/v1/audiences/${id}`),
  /** How many people a rule means, how many of them the account can reach, and a few of them. */
  preview: (accountId: string, rule: Rule) => api.post<AudienceCount>('/v1/audiences/preview', { accountId, rule }),
  eventNames: async () => (await api.get<{ data: { name: string }[] }>('/v1/event-names')).data.map(({ name }) => name),
  /** Hands in a file of people; they come into the list as well. The work goes on after the answer. */
  importFile: (file: Blob, type: string, audienceId: string, accountId: string | undefined) =>
    api.post<Operation>(
      `/v1/people/import?${new URLSearchParams({ audienceId, ...(accountId !== undefined && { accountId }) })}`,
      file,
      { 'content-type': type }
    ),
  operation: (id: string) => api.get<Operation>(`/v1/operations/${id}`)
}
