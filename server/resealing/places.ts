/**
 * Where values lie sealed: a collection and the paths in its rows; `[]` goes through a list. With `named` only rows of such
 * names count: in the others a stranger may have written what looks sealed.
 */
export type Place = { collection: string; paths: readonly string[]; named?: RegExp }

/**
 * Every sealed value there is in the store. What is sealed and not named here would be lost when its key is retired, so a
 * test dumps a store with something of everything in it and looks for such.
 */
export const SEALED_PLACES: readonly Place[] = [
  { collection: 'accounts', paths: ['sealedSecret', 'callback.sealedToken', 'callback.sealedAesKey'] },
  { collection: 'authorizations', paths: ['sealedRefreshToken'] },
  { collection: 'credentials', paths: ['sealed'] },
  // Pushes of WeChat; what phones and backends tell has other names (shared/capture.ts), and any property.
  { collection: 'events', paths: ['properties.sealed', 'properties.sealedCode'], named: /^\$push:/ },
  { collection: 'followerSyncs', paths: ['cursor', 'tagPlace.openId'] },
  { collection: 'idempotencyKeys', paths: ['sealed'] },
  { collection: 'importPieces', paths: ['sealed'] },
  { collection: 'operators', paths: ['totp.sealed', 'totp.sealedNext'] },
  { collection: 'people', paths: ['sealedUnionId'] },
  { collection: 'platform', paths: ['sealedSecret', 'sealedToken', 'sealedAesKey', 'sealedTicket'] },
  { collection: 'recipients', paths: ['sealed'] },
  { collection: 'settings', paths: ['sealed', 'targets[].sealedUrl'] },
  { collection: 'tokens', paths: ['token'] },
  { collection: 'webhooks', paths: ['sealedUrl', 'secrets[].sealed'] }
]

/** The id of the key a value is sealed with; null: it is not sealed. */
export function keyOf(value: unknown): string | null {
  return typeof value === 'string' ? (/^([a-z0-9]{1,8})\.[\w-]{38,}$/.exec(value)?.[1] ?? null) : null
}

/** A sealed value of a row, and the way to it as the store names it (`secrets.0.sealed`). */
export type Found = { path: string; value: string; key: string }

/** The sealed values of a row at these paths. */
export function sealedIn(row: unknown, paths: readonly string[]): Found[] {
  const found: Found[] = []
  const walk = (at: unknown, steps: string[], path: string): void => {
    const [step, ...rest] = steps
    if (step === undefined) {
      const key = keyOf(at)
      if (key !== null) found.push({ path, value: at as string, key })
    } else if (typeof at === 'object' && at !== null) {
      const isList = step.endsWith('[]')
      const name = isList ? step.slice(0, -2) : step
      const next = (at as Record<string, unknown>)[name]
      const below = path === '' ? name : `${path}.${name}`
      if (!isList) walk(next, rest, below)
      else if (Array.isArray(next)) next.forEach((each, index) => walk(each, rest, `${below}.${index}`))
    }
  }
  for (const path of paths) walk(row, path.split('.'), '')
  return found
}

/** Rows that hold a value of this place which is sealed with another key than `key`, or, with `with`, with it. */
export function filterFor({ paths, named }: Place, key: string, side: 'with' | 'without'): object {
  const begins = new RegExp(`^${key}\\.`)
  const word = side === 'with' ? begins : { $gt: '', $not: begins }
  return {
    ...(named !== undefined && { name: named }),
    $or: paths.map((path) => {
      const [list, rest] = path.split('[].')
      return rest === undefined ? { [path]: word } : { [list!]: { $elemMatch: { [rest]: word } } }
    })
  }
}
