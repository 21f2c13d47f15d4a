import type { z } from 'zod'
import type {
  TemplateCategories,
  TemplateCreate,
  TemplateKeywords,
  TemplateKind,
  TemplatePreview,
  TemplatePreviewPost
} from '../../../../shared/template.js'
import type {
  LintPost,
  LintVerdict,
  TemplateAdded,
  TemplateDetail,
  TemplateItem,
  TemplateItems,
  TemplateLibraryPage
} from '../../../templates/shapes.js'
import { api } from './http.js'
import { keyed } from './key.js'

export type Template = z.input<typeof TemplateItem>
export type TemplateWithDrifts = z.input<typeof TemplateDetail>
export type Templates = z.input<typeof TemplateItems>
export type Keyword = z.input<typeof TemplateKeywords>['keywords'][number]
export type Keywords = z.input<typeof TemplateKeywords>
export type Title = z.input<typeof TemplateLibraryPage>['data'][number]
export type Lint = z.input<typeof LintVerdict>
export type Preview = z.input<typeof TemplatePreview>
export type Kind = z.input<typeof TemplateKind>

/** How many keywords a template of each kind takes. */
export const KEYWORDS: Readonly<Record<Kind, { min: number; max: number }>> = {
  legacy: { min: 1, max: 10 },
  subscribe: { min: 2, max: 5 },
  service: { min: 1, max: 10 }
}

/** Templates; each verb throws Refused. */
export const templatesApi = {
  /** The mirror, read from WeChat first when that was not just done. */
  live: (accountId: string) => api.get<Templates>('/v1/templates', { accountId, live: true, limit: 100 }),
  get: (accountId: string, templateId: string) =>
    api.get<TemplateWithDrifts>(`/v1/templates/${templateId}`, { accountId }),
  add: (body: z.input<typeof TemplateCreate>, key: string) =>
    api.post<z.input<typeof TemplateAdded>>('/v1/templates', body, keyed(key)),
  remove: (accountId: string, templateId: string) => api.remove(`/v1/templates/${templateId}?accountId=${accountId}`),
  /** Takes a drift alarm down. */
  seen: (accountId: string, templateId: string) =>
    api.remove(`/v1/templates/${templateId}/drift?accountId=${accountId}`),
  lint: (body: z.input<typeof LintPost>) => api.post<Lint>('/v1/templates/lint', body),
  preview: (templateId: string, body: z.input<typeof TemplatePreviewPost>) =>
    api.post<Preview>(`/v1/templates/${templateId}/preview`, body),
  categories: (accountId: string) =>
    api.get<z.input<typeof TemplateCategories>>(`/v1/accounts/${accountId}/template-categories`),
  library: (accountId: string, query: { kind: Kind; categoryIds?: string[]; offset: number; count: number }) =>
    api.get<z.input<typeof TemplateLibraryPage>>(`/v1/accounts/${accountId}/template-library`, query),
  keywords: (accountId: string, kind: Kind, titleId: string) =>
    api.get<Keywords>(`/v1/accounts/${accountId}/template-library/${encodeURIComponent(titleId)}`, { kind })
}
