import { defineAsyncComponent, type Component } from 'vue'

const AGAIN_MS = 2_000
const TRIES = 30
/** Browsers remember that code did not come, by its address; their error names it. */
const ADDRESS = /https?:\/\/\S+\.js/
let missed: string | undefined
let tries = 0

const load = (): Promise<Component> =>
  missed === undefined ? import('./chart.vue') : import(/* @vite-ignore */ `${missed}?again=${++tries}`)

/** The chart, whose code comes when it is first needed; should the server be away just then, it is asked again. */
export const Chart = defineAsyncComponent({
  loader: load as () => Promise<typeof import('./chart.vue')>,
  onError: (error, retry, fail, attempts) => {
    missed ??= ADDRESS.exec(error.message)?.[0]
    if (attempts < TRIES) setTimeout(retry, AGAIN_MS)
    else fail()
  }
})
