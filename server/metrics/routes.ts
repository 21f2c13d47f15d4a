import { createServer, type Server } from 'node:http'
import type { FastifyPluginAsync } from 'fastify'
import { NotAllowed } from '../platform/errors.js'
import { accountsOf } from '../platform/auth.js'
import type { Metrics } from './metrics.js'

/** GET /metrics beside the API: for a key that may hear what goes wrong, or an operator; of all accounts, or not at all. */
export const metricsRoutes: FastifyPluginAsync<{ metrics: Metrics }> = async (app, { metrics }) => {
  app.get(
    '/metrics',
    { logLevel: 'silent', schema: { hide: true }, onRequest: app.requireCaller({ scope: 'alerts:read' }) },
    async (request, reply) => {
      if (accountsOf(request.caller) !== null) throw new NotAllowed('these figures are of all accounts together')
      return reply.type(metrics.contentType).send(await metrics.text())
    }
  )
}

/**
 * A listener of its own for the scraper, with nothing but /metrics on it and no token asked for: for an address only the
 * inside reaches. @throws Error when it cannot listen there
 */
export async function listenForScrapes(
  metrics: Metrics,
  { host, port }: { host: string; port: number }
): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('only GET /metrics is here\n')
      return
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end()
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const at = server.address() as { port: number }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${at.port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
