import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Where the build put the pages: below this file, or under dist/ when this is the source. */
const PLACES = [new URL('./web/', import.meta.url), new URL('../../dist/server/console/web/', import.meta.url)]
const UNBUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Hongyan</title>
<p>The console is not built. Run <code>npm run build</code>, then load this page again.</p></html>`
const A_YEAR_MS = 365 * 86_400_000

/** What belongs to others: an address there that nobody serves is a 404, never the console. */
const OTHERS = /^\/(v1|docs|o|callback|platform|healthz|readyz|metrics|openapi\.json|assets)(\/|$)/

/** The console loads nothing from elsewhere, runs no inline script and is framed by nobody. */
export const CONSOLE_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/**
 * The web console at `/`: pages and their files, compressed at build time. Its addresses are made by the page itself, so
 * every other address a browser opens as a page answers with it.
 */
export async function consoleRoutes(
  app: FastifyInstance,
  { places = PLACES }: { places?: readonly URL[] } = {}
): Promise<void> {
  // The source has an index.html beside it as well; files with hashed names are only in a build.
  const built = places.find((place) => existsSync(new URL('assets/', place)))
  if (built !== undefined) {
    await app.register(fastifyStatic, {
      root: fileURLToPath(built),
      serve: false,
      preCompressed: true,
      cacheControl: false,
      index: false
    })
  }

  const page = (reply: FastifyReply) => {
    void secured(reply).header('cache-control', 'no-cache')
    if (built === undefined) return reply.code(503).type('text/html; charset=utf-8').send(UNBUILT)
    return reply.sendFile('index.html')
  }

  app.get('/', { schema: { hide: true } }, (_request, reply) => page(reply))
  app.get('/assets/:name', { schema: { hide: true } }, (request, reply) => {
    const { name } = request.params as { name: string }
    if (built === undefined || !existsSync(new URL(`assets/${encodeURIComponent(name)}`, built))) {
      return reply.callNotFound()
    }
    // The name says what is inside: another content has another name.
    void secured(reply).header('cache-control', `public, max-age=${A_YEAR_MS / 1000}, immutable`)
    return reply.sendFile(`assets/${name}`)
  })
  app.get('/*', { schema: { hide: true } }, (request, reply) => (isPage(request) ? page(reply) : reply.callNotFound()))
}

/** Is it somebody's browser that opens an address of the console? */
function isPage(request: FastifyRequest): boolean {
  const path = request.url.split('?', 1)[0]!
  return !OTHERS.test(path) && !/\.[a-z0-9]+$/i.test(path) && (request.headers.accept ?? '').includes('text/html')
}

const secured = (reply: FastifyReply): FastifyReply =>
  reply
    .header('content-security-policy', CONSOLE_CSP)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
