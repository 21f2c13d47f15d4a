import { createRequire } from 'node:module'

type Connection = { socket: { emit(event: 'drain'): boolean } }
type Cleanup = (this: Connection, error: Error) => void

const mongoose = createRequire(createRequire(import.meta.url).resolve('mongoose'))
let isMended = false

/**
 * A command written to a socket that has just gone waits for `drain` in the driver (7.8, `Connection.writeCommand`), which
 * never comes: it hangs for good, and when it was the monitor's, no server is ever found again. Here `drain` is told when a
 * connection is cleaned up; the driver then sees that it is closed, and says so. Once is enough, for all clients.
 */
export function mendLostDrain(): void {
  if (isMended) return
  isMended = true
  const { prototype } = mongoose('mongodb/lib/cmap/connection.js').Connection as { prototype: { cleanup: Cleanup } }
  const { cleanup } = prototype
  prototype.cleanup = function (error) {
    cleanup.call(this, error)
    this.socket.emit('drain')
  }
}
