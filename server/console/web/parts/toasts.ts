import { ref } from 'vue'

export type Toast = { id: number; text: string; bad: boolean }
const SHOWN_MS = 5000
let last = 0

/** What is said in the corner just now. */
export const toasts = ref<Toast[]>([])

/** Says something in the corner for a few seconds; screen readers hear it too. */
export function say(text: string, bad = false): void {
  const id = ++last
  toasts.value.push({ id, text, bad })
  setTimeout(() => (toasts.value = toasts.value.filter((each) => each.id !== id)), SHOWN_MS)
}
