import type { Env, PhoneApi } from './types.js'

/** What came back. `status` 0 means that no answer came: offline, timed out, or no request API. */
export interface Answer {
  status: number
  body: any
  /** From Retry-After, seconds or date; null when absent or unreadable. */
  retryAfterMs: number | null
  /** The server's clock, from the Date header; null when absent. */
  serverNow: number | null
}

export interface Ask {
  method: 'GET' | 'POST' | 'PUT'
  url: string
  body?: unknown
  token?: string
}

export type Transport = (ask: Ask) => Promise<Answer>

const NO_ANSWER: Answer = { status: 0, body: null, retryAfterMs: null, serverNow: null }

/** The only place that calls `request`. Its promise never rejects, and always settles within `timeoutMs`. */
export function createTransport(parts: { api: () => PhoneApi; env: Env; timeoutMs: number }): Transport {
  const { api, env, timeoutMs } = parts
  return (ask) =>
    new Promise((resolve) => {
      // Our own timer: the `timeout` option came with base library 2.10.0 and some phones let a request hang
      const timer = env.setTimeout(() => resolve(NO_ANSWER), timeoutMs)
      const settle = (answer: Answer) => {
        env.clearTimeout(timer)
        resolve(answer)
      }
      const header: Record<string, string> = { 'content-type': 'application/json' }
      if (ask.token) header['Authorization'] = `Bearer ${ask.token}`
      try {
        swallow(
          api().request!({
            url: ask.url,
            method: ask.method,
            data: ask.body === undefined ? undefined : JSON.stringify(ask.body),
            header,
            timeout: timeoutMs,
            success(res: any) {
              let answer = NO_ANSWER
              try {
                answer = readAnswer(res, env.now())
              } catch {
                // one that cannot even be looked at is none
              }
              settle(answer)
            },
            fail: () => settle(NO_ANSWER)
          })
        )
      } catch {
        settle(NO_ANSWER)
      }
    })
}

/** Taro and uni answer calls with a promise besides the callbacks; its rejection is already known to us. */
export function swallow(maybe: any): void {
  if (maybe && typeof maybe.then === 'function') maybe.then(undefined, () => undefined)
}

export function readAnswer(res: any, now: number): Answer {
  const headers: Record<string, string> = {}
  const given = (res && (res.header || res.headers)) || {}
  // header names arrive in the server's, the phone's or the devtools' spelling; of any other not even the value is safe
  for (const name of Object.keys(given)) {
    const wanted = name.toLowerCase()
    if (/^(date|retry-after)$/.test(wanted) && /string|number/.test(typeof given[name]))
      headers[wanted] = `${given[name]}`
  }
  const date = Date.parse(headers['date'])
  const serverNow = isNaN(date) ? null : date
  const after = headers['retry-after']
  let retryAfterMs: number | null = null
  if (after !== undefined) {
    const until = /^\s*\d+(\.\d+)?\s*$/.test(after) ? Number(after) * 1000 : Date.parse(after) - (serverNow || now)
    if (!isNaN(until)) retryAfterMs = Math.max(0, until)
  }
  return {
    status: Number(res && res.statusCode) || 0,
    body: parse(res && res.data),
    retryAfterMs,
    serverNow
  }
}

function parse(data: any): any {
  if (typeof data !== 'string') return data
  try {
    return JSON.parse(data)
  } catch {
    return null
  }
}
