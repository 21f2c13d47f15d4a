import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'

/** HONGYAN_GOLDEN=write draws the pictures anew; look at them before they are committed. */
const WRITES = process.env.HONGYAN_GOLDEN === 'write'
/** A pixel this far off in one of its colours is another one: edges are smoothed a little differently by every version. */
const CHANNEL = 40
/** So many may be others: a character of the pattern font is a hundred, the corner of a card about ten. */
const OTHERS = 60

function folder(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url))
  while (!existsSync(path.join(dir, 'test', 'golden'))) {
    if (dir === path.dirname(dir)) throw new Error('no folder above this file holds test/golden')
    dir = path.dirname(dir)
  }
  return path.join(dir, 'test', 'golden')
}

/**
 * What is different between a picture and the one kept as `name`; null: nothing that matters. The browser compares them,
 * as it drew them. Without one kept, or told to write, it is kept.
 */
export async function differsFromGolden(page: Page, name: string, png: Buffer): Promise<string | null> {
  const file = path.join(folder(), `${name}.png`)
  if (WRITES) {
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, png)
    return null
  }
  if (!existsSync(file)) return `there is no ${name}.png: HONGYAN_GOLDEN=write draws it`
  const said = await compare(page, readFileSync(file), png)
  if (said === null) return null
  const seen = path.join(folder(), '../../test-results', `${name}.png`)
  mkdirSync(path.dirname(seen), { recursive: true })
  writeFileSync(seen, png)
  return `${said}; what was drawn is test-results/${name}.png`
}

/** In words; null when they are alike. */
export async function compare(page: Page, kept: Buffer, drawn: Buffer): Promise<string | null> {
  const { sizes, others } = await page.evaluate(
    async ({ pictures, channel }) => {
      const { createImageBitmap, OffscreenCanvas } = globalThis as any // the page's
      const [one, two] = await Promise.all(
        pictures.map(async (base64) => {
          const bytes = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0))
          const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
          const context = new OffscreenCanvas(image.width, image.height).getContext('2d')!
          context.drawImage(image, 0, 0)
          return context.getImageData(0, 0, image.width, image.height)
        })
      )
      const sizes = [one!, two!].map(({ width, height }) => `${width} × ${height}`)
      let others = 0
      for (let at = 0; at < one!.data.length; at += 4) {
        const isOther = [0, 1, 2].some((i) => Math.abs(one!.data[at + i]! - (two!.data[at + i] ?? 1e9)) > channel)
        if (isOther) others += 1
      }
      return { sizes, others }
    },
    { pictures: [kept.toString('base64'), drawn.toString('base64')], channel: CHANNEL }
  )
  if (sizes[0] !== sizes[1]) return `it is ${sizes[1]} and was ${sizes[0]}`
  return others > OTHERS ? `${others} pixels are others` : null
}
