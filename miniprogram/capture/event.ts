/** Event names the server takes. */
export const isEventName = (name: unknown): name is string =>
  typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_.]{0,63}$/.test(name)

/** Properties of one event; and their characters, written as JSON: an event must not push other catches out. */
const MOST = 30
const MOST_CHARS = 8000

/**
 * Properties the server takes: text up to 500 characters (cut), finite numbers, booleans; dates become instants.
 * Whatever else is left out and named in `left`. A list, or too much, is refused as a whole.
 */
export function readProperties(given: unknown): {
  properties?: Record<string, string | number | boolean>
  left: string[]
  refused?: 'malformed' | 'tooLarge'
} {
  const properties: Record<string, string | number | boolean> = {}
  const left: string[] = []
  if (!given || typeof given !== 'object') return { left }
  if (Array.isArray(given)) return { left, refused: 'malformed' }
  const names = Object.keys(given)
  if (names.length > MOST) return { left, refused: 'tooLarge' }
  for (const name of names) {
    const value = (given as any)[name]
    if (name.length > 64) left.push(name.slice(0, 64))
    else if (typeof value === 'string') properties[name] = value.slice(0, 500)
    else if (typeof value === 'boolean' || (typeof value === 'number' && isFinite(value))) properties[name] = value
    else if (value instanceof Date && !isNaN(value.getTime())) properties[name] = value.toISOString()
    else left.push(name)
  }
  if (JSON.stringify(properties).length > MOST_CHARS) return { left, refused: 'tooLarge' }
  return Object.keys(properties).length ? { properties, left } : { left }
}
