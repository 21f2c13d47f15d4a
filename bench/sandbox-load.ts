import { connect } from 'node:net'
import { answerParent } from './child.js'

/** What is sent: one body per request, over `connections` connections, one request at a time on each. */
export interface Load {
  port: number
  path: string
  bodies: string[]
  connections: number
}

/** How it went; `good` are the answers with errcode 0. */
export interface Loaded {
  seconds: number
  good: number
  firstRefusal: string | null
}

const HEAD_END = Buffer.from('\r\n\r\n')
const GOOD = Buffer.from('"errcode":0')

/**
 * Sockets written by hand, because a client library would be what is measured: requests are made up beforehand, and of an
 * answer only its length and errcode are looked at.
 */
async function send({ port, path, bodies, connections }: Load): Promise<Loaded> {
  const requests = bodies.map((body) =>
    Buffer.from(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    )
  )
  let next = 0
  let good = 0
  let firstRefusal: string | null = null

  const worker = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      socket.setNoDelay(true)
      let pending: Buffer = Buffer.alloc(0)
      const ask = () => {
        if (next < requests.length) socket.write(requests[next++]!)
        else {
          socket.end()
          resolve()
        }
      }
      socket.once('error', reject)
      socket.once('connect', ask)
      socket.on('data', (part) => {
        pending = pending.length === 0 ? part : Buffer.concat([pending, part])
        const head = pending.indexOf(HEAD_END)
        if (head === -1) return
        const length = Number(/content-length: (\d+)/i.exec(pending.toString('latin1', 0, head))![1])
        if (pending.length < head + HEAD_END.length + length) return
        if (pending.includes(GOOD)) good++
        else firstRefusal ??= pending.toString()
        pending = Buffer.alloc(0)
        ask()
      })
    })

  const began = performance.now()
  await Promise.all(Array.from({ length: connections }, worker))
  return { seconds: (performance.now() - began) / 1000, good, firstRefusal }
}

answerParent({ send })
