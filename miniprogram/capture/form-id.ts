/** Why a value is no usable formId; null when it is one. The words are the server's. */
export type Refusal = 'mock' | 'failed' | 'retired' | 'empty' | 'malformed'

/**
 * What kind of value a submit event carried, judged by its text alone. Sources (public code and typings, 2018–2024):
 * devtools give `the formId is a mock one`; develop and trial builds since 2020-01 `the formId is no longer available …`;
 * current phones `requestFormId:fail deprecated`; bad networks other `requestFormId:fail …`. Shapes of real ids changed
 * often, so nothing but length is asked of them.
 */
export function refuseFormId(value: unknown): Refusal | null {
  if (value === undefined || value === null || value === '') return 'empty'
  if (typeof value !== 'string' || value.length > 512) return 'malformed'
  if (/no longer available|^requestFormId:fail\s+deprecated/i.test(value)) return 'retired'
  if (/^requestFormId:fail/i.test(value)) return 'failed'
  if (/^the formId is/i.test(value)) return 'mock'
  return value.trim() ? null : 'empty'
}
