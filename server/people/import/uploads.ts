import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import { DAY_MS } from '../../../shared/limits.js'
import type { Clock } from '../../platform/clock.js'
import { AppError, InvalidInput } from '../../platform/errors.js'
import type { Sealer } from '../../platform/sealing.js'
import { HEAD_CHARACTERS } from './columns.js'

/** A piece of a file: `_id` is the file's id and the place of its first byte, so that pieces come in order. */
type PieceRow = { _id: string; sealed: string; expireAt: Date }

/** The file is larger than this server takes. */
export class FileTooLarge extends AppError {
  readonly status = 413
  constructor(maxBytes: number) {
    super('import.too-large', `a file of people has at most ${maxBytes} bytes here; send it in parts`)
  }
}

const PIECE_BYTES = 256 * 1024
/** A file nobody finished is forgotten after this. */
const LIFE_MS = 2 * DAY_MS
/** Pieces the store hands over at once: they are large. */
const AT_ONCE = 2

/** Files kept in the store until they are worked through, sealed, since they are full of openids. */
export function createUploads({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const pieces = db.collection('importPieces') as unknown as Collection<PieceRow>
  const idOf = (file: string, place: number) => `${file}:${String(place).padStart(15, '0')}`

  return {
    async ready(): Promise<void> {
      await pieces.createIndex({ expireAt: 1 }, { expireAfterSeconds: 0 })
    },

    /**
     * Keeps a file while it comes in. `look` is given its beginning before anything of it is kept. @returns its bytes
     * @throws InvalidInput for what is not UTF-8, FileTooLarge, and what `look` throws; nothing is kept then
     */
    async keep(
      file: string,
      source: AsyncIterable<Uint8Array>,
      { maxBytes, look }: { maxBytes: number; look: (head: string) => void }
    ): Promise<number> {
      const text = createDecoder()
      let [came, kept] = [0, 0]
      let buffer = ''
      let seen = false
      const flush = async () => {
        if (buffer === '') return
        const expireAt = new Date(clock.now().getTime() + LIFE_MS)
        await pieces.insertOne({ _id: idOf(file, kept), sealed: sealer.seal(buffer), expireAt })
        kept += Buffer.byteLength(buffer)
        buffer = ''
      }
      const beLookedAt = () => {
        seen = true
        look(buffer.slice(0, HEAD_CHARACTERS))
      }
      try {
        for await (const piece of source) {
          came += piece.length
          if (came > maxBytes) throw new FileTooLarge(maxBytes)
          buffer += text.next(piece)
          if (!seen && buffer.length >= HEAD_CHARACTERS) beLookedAt()
          if (buffer.length >= PIECE_BYTES) await flush()
        }
        buffer += text.end()
        if (!seen) beLookedAt()
        await flush()
      } catch (error) {
        await this.drop(file)
        throw error
      }
      return kept
    },

    /** Its bytes from a place on. */
    async *read(file: string, from: number): AsyncGenerator<Buffer> {
      const upTo = { _id: { $gte: idOf(file, 0), $lte: idOf(file, from) } }
      const first = await pieces.findOne(upTo, { sort: { _id: -1 }, projection: { _id: 1 } })
      if (first === null) return
      const rest = pieces
        .find({ _id: { $gte: first._id, $lt: `${file};` } })
        .sort({ _id: 1 })
        .batchSize(AT_ONCE)
      for await (const { _id, sealed } of rest) {
        const bytes = Buffer.from(sealer.open(sealed))
        const skip = Math.max(0, from - Number(_id.slice(file.length + 1)))
        if (skip < bytes.length) yield bytes.subarray(skip)
      }
    },

    async drop(file: string): Promise<void> {
      await pieces.deleteMany({ _id: { $gte: `${file}:`, $lt: `${file};` } })
    }
  }
}
export type Uploads = ReturnType<typeof createUploads>

/** Text out of bytes; the mark some programs put before UTF-8 is left out. @throws InvalidInput for any other encoding */
function createDecoder() {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let head = Buffer.alloc(0)
  const read = (bytes?: Uint8Array): string => {
    if (bytes !== undefined && head.length < ZIP.length) head = Buffer.concat([head, bytes]).subarray(0, ZIP.length)
    if (head.equals(ZIP)) throw refused('spreadsheet', 'this is a spreadsheet (xlsx) and no text')
    try {
      const text = decoder.decode(bytes, { stream: bytes !== undefined })
      // no text holds it, and UTF-16 is full of it
      if (!text.includes('\0')) return text
    } catch {
      // said below
    }
    throw refused('encoding', 'the file is not UTF-8 (but GBK or UTF-16, perhaps)')
  }
  return { next: (bytes: Uint8Array) => read(bytes), end: () => read() }
}

/** How an xlsx file begins. */
const ZIP = Buffer.from([0x50, 0x4b, 0x03, 0x04])

function refused(word: string, what: string): InvalidInput {
  const [code, message] = [`import.${word}`, `${what}: in Excel, save it as “CSV UTF-8”`]
  return new InvalidInput(message, { code, errors: [{ pointer: '', code, message }] })
}
