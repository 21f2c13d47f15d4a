/** Event names the server takes. */
export const isEventName = (name: unknown): name is string =>
  typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_.]{0,63}$/.test(name)

/**
 * Properties the server takes: text up to 500 characters (cut), finite numbers, booleans; dates become instants.
 * Whatever else is left out and named in `left`.
 */
export function readProperties(given: unknown): {
  properties?: Record<string, string | number | boolean>
  left: string[]
} {
  const properties: Record<string, string | number | boolean> = {}
  const left: string[] = []
  if (!given || typeof given !== 'object') return { left }
  for (const name of Object.keys(given)) {
    const value = (given as any)[name]
    if (name.length > 64) left.push(name)
    else if (typeof value === 'string') properties[name] = value.slice(0, 500)
    else if (typeof value === 'boolean' || (typeof value === 'number' && isFinite(value))) properties[name] = value
    else if (value instanceof Date && !isNaN(value.getTime())) properties[name] = value.toISOString()
    else left.push(name)
  }
  return Object.keys(properties).length ? { properties, left } : { left }
}
