import { createKit } from './kit.js'
import type { Kit } from './types.js'

declare const getApp: ((options?: { allowDefault?: boolean }) => any) | undefined

let mine: Kit | null = null
let bare: Kit | null = null

/** Where a second copy of the library (uni-app makes one) finds the kit the first one installed. */
const shelf = (): any => {
  try {
    return (typeof getApp === 'function' && getApp({ allowDefault: true })) || {}
  } catch {
    return {}
  }
}

/** Makes this the kit that components and the exported functions use. */
export function remember(kit: Kit): void {
  if (mine) mine.stop()
  if (bare) bare.stop()
  bare = null
  mine = kit
  try {
    shelf().$hongyan = kit
  } catch {
    // a frozen app object: the copies then meet in storage only
  }
}

/**
 * The installed kit, of this copy of the library or another. Before any install: one that only keeps, so that a catch
 * made too early is handed in by the kit that comes later.
 */
export function current(): Kit {
  if (mine) return mine
  const other = shelf().$hongyan
  if (other && typeof other.captureSubmit === 'function') return other
  if (!bare) bare = createKit()
  return bare
}
