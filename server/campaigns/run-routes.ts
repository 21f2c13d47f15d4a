import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { RunView } from '../../shared/campaign.js'
import { ResolvePost } from '../../shared/message.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import type { RunRow } from '../messages/runs.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { NotFound } from '../platform/errors.js'
import type { Campaigns } from './campaigns.js'

const Id = z.object({ id: z.string().max(64) })
const RetryPost = z.strictObject({
  states: z.array(z.enum(['failed', 'skipped', 'expired'])).min(1),
  reasons: z.array(z.string().max(64)).min(1).max(50).optional(),
  errcodes: z.array(z.int()).min(1).max(50).optional()
})
const Retried = z.object({ retried: z.int() })
const Resolved = z.object({ resolved: z.int() })
const tags = ['runs']

/** Runs: how far they are, and what an operator may do about what went wrong. */
export const runRoutes: FastifyPluginAsyncZod<{ campaigns: Campaigns }> = async (app, { campaigns }) => {
  const read = app.requireCaller({ scope: 'campaigns:read' })
  const decide = app.requireCaller({ scope: 'campaigns:write', role: 'operator' })

  app.get(
    '/v1/campaigns/:id/runs',
    { onRequest: read, schema: { params: Id, querystring: PageQuery, response: { 200: pageOf(RunView) }, tags } },
    async (request) => {
      const { _id, accountId } = await campaigns.get(request.params.id)
      mayKnow(request.caller, accountId, 'campaign')
      return campaigns.runs.page(_id, request.query)
    }
  )
  app.get(
    '/v1/runs/:id',
    { onRequest: read, schema: { params: Id, response: { 200: RunView }, tags } },
    async (request) => campaigns.runs.view(await mine(request.caller, request.params.id))
  )
  app.post(
    '/v1/runs/:id/retry',
    { onRequest: decide, schema: { params: Id, body: RetryPost, response: { 200: Retried }, tags } },
    async (request) => {
      const run = await mine(request.caller, request.params.id)
      const retried = await campaigns.runs.retry(run._id, request.body)
      request.log.info({ runId: run._id, ...request.body, retried }, 'run: retry')
      return { retried }
    }
  )
  app.post(
    '/v1/runs/:id/resolve-unknown',
    { onRequest: decide, schema: { params: Id, body: ResolvePost, response: { 200: Resolved }, tags } },
    async (request) => {
      const run = await mine(request.caller, request.params.id)
      const resolved = await campaigns.runs.resolveUnknown(run._id, request.body.as)
      request.log.info({ runId: run._id, as: request.body.as, resolved }, 'run: resolve unknown')
      return { resolved }
    }
  )

  async function mine(caller: Caller, id: string): Promise<RunRow> {
    const run = await campaigns.runs.get(id)
    mayKnow(caller, run.accountId, 'run')
    return run
  }
}

/** What belongs to an account the caller may not use does not exist for it. @throws NotFound */
export function mayKnow(caller: Caller, accountId: string, what: 'campaign' | 'run'): void {
  const allowed = accountsOf(caller)
  if (allowed !== null && !allowed.includes(accountId)) {
    throw new NotFound(`no such ${what}`, { code: `${what}s.not-found` })
  }
}
