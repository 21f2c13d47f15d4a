import { crc32c } from './crc32c.js'

/** The largest message taken or sent, in bytes; what MongoDB itself announces in `hello`. */
export const MAX_MESSAGE_BYTES = 48_000_000
/** The largest document, in bytes. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
/** The largest message taken from a peer that has not said who it is: enough for any hello and password. */
export const MAX_STRANGER_BYTES = 64 * 1024
/** The most statements in one insert, update or delete command. */
export const MAX_BATCH_STATEMENTS = 100_000

const HEADER_BYTES = 16
const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

const CHECKSUM_PRESENT = 1
const MORE_TO_COME = 2
const KNOWN_REQUIRED_FLAGS = CHECKSUM_PRESENT | MORE_TO_COME

/** Bytes that are no MongoDB wire message. There is no way to answer them: the connection is to be closed. */
export class FrameError extends Error {
  override name = 'FrameError'
}

/** One request: its command document and the document sequences that came beside it, all raw BSON. */
export type Request = {
  requestId: number
  /** Length of the whole message. */
  bytes: number
  /** true for the legacy OP_QUERY that opens a conversation; it wants an OP_REPLY. */
  legacy: boolean
  /** true when the client does not want an answer (write concern 0). */
  silent: boolean
  body: Buffer
  sequences: Map<string, Buffer[]>
  /** The database of a legacy query; an OP_MSG names its own in `$db`. */
  database: string | null
}

/**
 * Cuts a byte stream into requests. Messages may arrive in any pieces; a length out of bounds is refused before
 * anything of that size is kept.
 */
export function createFrameReader() {
  let parts: Buffer[] = []
  let held = 0
  let wanted = 0

  function take(bytes: number): Buffer {
    const all = parts.length === 1 ? parts[0] : Buffer.concat(parts, held)
    const taken = all.subarray(0, bytes)
    const rest = all.subarray(bytes)
    parts = rest.length > 0 ? [rest] : []
    held = rest.length
    return taken
  }

  function peekLength(): number {
    if (parts[0].length < 4) parts = [Buffer.concat(parts, held)]
    return parts[0].readInt32LE(0)
  }

  return {
    /** Every request completed by `chunk`. @throws FrameError for bytes that are no message, or one above `limit` bytes. */
    push(chunk: Buffer, limit = MAX_MESSAGE_BYTES): Request[] {
      parts.push(chunk)
      held += chunk.length
      const requests: Request[] = []
      for (;;) {
        if (wanted === 0) {
          if (held < 4) return requests
          wanted = peekLength()
          if (wanted < HEADER_BYTES + 5 || wanted > limit) {
            throw new FrameError(`a message of ${wanted} bytes`)
          }
        }
        if (held < wanted) return requests
        const message = take(wanted)
        wanted = 0
        requests.push(parseMessage(message))
      }
    }
  }
}

/** Reads one whole message. @throws FrameError */
export function parseMessage(message: Buffer): Request {
  const requestId = message.readInt32LE(4)
  const opcode = message.readInt32LE(12)
  if (opcode === OP_MSG) return parseMsg(requestId, message)
  if (opcode === OP_QUERY) return parseQuery(requestId, message)
  throw new FrameError(`operation code ${opcode}`)
}

function parseMsg(requestId: number, message: Buffer): Request {
  const flags = message.readUInt32LE(HEADER_BYTES)
  if ((flags & 0xffff & ~KNOWN_REQUIRED_FLAGS) !== 0) throw new FrameError(`message flags ${flags}`)
  const summed = (flags & CHECKSUM_PRESENT) !== 0
  const end = summed ? message.length - 4 : message.length
  if (summed && crc32c(message.subarray(0, end)) !== message.readUInt32LE(end)) {
    throw new FrameError('a checksum that does not fit its message')
  }
  let body: Buffer | null = null
  const sequences = new Map<string, Buffer[]>()
  let at = HEADER_BYTES + 4
  while (at < end) {
    const kind = message[at++]
    if (kind === 0) {
      if (body) throw new FrameError('two bodies in one message')
      body = documentAt(message, at, end)
      at += body.length
    } else if (kind === 1) {
      if (at + 4 > end) throw new FrameError('a truncated section')
      const sectionEnd = at + message.readInt32LE(at)
      if (sectionEnd < at + 5 || sectionEnd > end) throw new FrameError('a section longer than its message')
      const nameEnd = message.indexOf(0, at + 4)
      if (nameEnd < 0 || nameEnd >= sectionEnd) throw new FrameError('a section without a name')
      const name = message.toString('utf8', at + 4, nameEnd)
      if (sequences.has(name)) throw new FrameError(`two sections named ${name}`)
      const documents: Buffer[] = []
      at = nameEnd + 1
      while (at < sectionEnd) {
        const document = documentAt(message, at, sectionEnd)
        documents.push(document)
        at += document.length
      }
      sequences.set(name, documents)
    } else {
      throw new FrameError(`section kind ${kind}`)
    }
  }
  if (!body) throw new FrameError('a message without a body')
  return {
    requestId,
    bytes: message.length,
    legacy: false,
    silent: (flags & MORE_TO_COME) !== 0,
    body,
    sequences,
    database: null
  }
}

function parseQuery(requestId: number, message: Buffer): Request {
  const nameEnd = message.indexOf(0, HEADER_BYTES + 4)
  if (nameEnd < 0 || nameEnd + 9 > message.length) throw new FrameError('a truncated query')
  const collection = message.toString('utf8', HEADER_BYTES + 4, nameEnd)
  if (!collection.endsWith('.$cmd')) throw new FrameError('a legacy query that is no command')
  const body = documentAt(message, nameEnd + 9, message.length)
  return {
    requestId,
    bytes: message.length,
    legacy: true,
    silent: false,
    body,
    sequences: new Map(),
    database: collection.slice(0, -5)
  }
}

function documentAt(message: Buffer, at: number, end: number): Buffer {
  if (at + 5 > end) throw new FrameError('a truncated document')
  const length = message.readInt32LE(at)
  if (length < 5 || at + length > end || message[at + length - 1] !== 0) throw new FrameError('a truncated document')
  return message.subarray(at, at + length)
}

/** The message that answers `request` with one document. */
export function frameReply(
  request: Pick<Request, 'requestId' | 'legacy'>,
  responseId: number,
  document: Buffer
): Buffer {
  const prefix = request.legacy ? 20 : 5
  const message = Buffer.allocUnsafe(HEADER_BYTES + prefix + document.length)
  message.writeInt32LE(message.length, 0)
  message.writeInt32LE(responseId, 4)
  message.writeInt32LE(request.requestId, 8)
  message.writeInt32LE(request.legacy ? OP_REPLY : OP_MSG, 12)
  message.fill(0, HEADER_BYTES, HEADER_BYTES + prefix)
  if (request.legacy) {
    message.writeInt32LE(8, HEADER_BYTES) // AwaitCapable, as every server since 1.6 says
    message.writeInt32LE(1, HEADER_BYTES + 16) // one document
  }
  document.copy(message, HEADER_BYTES + prefix)
  return message
}

/** The message that asks for one command. */
export function frameRequest(requestId: number, document: Buffer): Buffer {
  const message = frameReply({ requestId: 0, legacy: false }, requestId, document)
  return message
}
