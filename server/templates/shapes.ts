import { z } from 'zod'
import { Instant } from '../../shared/instant.js'
import { PageQuery } from '../../shared/page.js'
import { TemplateKind, TemplateLibrary, TemplateList, TemplateView } from '../../shared/template.js'

/** A template that went or changed on WeChat without our doing. */
export const TemplateDrift = z.object({
  kind: z.enum(['gone', 'changed']),
  at: Instant,
  lastSeenAt: Instant,
  changes: z.array(
    z.object({ part: z.enum(['title', 'content', 'grantType', 'choices']), before: z.string(), after: z.string() })
  ),
  readAt: Instant.nullable()
})

export const LintFinding = z.object({
  rule: z.string(),
  severity: z.enum(['error', 'warning']),
  pointer: z.string(),
  part: z.string().describe('The words at fault.'),
  message: z.string().describe('In the language of Accept-Language: zh-CN or en.')
})

/** `drift`: the alarm that stands, null when none does. `choices`: the values enumerated fields take. */
export const TemplateItem = TemplateView.extend({
  drift: TemplateDrift.nullable(),
  choices: z.record(z.string(), z.array(z.string()))
})
/** One template with its history of drifts, oldest first. */
export const TemplateDetail = TemplateItem.extend({ drifts: z.array(TemplateDrift) })
/** What was added, and what the audit rules say of it; WeChat took it all the same. */
export const TemplateAdded = TemplateItem.extend({ problems: z.array(LintFinding) })

export const TemplateQuery = PageQuery.extend({
  accountId: z.string().optional(),
  live: z.enum(['true', 'false']).optional().describe('true: read from WeChat first, at most once a minute.'),
  kind: TemplateKind.optional(),
  state: z.enum(['live', 'deleted']).optional().describe('live, unless drift is asked for: then both.'),
  drift: z.enum(['true', 'false']).optional().describe('true: only those with an alarm that stands.')
})

/** `mirror.drifts`: how many alarms stand for the account, templates that are gone included. */
export const TemplateItems = TemplateList.extend({
  data: z.array(TemplateItem),
  mirror: TemplateList.shape.mirror.unwrap().extend({ drifts: z.int() }).nullable()
})

/** `nextOffset`: where the next page begins, null on the last. */
export const TemplateLibraryPage = TemplateLibrary.extend({ nextOffset: z.int().nullable() })

const industry = z.object({
  id: z.string().nullable().describe('1 to 41; null where WeChat names one that is not in its table.'),
  first: z.string(),
  second: z.string()
})
export const IndustriesView = z.object({
  primary: industry.nullable(),
  secondary: industry.nullable(),
  setAt: Instant.nullable(),
  /** All there are, for a picker. */
  choices: z.array(industry.extend({ id: z.string() }))
})
/** `removed`: templates WeChat deleted with the industry that was left. */
export const IndustriesChanged = IndustriesView.extend({ removed: z.array(z.string()) })
export const IndustriesPut = z.strictObject({
  primary: z.string().max(4).describe('1 to 41'),
  secondary: z.string().max(4).describe('1 to 41, another one')
})

/** A template as its author would write it. With `accountId`, the account's live titles count as taken. */
export const LintPost = z.strictObject({
  title: z.string().max(200),
  keywords: z.array(z.strictObject({ name: z.string().min(1).max(100), example: z.string().max(500) })).max(50),
  accountId: z.string().optional(),
  otherTitles: z.array(z.string().max(200)).max(1_000).optional(),
  content: z.record(z.string().max(64), z.string().max(2_000)).optional()
})
/** `passes`: nothing found of severity error. */
export const LintVerdict = z.object({ passes: z.boolean(), problems: z.array(LintFinding) })

export const LintRuleList = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      severity: z.enum(['error', 'warning']),
      from: z.string(),
      message: z.object({ 'zh-CN': z.string(), en: z.string() })
    })
  )
})
