/** BSON bytes of one document, to be put into a reply as they are. */
export class Raw {
  constructor(readonly bytes: Uint8Array) {}
}

/** Many documents, to be put into a reply as one array, bytes untouched. */
export class RawArray {
  constructor(readonly documents: readonly Uint8Array[]) {}
}

/** What a reply is made of. Whole numbers become int32 where they fit, else double; a bigint becomes int64. */
export type Reply = { [name: string]: ReplyValue }
export type ReplyValue =
  undefined | null | boolean | number | bigint | string | Date | Buffer | Raw | RawArray | Reply | ReplyValue[]

/** A BSON document made of plain values; `undefined` is left out. */
export function encodeReply(reply: Reply): Buffer {
  const writer = new Writer(256)
  writer.document(reply)
  return writer.done()
}

class Writer {
  private bytes: Buffer
  private at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size)
  }

  done(): Buffer {
    return this.bytes.subarray(0, this.at)
  }

  document(fields: Reply): void {
    const start = this.open()
    for (const name in fields) this.element(name, fields[name])
    this.close(start)
  }

  private element(name: string, value: ReplyValue): void {
    if (value === undefined) return
    if (value === null) return this.head(0x0a, name)
    switch (typeof value) {
      case 'boolean':
        this.head(0x08, name)
        this.room(1)
        this.bytes[this.at++] = value ? 1 : 0
        return
      case 'number':
        if (Number.isInteger(value) && value >= -0x80000000 && value <= 0x7fffffff && !Object.is(value, -0)) {
          this.head(0x10, name)
          this.room(4)
          this.at = this.bytes.writeInt32LE(value, this.at)
        } else {
          this.head(0x01, name)
          this.room(8)
          this.at = this.bytes.writeDoubleLE(value, this.at)
        }
        return
      case 'bigint':
        this.head(0x12, name)
        this.room(8)
        this.at = this.bytes.writeBigInt64LE(value, this.at)
        return
      case 'string': {
        this.head(0x02, name)
        const size = Buffer.byteLength(value)
        this.room(size + 5)
        this.at = this.bytes.writeInt32LE(size + 1, this.at)
        this.at += this.bytes.write(value, this.at)
        this.bytes[this.at++] = 0
        return
      }
    }
    if (value instanceof Raw) {
      this.head(0x03, name)
      this.append(value.bytes)
    } else if (value instanceof RawArray) {
      this.head(0x04, name)
      const start = this.open()
      for (let i = 0; i < value.documents.length; i++) {
        this.head(0x03, String(i))
        this.append(value.documents[i])
      }
      this.close(start)
    } else if (value instanceof Date) {
      this.head(0x09, name)
      this.room(8)
      this.at = this.bytes.writeBigInt64LE(BigInt(value.getTime()), this.at)
    } else if (Buffer.isBuffer(value)) {
      this.head(0x05, name)
      this.room(5)
      this.at = this.bytes.writeInt32LE(value.length, this.at)
      this.bytes[this.at++] = 0
      this.append(value)
    } else if (Array.isArray(value)) {
      this.head(0x04, name)
      const start = this.open()
      value.forEach((item, i) => this.element(String(i), item ?? null))
      this.close(start)
    } else {
      this.head(0x03, name)
      this.document(value)
    }
  }

  private head(type: number, name: string): void {
    this.room(1 + name.length * 3 + 1)
    this.bytes[this.at++] = type
    this.at += this.bytes.write(name, this.at)
    this.bytes[this.at++] = 0
  }

  private open(): number {
    this.room(4)
    this.at += 4
    return this.at - 4
  }

  private close(start: number): void {
    this.room(1)
    this.bytes[this.at++] = 0
    this.bytes.writeInt32LE(this.at - start, start)
  }

  private append(bytes: Uint8Array): void {
    this.room(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  private room(more: number): void {
    if (this.at + more <= this.bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.at + more))
    this.bytes.copy(grown, 0, 0, this.at)
    this.bytes = grown
  }
}
