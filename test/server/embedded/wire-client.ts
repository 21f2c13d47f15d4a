import { createConnection } from 'node:net'
import { deserialize, serialize } from 'bson'
import { crc32c } from '../../../server/embedded/wire/crc32c.js'

export const int32 = (n: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(n)
  return bytes
}
export const doc = (value: object) => Buffer.from(serialize(value))

/** A message with its header, of any operation. */
export function message(opcode: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(16 + body.length), int32(7), int32(0), int32(opcode), body])
}

/** OP_MSG: one body, and whatever sections follow. */
export const msg = (body: object, flags = 0, ...more: Buffer[]) =>
  message(2013, int32(flags), Buffer.from([0]), doc(body), ...more)

/** A section of kind 1. */
export function sequence(name: string, ...docs: object[]): Buffer {
  const inner = Buffer.concat([Buffer.from(`${name}\0`), ...docs.map(doc)])
  return Buffer.concat([Buffer.from([1]), int32(4 + inner.length), inner])
}

/** OP_QUERY, as old as MongoDB. */
export const query = (body: object, name = 'admin.$cmd') =>
  message(2004, int32(0), Buffer.from(`${name}\0`), int32(0), int32(-1), doc(body))

/** The same OP_MSG with its checksum. */
export function summed(bytes: Buffer): Buffer {
  const whole = Buffer.concat([bytes, Buffer.alloc(4)])
  whole.writeInt32LE(whole.length, 0)
  whole.writeInt32LE(whole.readInt32LE(16) | 1, 16)
  whole.writeUInt32LE(crc32c(whole.subarray(0, -4)), whole.length - 4)
  return whole
}

export type Talk = { replies: any[]; closed: boolean }

/** A bare connection to a store, on its socket or over TCP. */
export function dial(uri: string) {
  const host = /\/\/(?:[^@/]+@)?([^/]+)\//.exec(uri)![1]
  const [name, port] = host.split(':')
  const socket = createConnection(port ? { host: name, port: Number(port) } : { path: decodeURIComponent(host) })
  const replies: any[] = []
  let data = Buffer.alloc(0)
  let closed = false
  let wake = () => {}
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    wake()
  })
  socket.on('data', (chunk) => {
    data = Buffer.concat([data, chunk as Buffer])
    while (data.length >= 16 && data.length >= data.readInt32LE(0)) {
      const length = data.readInt32LE(0)
      const at = data.readInt32LE(12) === 1 ? 36 : 21
      replies.push({
        to: data.readInt32LE(8),
        opcode: data.readInt32LE(12),
        ...deserialize(data.subarray(at, length), { bsonRegExp: true })
      })
      data = data.subarray(length)
    }
    wake()
  })
  return {
    socket,
    send: (...bytes: Buffer[]) => bytes.forEach((part) => socket.write(part)),
    /** What has come when `want` replies are there, or the other side has closed. */
    async until(want: number): Promise<Talk> {
      while (replies.length < want && !closed) await new Promise<void>((resolve) => (wake = resolve))
      return { replies, closed }
    },
    /** The answer to one command. */
    async ask(body: Record<string, unknown>): Promise<any> {
      const before = replies.length
      socket.write(msg({ ...body, $db: body.$db ?? 'admin' }))
      await this.until(before + 1)
      return replies[before] ?? 'closed'
    },
    hang: () => socket.destroy()
  }
}

/** Sends bytes over a connection of their own; what came before `want` replies were there or it was closed. */
export async function talk(uri: string, bytes: Buffer[], want: number): Promise<Talk> {
  const line = dial(uri)
  line.send(...bytes)
  const heard = await line.until(want)
  line.hang()
  return heard
}
