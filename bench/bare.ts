import { fastify } from 'fastify'

// The yardstick of the capture figure: the same body read and parsed by the same framework, nothing done with it.
const app = fastify()
app.post<{ Body: { items: unknown[] } }>('/bare', async (request, reply) =>
  reply.code(202).send({ items: request.body.items.length })
)
const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ kind: 'ready', url })
process.on('SIGTERM', () => void app.close())
