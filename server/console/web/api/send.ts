import type { Problem } from '../../../../shared/problem.js'
import { language } from '../words/language.js'
import { Refused } from './problem.js'

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Options = {
  query?: Query | undefined
  /** A Blob goes as it is, anything else as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

/** A path under /v1 with its query; lists become `a,b`, what is null or empty is left out. */
function pathWith(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
      ? []
      : [[name, String(value)]]
  )
  return pairs.length === 0 ? path : `${path}?${new URLSearchParams(pairs)}`
}

/** Calls what anybody may call. @throws Refused */
export async function callAsAnybody(method: Method, path: string, options: Options = {}): Promise<Response> {
  const response = await send(method, path, null, options)
  if (!response.ok) throw new Refused(response.status, await problemIn(response))
  return response
}

/** One request, whatever the answer. @throws Refused with status 0 when nobody answers */
export async function send(method: Method, path: string, token: string | null, options: Options): Promise<Response> {
  const { body, query, signal } = options
  const raw = body instanceof Blob
  const headers: Record<string, string> = { accept: 'application/json', 'accept-language': language.value }
  if (token !== null) headers.authorization = `Bearer ${token}`
  if (body !== undefined && !raw) headers['content-type'] = 'application/json'
  Object.assign(headers, options.headers)
  try {
    return await fetch(pathWith(path, query), {
      method,
      headers,
      ...(signal && { signal }),
      ...(body !== undefined && { body: raw ? body : JSON.stringify(body) })
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Refused(0, null)
  }
}

/** What an answer says is wrong; null when it is no problem document. */
export async function problemIn(response: Response): Promise<Problem | null> {
  if (!response.headers.get('content-type')?.startsWith('application/problem+json')) return null
  return (await response.json()) as Problem
}
