import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerParent } from './child.js'
import { worstSecondOf } from './worst-second.js'

// As little of WeChat as a sender needs: a token, and a "yes" to every send after a while. What it would cost WeChat to
// think is not what is measured; the sandbox thinks, and has figures of its own.

/** What came in since the last reset; moments are ms since 1970, so that another process can compare them. */
export type Seen = {
  sends: number
  firstAt: number
  /** When the last answer was written. */
  answeredAt: number
  mostInFlight: number
  /** Most sends in any second, wherever it begins. */
  worstSecond: number
}

const TOKEN = JSON.stringify({ access_token: 'x'.repeat(136), expires_in: 7200 })
const YES = JSON.stringify({ errcode: 0, errmsg: 'ok' })
const SEND = '/send'

let least = 0
let most = 0
let arrivals: number[] = []
let answeredAt = 0
let inFlight = 0
let mostInFlight = 0

const now = () => performance.timeOrigin + performance.now()

function say(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

const server = createServer((request, response) => {
  const path = request.url!.split('?')[0]!
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    if (!path.endsWith(SEND)) return say(response, TOKEN)
    JSON.parse(Buffer.concat(parts).toString())
    arrivals.push(now())
    inFlight += 1
    mostInFlight = Math.max(mostInFlight, inFlight)
    const answer = () => {
      inFlight -= 1
      answeredAt = now()
      say(response, YES)
    }
    const wait = least + Math.random() * (most - least)
    if (wait === 0) answer()
    else setTimeout(answer, wait)
  })
})
server.keepAliveTimeout = 60_000
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))

answerParent({
  where: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  /** From here on every send takes between these, in ms, each as likely as the other; what was seen is forgotten. */
  begin({ minMs, maxMs }: { minMs: number; maxMs: number }) {
    least = minMs
    most = maxMs
    arrivals = []
    answeredAt = 0
    mostInFlight = inFlight
  },
  sends: () => arrivals.length,
  seen(): Seen {
    return {
      sends: arrivals.length,
      firstAt: arrivals[0] ?? 0,
      answeredAt,
      mostInFlight,
      worstSecond: worstSecondOf(arrivals)
    }
  }
})
