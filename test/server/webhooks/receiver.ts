import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { Test } from 'tap'

export type Received = { path: string; headers: IncomingHttpHeaders; body: string; json: any }
/** What is answered: a status, or a status with more, or null to hang up without a word. */
export type Answer = number | { status: number; body?: string; headers?: Record<string, string> } | null

/** Somebody else's server on this machine: keeps what it is sent, answers as told. */
export async function receiver(t: Test) {
  const received: Received[] = []
  let answer: (request: Received, n: number) => Answer | Promise<Answer> = () => 200
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      void (async () => {
        const body = Buffer.concat(parts).toString()
        const json = body.startsWith('{') ? JSON.parse(body) : null
        const seen = { path: request.url!, headers: request.headers, body, json }
        received.push(seen)
        const said = await answer(seen, received.length)
        if (said === null) return void request.socket.destroy()
        const { status, body: text = '', headers = {} } = typeof said === 'number' ? { status: said } : said
        response.writeHead(status, headers).end(text)
      })()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    answers(next: typeof answer) {
      answer = next
    },
    /** Ids and types of what came, in order. */
    heard: () => received.map(({ headers, json }) => `${json.type} ${String(headers['webhook-id'])}`)
  }
}

/** Verifies as a consumer would, but at the time of the message: the clock of a test is not the machine's. */
export function verified(secret: string, { headers, body }: Received): boolean {
  const at = new Date(Number(headers['webhook-timestamp']) * 1_000)
  const right = new Webhook(secret).sign(String(headers['webhook-id']), at, body)
  return String(headers['webhook-signature']).split(' ').includes(right)
}
