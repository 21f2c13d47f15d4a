import { z } from 'zod'

/*
 * What the answers of WeChat's calls must hold to be answers at all. Only what we read is asked for: WeChat adds fields as
 * it likes, and one that is left out where a list was promised is no empty list. Numbers were seen as texts, and lists of
 * nobody were seen missing beside `count` 0.
 */

export const text = z.string().min(1)
export const number = z.union([z.number(), z.string().regex(/^-?\d+$/)]).pipe(z.coerce.number())
const words = z
  .string()
  .nullish()
  .transform((given) => given ?? '')
const object = z.looseObject

/** Calls that do something say with an errcode that they did it (global return codes, all pages of sends and deletions). */
export const Said = object({ errcode: number })

/** Both token calls. */
export const TokenBody = object({ access_token: text, expires_in: number.pipe(z.number().positive()) })
export type TokenBody = z.infer<typeof TokenBody>
/** Answer of the login exchange; `unionid` only for apps bound to an Open Platform account. */
export const SessionBody = object({ openid: text, session_key: text, unionid: text.optional() })
export type SessionBody = z.infer<typeof SessionBody>

export const LibraryPage = object({ list: z.array(object({ id: text, title: words })), total_count: number })
export type LibraryPage = z.infer<typeof LibraryPage>
export const LibraryEntry = object({
  id: text,
  title: words,
  keyword_list: z.array(object({ keyword_id: number, name: words, example: words }))
})
export type LibraryEntry = z.infer<typeof LibraryEntry>
export const LegacyTemplate = object({ template_id: text, title: words, content: words, example: words })
export type LegacyTemplate = z.infer<typeof LegacyTemplate>
export const LegacyTemplates = object({ list: z.array(LegacyTemplate) })
export const TemplateId = object({ template_id: text })

export const Categories = object({ data: z.array(object({ id: number, name: words })) })
export const SubscribeTitles = object({
  count: number,
  /** `type` 2: one-time, 3: long-term. */
  data: z.array(object({ tid: number, title: words, type: number, categoryId: z.coerce.string() }))
})
export type SubscribeTitles = z.infer<typeof SubscribeTitles>
export const SubscribeKeywords = object({
  count: number,
  data: z.array(
    object({
      kid: number,
      name: words,
      example: words,
      rule: z.string().nullish(),
      enumValueList: z.array(z.string()).nullish()
    })
  )
})
export type SubscribeKeywords = z.infer<typeof SubscribeKeywords>
export const SubscribeTemplate = object({
  priTmplId: text,
  title: words,
  content: words,
  example: words,
  /** 2: one-time, 3: long-term. */
  type: number,
  keywordEnumValueList: z.array(object({ keywordCode: text, enumValueList: z.array(z.string()) })).nullish()
})
export type SubscribeTemplate = z.infer<typeof SubscribeTemplate>
export const SubscribeTemplates = object({ data: z.array(SubscribeTemplate) })
export const PriTmplId = object({ priTmplId: text })

export const Industry = object({ first_class: words, second_class: words })
export type Industry = z.infer<typeof Industry>
export const Industries = object({ primary_industry: Industry, secondary_industry: Industry })
export const ServiceTemplate = object({
  template_id: text,
  title: words,
  primary_industry: words,
  deputy_industry: words,
  content: words,
  example: words
})
export type ServiceTemplate = z.infer<typeof ServiceTemplate>
export const ServiceTemplates = object({ template_list: z.array(ServiceTemplate) })

const openIds = object({ openid: z.array(text) }).nullish()
const hasThem = ({ count, data }: { count: number; data?: { openid: string[] } | null | undefined }) =>
  count === (data?.openid.length ?? 0)
/** One page of followers; the last one has `count` 0 or below 10,000, or no `next_openid`. */
export const FollowerPage = object({ total: number, count: number, data: openIds, next_openid: z.string().nullish() }) //
  .refine(hasThem, 'as many openids as it counts')
export type FollowerPage = z.infer<typeof FollowerPage>
/** A follower; someone who does not follow has `subscribe` 0 and little else. */
export const FollowerInfo = object({
  subscribe: number,
  openid: text,
  unionid: text.optional(),
  /** Unix seconds. */
  subscribe_time: number.optional(),
  subscribe_scene: z.string().optional(),
  tagid_list: z.array(number).optional(),
  remark: z.string().optional(),
  qr_scene: number.optional(),
  qr_scene_str: z.string().optional()
})
export type FollowerInfo = z.infer<typeof FollowerInfo>
export const FollowerInfos = object({ user_info_list: z.array(FollowerInfo) })

/** `id` is WeChat's number; 2 is the one called 星标组. */
export const Tag = object({ id: number, name: words, count: number })
export type Tag = z.infer<typeof Tag>
export const Tags = object({ tags: z.array(Tag) })
export const TagPage = object({ count: number, data: openIds, next_openid: z.string().nullish() }).refine(hasThem)
export type TagPage = z.infer<typeof TagPage>
export const TagIds = object({ tagid_list: z.array(number) })

const rate = object({ call_count: number, refresh_second: number }).nullish()
export const QuotaBody = object({
  quota: object({ daily_limit: number, used: number, remain: number }),
  rate_limit: rate,
  component_rate_limit: rate
})
export type QuotaBody = z.infer<typeof QuotaBody>
/** A past call as WeChat remembers it for 7 days; `invoke_time` in Unix seconds. */
export const RidBody = object({
  request: object({
    invoke_time: number,
    cost_in_ms: number,
    request_url: z.string(),
    request_body: z.string(),
    response_body: z.string(),
    client_ip: z.string()
  })
})
export type RidBody = z.infer<typeof RidBody>
export const Addresses = object({ ip_list: z.array(z.string()) })

/** The content check's verdict; `label` 100: nothing found. */
export const TextVerdict = object({
  trace_id: z.string(),
  result: object({ suggest: z.enum(['pass', 'review', 'risky']), label: number }),
  detail: z
    .array(
      object({
        strategy: z.string(),
        errcode: number,
        suggest: z.string().optional(),
        label: number.optional(),
        prob: number.optional(),
        keyword: z.string().optional()
      })
    )
    .optional()
})
export type TextVerdict = z.infer<typeof TextVerdict>
