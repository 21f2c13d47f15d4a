import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { fastifyPlugin } from 'fastify-plugin'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem } from '../../shared/problem.js'
import { guardOf, type Guard } from './auth.js'

/** The document at /openapi.json and its pages at /docs, both out of the routes' own schemas. */
export const openapiPlugin = fastifyPlugin<{ version: string; publicUrl: string }>(
  async (app: FastifyInstance, { version, publicUrl }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Hongyan 鸿雁',
          version,
          description:
            'Captures rights to send, keeps them in a ledger, and sends template messages. Instants are RFC 3339; errors are RFC 9457 problem documents with a stable `code`.'
        },
        servers: [{ url: publicUrl }],
        components: {
          securitySchemes: {
            operator: { type: 'http', scheme: 'bearer', description: 'The token of POST /v1/auth/login.' },
            machine: {
              type: 'http',
              scheme: 'bearer',
              description: 'An API key, `hk_…`, with the scope the route names.'
            },
            phone: { type: 'http', scheme: 'bearer', description: 'The token of POST /v1/capture/session.' }
          }
        }
      },
      hideUntagged: false,
      transform: (document) => {
        const { schema, url } = jsonSchemaTransform(document)
        if (!url.startsWith('/v1/')) return { schema: { ...schema, hide: true }, url }
        const guard = guardOf(document.route)
        const idempotent = document.route.config?.idempotent
        const described = {
          ...schema,
          ...(idempotent !== undefined && { headers: idempotencyHeader(idempotent !== true) }),
          response: { ...(schema.response ?? {}), default: PROBLEM },
          tags: [url.split('/')[2] ?? 'v1'],
          ...(guard !== null && { security: securityOf(guard), description: describe(guard, schema.description) })
        }
        return { schema: described, url }
      },
      transformObject: jsonSchemaTransformObject
    })
    await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true })
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  },
  { name: 'openapi' }
)

/** Every error answer, whatever its status. */
const PROBLEM = {
  description: 'What went wrong: an RFC 9457 problem document.',
  content: { 'application/problem+json': { schema: z.toJSONSchema(Problem, { io: 'output' }) } }
}

function idempotencyHeader(required: boolean) {
  const key = {
    type: 'string',
    maxLength: 200,
    description: 'Names this request, so that repeating it changes nothing.'
  }
  return { type: 'object', properties: { 'idempotency-key': key }, ...(required && { required: ['idempotency-key'] }) }
}

function securityOf(guard: Guard): Record<string, string[]>[] {
  if ('phone' in guard) return [{ phone: [] }]
  return 'scope' in guard ? [{ machine: [] }, { operator: [] }] : [{ operator: [] }]
}

function describe(guard: Guard, text = ''): string {
  if ('phone' in guard) return text
  const scope = 'scope' in guard ? `A key with the scope \`${guard.scope}\`, or an` : 'An'
  return `${text}\n\n${scope} operator of the role ${guard.role} or above.`.trim()
}
