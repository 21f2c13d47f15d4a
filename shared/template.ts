import { z } from 'zod'
import { Instant } from './instant.js'

export const TemplateKind = z.enum(['legacy', 'subscribe', 'service'])
export type TemplateKind = z.infer<typeof TemplateKind>

/** One field: the key WeChat wants (`thing1`, `keyword2`), its label, and the value type its rules follow. */
export const TemplateField = z.object({ key: z.string(), name: z.string(), type: z.string() })
export type TemplateField = z.infer<typeof TemplateField>

export const TemplateView = z.object({
  templateId: z.string(),
  accountId: z.string(),
  kind: TemplateKind,
  title: z.string(),
  fields: z.array(TemplateField),
  content: z.string(),
  example: z.string(),
  /** subscribe only: once = one accept, one send; longTerm = until withdrawn. */
  grantType: z.enum(['once', 'longTerm']).nullable(),
  state: z.enum(['live', 'deleted']),
  syncedAt: Instant,
  deletedAt: Instant.nullable()
})
export type TemplateView = z.infer<typeof TemplateView>

export const TemplateCreate = z.strictObject({
  accountId: z.string(),
  kind: TemplateKind,
  /** legacy AT…, subscribe tid, service short id. */
  titleId: z.string().min(1).max(64),
  keywordIds: z.array(z.int()).max(10).optional(),
  keywordNames: z.array(z.string().max(40)).max(10).optional(),
  sceneDesc: z.string().max(15).optional()
})
export type TemplateCreate = z.infer<typeof TemplateCreate>

/** `{ "thing1": "text" }` or `{ "thing1": { "value": "text", "color": "#173177" } }` */
export const Content = z.record(
  z.string().max(64),
  z.union([
    z.string().max(2000),
    z.strictObject({
      value: z.string().max(2000),
      color: z
        .string()
        .regex(/^#[0-9A-Fa-f]{6}$/)
        .optional()
    })
  ])
)
export type Content = z.infer<typeof Content>

/** What a tap on the card opens. A mini-program account takes `page`; a service account `miniprogram` and/or `url`. */
export const Open = z.strictObject({
  page: z.string().max(1024).optional(),
  miniprogram: z.strictObject({ appId: z.string().max(32), page: z.string().max(1024).optional() }).optional(),
  url: z.url().max(1024).optional()
})
export type Open = z.infer<typeof Open>

/** One page of templates. `ageMs`: how old the mirror is, null when it was never read; `problem`: why it is not newer. */
export const TemplateList = z.object({
  data: z.array(TemplateView),
  page: z.object({ nextCursor: z.string().nullable(), total: z.int().optional(), estimated: z.boolean().optional() }),
  mirror: z
    .object({ syncedAt: Instant.nullable(), ageMs: z.int().nullable(), problem: z.string().nullable() })
    .nullable()
})

export const TemplateCategories = z.object({ data: z.array(z.object({ id: z.int(), name: z.string() })) })

/** Titles WeChat offers. `byNumberOnly`: it offers no list here; the number is looked up in its console. */
export const TemplateLibrary = z.object({
  data: z.array(
    z.object({
      titleId: z.string(),
      title: z.string(),
      grantType: z.enum(['once', 'longTerm']).nullable(),
      categoryId: z.string().nullable()
    })
  ),
  total: z.int(),
  byNumberOnly: z.boolean()
})

export const TemplateKeywords = z.object({
  titleId: z.string(),
  title: z.string().nullable(),
  keywords: z.array(
    z.object({
      id: z.int(),
      name: z.string(),
      example: z.string(),
      rule: z.string().nullable(),
      choices: z.array(z.string())
    })
  )
})

/** What a message would look like: for a person the account knows, or for sample values. */
export const TemplatePreviewPost = z.strictObject({
  accountId: z.string(),
  content: Content,
  open: Open.optional(),
  emphasis: z.string().max(64).optional(),
  recipientId: z.string().optional(),
  sample: z
    .strictObject({
      user: z.record(z.string(), z.unknown()),
      event: z.record(z.string(), z.unknown()),
      tag: z.record(z.string(), z.unknown()),
      data: z.record(z.string(), z.unknown())
    })
    .partial()
    .optional(),
  tooLong: z.enum(['cut', 'skip', 'fail']).optional(),
  missingVariable: z.enum(['default', 'skip', 'stop']).optional()
})
const fault = z.object({ pointer: z.string(), code: z.string(), message: z.string() })
export const TemplatePreview = z.object({
  fields: z.array(TemplateField.extend({ value: z.string().nullable(), color: z.string().nullable() })),
  open: Open.nullable(),
  /** As WeChat draws it today; null while there are errors. */
  card: z
    .object({
      title: z.string(),
      rows: z.array(z.object({ name: z.string(), value: z.string() })),
      emphasis: z.string().nullable()
    })
    .nullable(),
  warnings: z.array(z.string()),
  errors: z.array(fault)
})
