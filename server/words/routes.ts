import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { WordListId, WordListPut, WordListView } from '../../shared/words.js'
import { accountsOf } from '../platform/auth.js'
import { NotAllowed } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import type { WordLists } from './words.js'

const params = z.object({ id: WordListId })
const headers = z.object({ 'if-match': z.string().optional() }).loose()
const tags = ['word lists']

/** The words that are looked for in what is sent. Whoever may override them may write them: owners of all accounts. */
export const wordListRoutes: FastifyPluginAsyncZod<{ words: WordLists }> = async (app, { words }) => {
  app.get(
    '/v1/word-lists/:id',
    {
      onRequest: app.requireCaller({ scope: 'campaigns:read' }),
      schema: { params, response: { 200: WordListView }, tags }
    },
    async (request, reply) => {
      const { rev, ...list } = await words.get(request.params.id)
      return reply.header('etag', etagOf(rev)).send(list)
    }
  )
  app.put(
    '/v1/word-lists/:id',
    {
      onRequest: app.requireOperator('owner'),
      bodyLimit: 2 * 2 ** 20,
      schema: { params, headers, body: WordListPut, response: { 200: WordListView }, tags }
    },
    async (request, reply) => {
      const { caller, params, body } = request
      if (accountsOf(caller) !== null) throw new NotAllowed('only an owner of all accounts may write word lists')
      const by = caller.kind === 'operator' ? caller.id : ''
      const { rev, ...list } = await words.put(params.id, body, by, request.headers['if-match'])
      request.log.info({ list: list.id, words: list.words.length }, 'a word list was written')
      return reply.header('etag', etagOf(rev)).send(list)
    }
  )
}
