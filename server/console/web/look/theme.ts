import { ref, watchEffect } from 'vue'

export type Theme = 'light' | 'dark'
const KEY = 'hongyan.theme'

const kept = localStorage.getItem(KEY)
const wanted = matchMedia('(prefers-color-scheme: dark)')

/** Light or dark: as chosen here before, else as the system has it. */
export const theme = ref<Theme>(kept === 'light' || kept === 'dark' ? kept : wanted.matches ? 'dark' : 'light')

export function switchTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark'
  localStorage.setItem(KEY, theme.value)
}

watchEffect(() => document.documentElement.setAttribute('theme-mode', theme.value))
