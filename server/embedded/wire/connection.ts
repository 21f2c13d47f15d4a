import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createFrameReader, frameReply, MAX_MESSAGE_BYTES, MAX_STRANGER_BYTES } from './frames.js'
import type { Request } from './frames.js'

/** What a connection needs to know of the rest: how a request is answered, and whom to tell of oddities. */
export type Answer = (request: Request, session: Session) => Promise<Buffer>

/** What is remembered about one connection. */
export type Session = {
  id: number
  authenticated: boolean
  /** The open SASL conversation, if any. */
  conversation: { final(payload: string): string | null } | null
  /** true between the proof and the client's last empty message. */
  proven: boolean
}

/** Requests, and their bytes, that a client may send ahead before we stop reading from it. */
const AHEAD = 64
const AHEAD_BYTES = MAX_MESSAGE_BYTES

/**
 * Serves one socket: requests are answered one after another, in their order, and no faster than the client reads. Bytes
 * that are no message end the connection, nothing else does.
 */
export function serveConnection(
  socket: Socket,
  parts: { id: number; trusted: boolean; answer: Answer; log: (event: string, facts: Record<string, unknown>) => void }
): void {
  const session: Session = { id: parts.id, authenticated: parts.trusted, conversation: null, proven: false }
  const reader = createFrameReader()
  const waiting: Request[] = []
  let waitingBytes = 0
  let busy = false
  let responseId = 0

  const isFull = () => waiting.length >= AHEAD || waitingBytes >= AHEAD_BYTES

  async function work(): Promise<void> {
    while (waiting.length > 0 && !socket.destroyed) {
      const request = waiting.shift() as Request
      waitingBytes -= request.bytes
      if (!isFull() && socket.isPaused()) socket.resume()
      const document = await parts.answer(request, session)
      if (request.silent || !socket.writable) continue
      responseId = (responseId + 1) | 0 // a connection may outlive the 32 bits of its message numbers
      if (!socket.write(frameReply(request, responseId, document))) await drained(socket)
    }
  }

  function serve(): void {
    if (busy) return
    busy = true
    work()
      .catch((error) => end('connection closed: its request could not be answered', error))
      .finally(() => (busy = false))
  }

  function end(event: string, error: unknown): void {
    parts.log(event, { connection: parts.id, reason: String((error as Error)?.message ?? error) })
    socket.destroy()
  }

  socket.setNoDelay(true)
  socket.on('error', () => {}) // the peer is gone; 'close' follows
  socket.on('data', (chunk) => {
    try {
      const requests = reader.push(chunk as Buffer, session.authenticated ? MAX_MESSAGE_BYTES : MAX_STRANGER_BYTES)
      for (const request of requests) {
        waiting.push(request)
        waitingBytes += request.bytes
      }
    } catch (error) {
      return end('connection closed: not a MongoDB message', error)
    }
    if (isFull()) socket.pause()
    serve()
  })
}

/** Resolves when what was written has gone out, or never will. */
async function drained(socket: Socket): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  try {
    await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })])
  } catch {
    // an error of the socket: 'close' follows, and nothing more is written
  } finally {
    over.abort()
  }
}
