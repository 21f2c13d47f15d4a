import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

// The yardstick of the sandbox figure: the same body read by node:http, and the same answer given to whatever it says.
const ANSWER = '{"errcode":0,"errmsg":"ok"}'
const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, (request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    Buffer.concat(parts).toString()
    response.writeHead(200, {
      'Content-Type': 'application/json; encoding=utf-8',
      'Content-Length': Buffer.byteLength(ANSWER)
    })
    response.end(ANSWER)
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`bare http://127.0.0.1:${(server.address() as AddressInfo).port}\n`)
})
process.on('SIGTERM', () => server.close(() => process.exit()) && server.closeAllConnections())
