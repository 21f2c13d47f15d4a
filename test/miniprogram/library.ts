import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CaptureBatch,
  CaptureEvents,
  CaptureOpens,
  CapturePreferences,
  CaptureSessionPost
} from '../../shared/capture.js'
import type { FakeAnswer, FakeRequest } from '../../demo/fake-wx.js'

/** The repository, wherever this file was compiled to. */
export function repositoryRoot(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url))
  while (!existsSync(path.join(dir, 'miniprogram', 'package.json'))) {
    if (dir === path.dirname(dir)) throw new Error('no folder above this file holds miniprogram/package.json')
    dir = path.dirname(dir)
  }
  return dir
}
export const distRoot = path.join(repositoryRoot(), 'miniprogram', 'miniprogram_dist')
/** The built files, loaded as a phone project loads them. */
export const requireBuilt = createRequire(path.join(distRoot, 'index.js'))
/** The built library; `npm run build:miniprogram` makes it. */
export const library: any = requireBuilt('./index.js')

export type Batch = { path: string; body: any; token: string; at: number }

/** What the real server would let in. */
const SCHEMAS: Record<string, { safeParse(body: unknown): { success: boolean; error?: unknown } }> = {
  '/v1/capture/session': CaptureSessionPost,
  '/v1/capture/credentials': CaptureBatch,
  '/v1/capture/events': CaptureEvents,
  '/v1/capture/opens': CaptureOpens,
  '/v1/capture/preferences': CapturePreferences
}

/**
 * A server as the phone sees it: gives sessions, keeps every item by its id, answers verdicts. `fault` may answer
 * instead, before or after the item was kept.
 */
export function createScriptedServer(now: () => number, settings: object = {}) {
  const kept = new Map<string, any>()
  const verdicts = new Map<string, string[]>()
  const batches: Batch[] = []
  const asked: { method: string; path: string; body: any }[] = []
  let sessions = 0
  let valid = ''
  const server = {
    kept,
    /** Verdicts given, by item id. */
    verdicts,
    batches,
    asked,
    /** Why bodies were refused by the shared schemas; a phone never gives cause. */
    unreadable: [] as unknown[],
    sessions: () => sessions,
    /** From now on the token is worth nothing. */
    revoke: () => void (valid = ''),
    lifeMs: 3_600_000,
    settings: settings as any,
    /** An answer given before the request is looked at; null lets it through. */
    fault: null as null | ((request: { path: string; body: any }) => FakeAnswer | 'offline' | 'lost' | null),
    refuse: (_item: any): string | null => null,
    async network({ url, method, data, header }: FakeRequest): Promise<FakeAnswer> {
      const { pathname } = new URL(url)
      const body = data === undefined ? undefined : JSON.parse(data)
      asked.push({ method, path: pathname, body })
      const fault = server.fault?.({ path: pathname, body }) ?? null
      if (fault === 'offline') throw new Error('offline')
      if (fault !== null && fault !== 'lost') return fault
      const answer = handle(pathname, body, header)
      if (fault === 'lost') throw new Error('the answer was lost')
      return { header: { Date: new Date(now()).toUTCString() }, ...answer }
    }
  }
  function handle(pathname: string, body: any, header: Record<string, string>): FakeAnswer {
    const read = SCHEMAS[pathname]?.safeParse(body)
    if (read && !read.success) {
      server.unreadable.push(read.error)
      return { statusCode: 422, data: { code: 'request.invalid' } }
    }
    if (pathname === '/v1/capture/session') {
      valid = `token-${++sessions}`
      return {
        statusCode: 201,
        data: { token: valid, expiresAt: new Date(now() + server.lifeMs).toISOString(), settings: server.settings }
      }
    }
    const token = String(header['Authorization'] ?? '').replace('Bearer ', '')
    if (token !== valid && !token.startsWith('host-')) return { statusCode: 401, data: { code: 'auth.expired' } }
    if (pathname === '/v1/capture/status')
      return { statusCode: 200, data: { optedOut: false, topics: [], sendsLeft: {} } }
    if (pathname === '/v1/capture/preferences') return { statusCode: 200, data: { topics: [], sendsLeft: {}, ...body } }
    batches.push({ path: pathname, body, token, at: now() })
    const items = body.items.map((item: any) => {
      const reason = server.refuse(item)
      const verdict = reason !== null ? 'refused' : kept.has(item.id) ? 'duplicate' : 'stored'
      if (verdict === 'stored') kept.set(item.id, item)
      verdicts.set(item.id, [...(verdicts.get(item.id) ?? []), verdict])
      return { id: item.id, verdict, ...(reason === null ? {} : { reason }) }
    })
    return pathname.endsWith('/opens') ? { statusCode: 202 } : { statusCode: 202, data: { items } }
  }
  return server
}
