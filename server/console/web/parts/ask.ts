import { shallowRef } from 'vue'

export type Question = { title: string; text: string; go: string; grave: boolean; answer: (yes: boolean) => void }

/** The question in the middle of the page just now. */
export const question = shallowRef<Question | null>(null)

/** Asks before something that cannot be taken back; `go` is what its button says. */
export function ask(asked: { title: string; text: string; go: string; grave?: boolean }): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      ...asked,
      grave: asked.grave ?? true,
      answer: (yes) => {
        question.value = null
        resolve(yes)
      }
    }
  })
}
