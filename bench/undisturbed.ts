const LOOK_MS = 20
/** Longer than anything of ours holds this thread up. */
const AWAY_MS = 1_500
const TRIES = 4

/**
 * Measures again when this process was away for a second or two meanwhile: a machine that slept, or gave its cores to
 * others, says nothing of what is measured, and what fails then says nothing either. After a few tries what came out
 * stands. `measure` may be called repeatedly.
 */
export async function undisturbed<T>(
  say: (line: string) => void,
  measure: () => Promise<T>,
  awayMs = AWAY_MS
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    let longest = 0
    let looked = performance.now()
    const look = () => {
      const now = performance.now()
      longest = Math.max(longest, now - looked - LOOK_MS)
      looked = now
    }
    const watch = setInterval(look, LOOK_MS)
    const outcome = await measure()
      .then((measured) => ({ measured }))
      .catch((error: unknown) => ({ error }))
    clearInterval(watch)
    look()
    if (longest < awayMs || attempt === TRIES) {
      if ('error' in outcome) throw outcome.error
      return outcome.measured
    }
    say(`the machine was away for ${(longest / 1000).toFixed(1)} s; once more`)
  }
}
