import type { Draft } from './draft.js'

const KEY = 'hongyan.campaign-draft'

/** The campaign somebody began in this browser, before the server could keep it; null: none. */
export function keptDraft(): Draft | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? 'null') as Draft | null
  } catch {
    return null
  }
}
export const keepDraft = (draft: Draft): void => localStorage.setItem(KEY, JSON.stringify(draft))
export const forgetDraft = (): void => localStorage.removeItem(KEY)
