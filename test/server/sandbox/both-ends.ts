import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { createSandbox, type SandboxOptions } from '../../../server/sandbox/sandbox.js'

/** A sandbox at 0 ms unless told otherwise, with calls to it; it ends with the test. */
export async function startSandbox(t: Test, options: SandboxOptions) {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, ...options })
  const agent = new Agent({ connections: 8 })
  t.teardown(async () => {
    await agent.destroy()
    await sandbox.close()
  })
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    { type = 'application/json', headersTimeout = 10_000 } = {}
  ) => {
    const response = await request(sandbox.url + path, {
      dispatcher: agent,
      method: method as 'GET',
      headersTimeout,
      headers: body === undefined ? {} : { 'content-type': type },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
    })
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() }
  }
  const json = async (method: string, path: string, body?: unknown) => JSON.parse((await call(method, path, body)).text)
  return { ...sandbox, call, json }
}

/** A developer's server, which the sandbox pushes to: `take` gets each request whole. Gives its address. */
export async function listen(t: Test, take: (url: URL, body: string, response: ServerResponse) => void) {
  const server = createServer((incoming, response) => {
    let body = ''
    incoming.on('data', (part) => (body += part))
    incoming.on('end', () => take(new URL(incoming.url!, 'http://x'), body, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
