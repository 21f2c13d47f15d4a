import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SHOP } from '../demo/accounts.js'
import { addAccount } from './account.js'
import { startChild } from './child.js'
import { judged, median, type Figure } from './figure.js'
import { withGround } from './ground.js'
import { handInBatches, phonesOf, type Side } from './phones.js'
import { undisturbed } from './undisturbed.js'

const SECTION = 'sender'
const BARE = fileURLToPath(new URL(`./bare${extname(import.meta.url)}`, import.meta.url))
const SIZES = [
  { items: 1, atLeast: 0.2 },
  { items: 20, atLeast: 0.3 },
  { items: 100, atLeast: 0.3 }
] as const
const WARM_S = 1
const TIMES_BATCHED = 8

/** Goal 8: rights handed in by phones, beside a server that does no more than verify, validate and insert. */
export async function captureRates(rounds: number, seconds: number, say: (line: string) => void): Promise<Figure[]> {
  return withGround(async ({ dir, processes, serve }) => {
    const peer = startChild('capture-peer')
    try {
      const { api } = await serve()
      const bare = await processes.start('bare', [], { script: BARE })
      const store = await processes.start('store', ['store'], { env: { HONGYAN_DATA: `${dir}/peer` } })
      const other = await peer.ask<{ url: string; token: string }>('open', store.facts.uri!)
      const tokens = await phonesOf(api, await addAccount(api, SHOP))
      const sides: Record<'ours' | 'peer' | 'bare', Side> = {
        ours: { url: `${api.url}/v1/capture/credentials`, tokens },
        peer: { url: other.url, tokens: [other.token] },
        bare: { url: `${bare.facts.url}/bare`, tokens }
      }
      const names = Object.keys(sides) as (keyof typeof sides)[]
      const figures: Figure[] = []
      const credentials = new Map<number, number>()
      for (const { items, atLeast } of SIZES) {
        say(`capture, ${items} a batch`)
        const rates: Record<keyof typeof sides, number[]> = { ours: [], peer: [], bare: [] }
        for (const name of names) await handInBatches(sides[name], items, WARM_S)
        for (let round = 0; round < rounds; round++) {
          for (const name of names)
            rates[name].push(await undisturbed(say, () => handInBatches(sides[name], items, seconds)))
        }
        const [ours, theirs, nothing] = names.map((name) => median(rates[name])) as [number, number, number]
        credentials.set(items, ours * items)
        const note =
          `${ours.toFixed(0)} batches/s of ${items}; Fastify with JWT, the same schema and one insertMany ${theirs.toFixed(0)}/s, ` +
          `Fastify that only parses the body ${nothing.toFixed(0)}/s; medians of ${rounds}, interleaved`
        figures.push(judged(SECTION, `capture-${items}`, ours / theirs, { atLeast }, note))
      }
      const [singly, batched] = [credentials.get(1)!, credentials.get(20)!]
      const note = `rights a second in batches of 20 (${batched.toFixed(0)}) ÷ one by one (${singly.toFixed(0)})`
      figures.push(judged(SECTION, 'capture-batching', batched / singly, { atLeast: TIMES_BATCHED }, note))
      return figures
    } finally {
      await peer.stop()
    }
  })
}
