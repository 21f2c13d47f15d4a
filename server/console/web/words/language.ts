import { computed, ref, watchEffect, type ComputedRef } from 'vue'

export type Language = 'zh-CN' | 'en'
const KEY = 'hongyan.language'

const first = (): Language => {
  const kept = localStorage.getItem(KEY)
  if (kept === 'zh-CN' || kept === 'en') return kept
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en'
}

/** What the console speaks; kept in this browser. */
export const language = ref<Language>(first())

watchEffect(() => {
  localStorage.setItem(KEY, language.value)
  document.documentElement.lang = language.value
})

/** Words of one language: texts, functions that make one, and groups of them. */
type Words = { readonly [key: string]: string | ((...facts: never[]) => string) | Words }
/** The same keys, and functions of the same facts, with any text. */
type Same<T> = {
  readonly [K in keyof T]: T[K] extends string ? string : T[K] extends (...f: never[]) => string ? T[K] : Same<T[K]>
}

/** The words of a screen, in both languages; a key missing or too many in `en` does not compile. */
export function words<T extends Words>(both: { zh: T; en: Same<T> }): ComputedRef<Same<T>> {
  return computed(() => (language.value === 'en' ? both.en : both.zh) as Same<T>)
}
