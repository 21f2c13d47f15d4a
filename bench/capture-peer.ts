import fastifyJwt from '@fastify/jwt'
import { fastify } from 'fastify'
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { MongoClient } from 'mongodb'
import { CaptureBatch } from '../shared/capture.js'
import { answerParent } from './child.js'

// The least a server can do with rights that are handed in and still be said to keep them: the token is verified, the
// batch held against the same schema, and written with one command. No sealing, no person behind it, no verdicts of its own.

let client: MongoClient | null = null
const app = fastify().withTypeProvider<ZodTypeProvider>()

answerParent(
  {
    async open(uri: string) {
      client = await new MongoClient(uri, { maxPoolSize: 20 }).connect()
      const rights = client.db('peer').collection('rights')
      await rights.createIndex({ value: 1 }, { unique: true })
      app.setValidatorCompiler(validatorCompiler)
      app.setSerializerCompiler(serializerCompiler)
      await app.register(fastifyJwt, { secret: 'a secret of the bench, of no use elsewhere' })
      app.post('/rights', { schema: { body: CaptureBatch } }, async (request, reply) => {
        const { sub } = await request.jwtVerify<{ sub: string }>()
        await rights.insertMany(
          request.body.items.map((item) => ({ ...item, recipientId: sub })),
          { ordered: false }
        )
        return reply.code(202).send({ items: request.body.items.length })
      })
      const url = await app.listen({ host: '127.0.0.1', port: 0 })
      return { url: `${url}/rights`, token: app.jwt.sign({ sub: 'somebody' }) }
    }
  },
  async () => {
    await app.close()
    await client?.close()
  }
)
