import type { Attribute, PersonRow, Tag } from './model.js'

type Fields = Pick<PersonRow, 'attributes' | 'tags' | 'setAt'>
type Wanted = { attributes?: Record<string, Attribute | null>; tags?: Record<string, Tag | null> }

/**
 * The update that gives a person these attributes and tags, touching no others; null takes one away. `at` is when the
 * caller said so.
 */
export function fieldUpdate(wanted: Wanted, at: Date): { set: Record<string, unknown>; unset: Record<string, ''> } {
  const set: Record<string, unknown> = {}
  const unset: Record<string, ''> = {}
  for (const kind of ['attributes', 'tags'] as const) {
    for (const [name, value] of Object.entries(wanted[kind] ?? {})) {
      if (value === null) unset[`${kind}.${name}`] = ''
      else set[`${kind}.${name}`] = value
      // kept for what was taken away too: an older value of a merged person must not bring it back
      set[`setAt.${kind}.${name}`] = at.getTime()
    }
  }
  return { set, unset }
}

/** What the winner of a merge takes over: of each attribute and tag the value set last, on a tie its own. */
export function takenOver(winner: Fields, loser: Fields): { set: Record<string, unknown>; unset: Record<string, ''> } {
  const set: Record<string, unknown> = {}
  const unset: Record<string, ''> = {}
  for (const kind of ['attributes', 'tags'] as const) {
    for (const [name, at] of Object.entries(loser.setAt[kind])) {
      if ((winner.setAt[kind][name] ?? -Infinity) >= at) continue
      const value = Object.hasOwn(loser[kind], name) ? loser[kind][name] : undefined
      if (value === undefined) unset[`${kind}.${name}`] = ''
      else set[`${kind}.${name}`] = value
      set[`setAt.${kind}.${name}`] = at
    }
  }
  return { set, unset }
}

/** Of two persons the one that stays: the older. Every process picks the same, so merges never run in a circle. */
export function winnerOf<Row extends Pick<PersonRow, '_id' | 'createdAt'>>(a: Row, b: Row): [winner: Row, loser: Row] {
  const order = a.createdAt.getTime() - b.createdAt.getTime()
  return order < 0 || (order === 0 && a._id < b._id) ? [a, b] : [b, a]
}

/** A name that cannot be a field of a document: dots part paths, a dollar starts an operator. */
export const isFieldName = (name: string) =>
  !name.includes('.') && !name.startsWith('$') && !name.includes('\0') && name !== '__proto__'
