const SLAB_BYTES = 128 * 1024
const LARGEST = 16 * 1024

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
let used = 0

/** Memory for bytes that live about as long as their neighbours: cut from a larger piece, which costs a small part of asking for each. */
export function take(bytes: number): Buffer {
  if (bytes > LARGEST) return Buffer.allocUnsafeSlow(bytes)
  if (used + bytes > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  const piece = slab.subarray(used, used + bytes)
  used += bytes
  return piece
}
