import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { OperationView } from '../../shared/operation.js'
import { mayUseAccount } from '../platform/auth.js'
import type { Operations } from './operations.js'

/** Watching long work. */
export const operationRoutes: FastifyPluginAsyncZod<{ operations: Operations }> = async (app, { operations }) => {
  app.get(
    '/v1/operations/:id',
    {
      onRequest: app.requireCaller({ scope: 'accounts:read' }),
      schema: { params: z.object({ id: z.string() }), response: { 200: OperationView } }
    },
    async (request) => {
      const { accountId, ...operation } = await operations.get(request.params.id)
      if (accountId !== null) mayUseAccount(request.caller, accountId)
      return operation
    }
  )
}
