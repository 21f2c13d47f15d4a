import { onUnmounted } from 'vue'

/**
 * Looks at something under way until it is over, the page is left, or `most` more looks were taken. The first look may
 * throw; a later one that does is the last.
 */
export function useFollow(everyMs: number, most = Infinity) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let turn = 0
  const stop = () => {
    turn++
    clearTimeout(timer)
  }
  onUnmounted(stop)
  /** `look` says whether it is over. */
  async function follow(look: () => Promise<boolean>, more = most): Promise<void> {
    stop()
    const mine = turn
    if ((await look()) || more === 0 || mine !== turn) return
    timer = setTimeout(() => void follow(look, more - 1).catch(() => {}), everyMs)
  }
  return { follow, stop }
}

/** Looks again every so often until the page is left: not while it is hidden, nor while an answer is awaited. */
export function useLooks(everyMs: number, look: () => Promise<void>): void {
  let looking = false
  const timer = setInterval(() => {
    if (document.hidden || looking) return
    looking = true
    void look().finally(() => (looking = false))
  }, everyMs)
  onUnmounted(() => clearInterval(timer))
}
