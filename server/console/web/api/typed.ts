import { computed, onScopeDispose, ref, watch, type WatchSource } from 'vue'
import { useThing } from './pages.js'

const PAUSE_MS = 300

/**
 * What the server says of something while it is typed: asked whenever the typing of what `sources` read pauses. `busy`:
 * what is shown is about something older than what is typed.
 */
export function useTyped<T>(ask: () => Promise<T> | null, sources: WatchSource[]) {
  const pauses = ref(0)
  const typing = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  watch(
    sources,
    () => {
      typing.value = true
      clearTimeout(timer)
      timer = setTimeout(() => {
        typing.value = false
        pauses.value++
      }, PAUSE_MS)
    },
    { immediate: true }
  )
  onScopeDispose(() => clearTimeout(timer))
  const { thing, loading, refused } = useThing(() => (pauses.value === 0 ? null : ask()), pauses)
  return { thing, refused, busy: computed(() => typing.value || loading.value) }
}
