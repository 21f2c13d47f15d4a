import type { Socket } from 'node:net'
import { createFrameReader, frameReply } from './frames.js'
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

/** Requests a client may send ahead before we stop reading from it. */
const AHEAD = 64

/**
 * Serves one socket: requests are answered one after another, in their order. Bytes that are no message end the
 * connection, nothing else does.
 */
export function serveConnection(
  socket: Socket,
  parts: { id: number; trusted: boolean; answer: Answer; log: (event: string, facts: Record<string, unknown>) => void }
): void {
  const session: Session = { id: parts.id, authenticated: parts.trusted, conversation: null, proven: false }
  const reader = createFrameReader()
  const waiting: Request[] = []
  let busy = false
  let responseId = 0

  async function work(): Promise<void> {
    busy = true
    while (waiting.length > 0 && !socket.destroyed) {
      const request = waiting.shift() as Request
      if (waiting.length < AHEAD && socket.isPaused()) socket.resume()
      const document = await parts.answer(request, session)
      if (!request.silent && socket.writable) socket.write(frameReply(request, ++responseId, document))
    }
    busy = false
  }

  socket.setNoDelay(true)
  socket.on('error', () => {}) // the peer is gone; 'close' follows
  socket.on('data', (chunk) => {
    try {
      waiting.push(...reader.push(chunk as Buffer))
    } catch (error) {
      parts.log('connection closed: not a MongoDB message', { connection: parts.id, reason: (error as Error).message })
      socket.destroy()
      return
    }
    if (waiting.length >= AHEAD) socket.pause()
    if (!busy) void work()
  })
}
