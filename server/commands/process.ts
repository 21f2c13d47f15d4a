import { createServer } from 'node:net'
import { Fault } from './command.js'

/** Why listening failed, in words. */
export function listenFault(error: unknown, host: string, port: number): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code
  if (code === 'EADDRINUSE') {
    return new Fault(`port ${port} of ${host} is taken: is Hongyan running already? Choose another port`)
  }
  if (code === 'EACCES') return new Fault(`port ${port} of ${host} may not be used by this user; choose one above 1023`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return new Fault(`${host} is no address of this machine`)
  return error
}

/** The port that was free a moment ago: `port` itself, or one the system picked for 0. @throws Fault when it is taken */
export function tryPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error) => reject(listenFault(error, host, port)))
    probe.listen(port, host, () => {
      const { port: free } = probe.address() as { port: number }
      probe.close(() => resolve(free))
    })
  })
}

/** SIGINT and SIGTERM stop in good order; a second one ends at once. */
export function untilSignal(): { signal: Promise<string>; off(): void } {
  let heard = false
  let tell: (signal: string) => void = () => {}
  const signal = new Promise<string>((resolve) => (tell = resolve))
  const onSignal = (name: NodeJS.Signals) => {
    if (heard) process.exit(1)
    heard = true
    tell(name)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal,
    // A second signal must still end a stop that hangs, so the listeners stay once one was heard.
    off: () => {
      if (heard) return
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    }
  }
}
