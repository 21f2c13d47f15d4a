/** The parameters of a call's query, read when first asked for. */
export interface Query {
  /** Null when it is not there. */
  get(name: string): string | null
}

const TOKEN = 'access_token='
const NOTHING: Query = { get: () => null }

/** Most calls carry a token and nothing else: that one is cut out, everything else is parsed. */
export function queryOf(text: string): Query {
  if (text === '') return NOTHING
  const bare = text.startsWith(TOKEN) && !/[&%+]/.test(text) ? text.slice(TOKEN.length) : undefined
  let parsed: URLSearchParams | undefined
  return {
    get: (name) =>
      bare !== undefined && name === 'access_token' ? bare : (parsed ??= new URLSearchParams(text)).get(name)
  }
}
