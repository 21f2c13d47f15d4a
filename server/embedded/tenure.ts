import { randomInt } from 'node:crypto'
import { createConnection } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Listen } from './server.js'
import type { Owner } from './storage/ownership.js'
import type { Endpoint } from './storage/socket.js'

/** A store served from here; `owner: false` when somebody else was quicker. `lost` resolves when it ends by itself. */
export type Own = { uri: string; owner: boolean; close(): Promise<void>; lost: Promise<void> }

type Parts = {
  /** Who serves the store now; null when nobody does. */
  find(): Promise<Owner | null>
  /** Serves it from here, listening `like` the last owner did if that was on TCP. */
  own(like: Listen | null): Promise<Own>
  log(event: string, facts: Record<string, unknown>): void
}

const AGAIN_MS = 1_000
const FIRST_MS = 50

/**
 * Use of a store for as long as it is wanted: served by another process while there is one, from here otherwise. The end of
 * whoever serves it is noticed at once, by the end of a connection nothing is said on.
 */
export async function createTenure({ find, own, log }: Parts) {
  let held: Own | null = null
  let uri = ''
  let like: Listen | null = null
  let unwatch = () => {}
  let over = false
  const stop = new AbortController()
  let succession: Promise<void> = Promise.resolve()

  /** Finds an owner or becomes it. */
  async function settle(): Promise<void> {
    for (;;) {
      const other = await find()
      if (other !== null) {
        uri = other.uri
        like = listenOf(uri)
        unwatch = watch(other.endpoint, lost)
        return
      }
      const mine = await own(like)
      if (mine.owner) {
        held = mine
        uri = mine.uri
        void mine.lost.then(lost)
        return
      }
      await mine.close()
    }
  }

  function lost(): void {
    held = null
    if (!over) succession = succeed()
  }

  async function succeed(): Promise<void> {
    const before = uri
    // Several may have been waiting for this; whoever comes a little later finds the first one there.
    for (let pause = randomInt(FIRST_MS); !over; pause = AGAIN_MS) {
      await wait(pause, undefined, { ref: false, signal: stop.signal }).catch(() => {})
      if (over) return
      try {
        await settle()
        const facts = { owner: held !== null, moved: uri !== before }
        log('the process that served the store ended; the store is served again', facts)
        return
      } catch (error) {
        log('the store is without an owner', { reason: error instanceof Error ? error.message : String(error) })
      }
    }
  }

  async function close(): Promise<void> {
    over = true
    stop.abort()
    unwatch()
    await succession
    unwatch()
    await held?.close()
  }

  await settle()
  let closing: Promise<void> | null = null
  return {
    get uri() {
      return uri
    },
    get owner() {
      return held !== null
    },
    close: () => (closing ??= close())
  }
}

/** Calls `onEnd` once, when the connection to an owner ends; gives the means to stop looking. */
function watch(endpoint: Endpoint, onEnd: () => void): () => void {
  const socket = createConnection(endpoint)
  socket.unref()
  socket.on('error', () => {}) // 'close' follows
  socket.once('close', onEnd)
  return () => {
    socket.off('close', onEnd)
    socket.destroy()
  }
}

/** The TCP address of an owner's uri, for a successor to be found there; null when it is a socket. */
export function listenOf(uri: string): Listen | null {
  const parts = /^mongodb:\/\/[^:/@]+:([^@/]+)@(.+):(\d+)\//.exec(uri)
  if (!parts) return null
  return { host: parts[2].replace(/^\[|\]$/g, ''), port: Number(parts[3]), password: decodeURIComponent(parts[1]) }
}
