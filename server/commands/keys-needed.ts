import { deserialize } from 'bson'
import type { Config } from '../config.js'
import { createSealer, type Keyring } from '../platform/sealing.js'
import { SEALED_PLACES, sealedIn } from '../resealing/places.js'
import { Fault } from './command.js'

/** What of the rows one key has sealed: how many values, where, and some of them. */
type Sealed = { values: number; collections: Set<string>; some: string[] }

/** More than one is tried before a key is said to be another: a single value may be damaged. */
const TRIED = 5

export type KeysNeeded = ReturnType<typeof createKeysNeeded>

/** Watches the rows of a store go by, and knows afterwards which keys their values were sealed with. */
export function createKeysNeeded() {
  const places = new Map(SEALED_PLACES.map((place) => [place.collection, place]))
  const keys = new Map<string, Sealed>()
  return {
    look(collection: string, raw: Uint8Array): void {
      const place = places.get(collection)
      if (place === undefined) return
      const row = deserialize(raw, { validation: { utf8: false } })
      if (place.named?.test(String(row.name)) === false) return
      for (const { key, value } of sealedIn(row, place.paths)) {
        const sealed = keys.get(key) ?? { values: 0, collections: new Set(), some: [] }
        keys.set(key, sealed)
        sealed.values++
        sealed.collections.add(collection)
        if (sealed.some.length < TRIED) sealed.some.push(value)
      }
    },
    /** Their names, in order. */
    names: (): string[] => [...keys.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })),
    of: (name: string): Sealed => keys.get(name)!
  }
}

/** A ring that lacks a key would take all rows and never open some. @throws Fault naming each key, and the cure */
export function mustOpenAll(needed: KeysNeeded, ring: Keyring, { keys, dataDir }: Config): void {
  const sealer = createSealer(ring)
  const opens = (value: string): boolean => {
    try {
      sealer.open(value)
      return true
    } catch {
      return false
    }
  }
  const held = new Set(ring.sealing.map(({ id }) => id))
  const lines = needed.names().flatMap((name) => {
    const { values, collections, some } = needed.of(name)
    const what = `${values} ${values === 1 ? 'value' : 'values'} in ${[...collections].sort().join(', ')}`
    if (!held.has(name)) return [`  ${name} is missing; it sealed ${what}`]
    return some.some(opens) ? [] : [`  ${name} is another key than the ${name} that sealed ${what}`]
  })
  if (lines.length === 0) return
  const place = keys === null ? `the keys.json in ${dataDir}` : 'HONGYAN_KEYS'
  throw new Fault(
    [
      `${place} does not open all that is sealed in this export, so nothing was written:`,
      ...lines,
      'put the keys.json of the source there (or its whole HONGYAN_KEYS), then call the same command again'
    ].join('\n')
  )
}
