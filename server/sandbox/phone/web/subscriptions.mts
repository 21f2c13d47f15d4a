import type { PhoneState } from './sandbox.mjs'

export type Word = 'accept' | 'reject'
type Template = PhoneState['templates'][number]

/** How a request for subscriptions goes on, before anybody is asked. */
export type Plan =
  | { fail: { errCode: number; errMsg: string } }
  | {
      /** Words that need no asking: kept choices, banned templates, repeated titles. */
      known: Record<string, Word | 'ban' | 'filter'>
      ask: Template[]
    }

/** Templates one call may name; the typings of base library 3 say five. */
const AT_MOST = 5

const fail = (errCode: number, why: string): Plan => ({
  fail: { errCode, errMsg: `requestSubscribeMessage:fail ${why}` }
})

/** WeChat's rules for wx.requestSubscribeMessage (its page of error codes). Pure. */
export function planSubscribe(
  ids: unknown,
  templates: readonly Template[],
  settings: { mainSwitch: boolean; kept: Readonly<Record<string, Word>> }
): Plan {
  if (!Array.isArray(ids) || ids.length === 0) return fail(10001, 'TmplIds can not be empty')
  if (ids.some((id) => typeof id !== 'string')) return fail(10004, 'TmplIds should be an array of strings')
  if (ids.length > AT_MOST) return fail(20003, 'Templates count out of max bounds')
  if (!settings.mainSwitch) return fail(20004, 'The main switch is switched off')
  const found = (ids as string[]).map((id) => templates.find(({ templateId }) => templateId === id))
  if (found.some((one) => one === undefined)) {
    return fail(20001, 'No template data return, verify the template id exist')
  }
  const asked = found as Template[]
  if (new Set(asked.map(({ type }) => type)).size > 1) return fail(20002, 'Templates type must be same')
  const known: Record<string, Word | 'ban' | 'filter'> = {}
  const ask: Template[] = []
  const titles = new Set<string>()
  for (const template of asked) {
    const { templateId, title, disabled } = template
    if (disabled) known[templateId] = 'ban'
    else if (titles.has(title)) known[templateId] ??= 'filter'
    else if (settings.kept[templateId] !== undefined) known[templateId] = settings.kept[templateId]!
    else ask.push(template)
    titles.add(title)
  }
  return { known, ask }
}
