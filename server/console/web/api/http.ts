import { problemIn, send, type Method, type Options, type Query } from './send.js'
import { Refused } from './problem.js'
import { bearer, renew, signInAgain } from './session.js'

/** An answer and its version, for If-Match. */
export type Versioned<T> = { thing: T; etag: string | null }

/**
 * Calls the API as whoever is signed in. A session that ended is renewed, or its owner asked to sign in over the page
 * they are on, and the call repeated: nobody loses what they typed. @throws Refused
 */
export async function call(method: Method, path: string, options: Options = {}): Promise<Response> {
  for (let patience = 2; ; patience--) {
    const token = await bearer()
    const response = await send(method, path, token, options)
    if (response.ok) return response
    if (response.status === 401 && patience > 0) {
      if (!(await renew(token))) await signInAgain()
      continue
    }
    throw new Refused(response.status, await problemIn(response))
  }
}

const json = async <T>(response: Response): Promise<T> =>
  (response.status === 204 ? undefined : await response.json()) as T

/** Only if it is still the version that was seen. */
export const matching = (etag: string | null | undefined) => (etag ? { headers: { 'if-match': etag } } : {})

/** An answer with its version. */
export async function versioned<T>(answer: Promise<Response>): Promise<Versioned<T>> {
  const response = await answer
  return { thing: await json(response), etag: response.headers.get('etag') }
}

/** The API, JSON in and JSON out; every verb throws Refused. */
export const api = {
  get: async <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> =>
    json(await call('GET', path, { query, signal })),
  /** With its version, to be handed to `patch`. */
  getVersioned: <T>(path: string): Promise<Versioned<T>> => versioned(call('GET', path)),
  post: async <T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> =>
    json(await call('POST', path, { body, ...(headers && { headers }) })),
  patch: async <T>(path: string, body: unknown, etag?: string | null): Promise<T> =>
    json(await call('PATCH', path, { body, ...matching(etag) })),
  put: async <T>(path: string, body: unknown, etag?: string | null): Promise<T> =>
    json(await call('PUT', path, { body, ...matching(etag) })),
  remove: async (path: string): Promise<void> => void (await call('DELETE', path))
}
