import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Zone } from '../../shared/instant.js'
import { wordList } from '../../shared/page.js'
import {
  CampaignFunnel,
  DashboardSummary,
  Funnel,
  Metric,
  MetricSeries,
  Series,
  SeriesQuery,
  SystemView
} from '../../shared/report.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import { mayKnow } from '../campaigns/run-routes.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { NotAllowed } from '../platform/errors.js'
import type { Reports } from './reports.js'
import { accountIdsFor } from './whose.js'

const Id = z.object({ id: z.string().max(64) })
const SummaryQuery = z.object({ accountId: z.string().max(64).optional(), zone: Zone.default('Asia/Shanghai') })
const DashboardQuery = SeriesQuery.extend({
  accountId: z.string().max(64).optional(),
  metric: wordList(Metric.options).default(['accepted'])
})
const tags = ['reports']

/** Reports: how campaigns, runs and accounts are doing, over time and now. */
export const reportRoutes: FastifyPluginAsyncZod<{
  reports: Reports
  campaigns: Campaigns
  accounts: Pick<Accounts, 'get' | 'list'>
  system: () => Promise<z.output<typeof SystemView>>
}> = async (app, { reports, campaigns, accounts, system }) => {
  const ofCampaigns = app.requireCaller({ scope: 'campaigns:read' })
  const ofMessages = app.requireCaller({ scope: 'messages:read' })

  app.get(
    '/v1/campaigns/:id/series',
    {
      onRequest: ofCampaigns,
      schema: { params: Id, querystring: SeriesQuery, response: { 200: Series }, tags }
    },
    async (request) => reports.ofCampaign(await campaign(request.caller, request.params.id), request.query)
  )
  app.get(
    '/v1/campaigns/:id/funnel',
    { onRequest: ofCampaigns, schema: { params: Id, response: { 200: CampaignFunnel }, tags } },
    async (request) => reports.funnel(await campaign(request.caller, request.params.id))
  )
  app.get(
    '/v1/runs/:id/series',
    {
      onRequest: ofCampaigns,
      schema: { params: Id, querystring: SeriesQuery, response: { 200: Series }, tags }
    },
    async (request) => reports.ofRun(await run(request.caller, request.params.id), request.query)
  )
  app.get(
    '/v1/runs/:id/funnel',
    { onRequest: ofCampaigns, schema: { params: Id, response: { 200: Funnel }, tags } },
    async (request) => (await campaigns.runs.view(await run(request.caller, request.params.id))).funnel
  )
  app.get(
    '/v1/dashboard/summary',
    { onRequest: ofMessages, schema: { querystring: SummaryQuery, response: { 200: DashboardSummary }, tags } },
    async (request) =>
      reports.summary(await accountIdsFor(accounts, request.caller, request.query.accountId), request.query.zone)
  )
  app.get(
    '/v1/dashboard/series',
    { onRequest: ofMessages, schema: { querystring: DashboardQuery, response: { 200: MetricSeries }, tags } },
    async (request) => {
      const { accountId, metric, ...query } = request.query
      return reports.series(await accountIdsFor(accounts, request.caller, accountId), metric, query)
    }
  )

  app.get(
    '/v1/system',
    {
      onRequest: app.requireCaller({ scope: 'settings:read' }),
      schema: {
        description: 'How the installation is: versions, what the store holds and for how long, and what is odd.',
        response: { 200: SystemView },
        tags
      }
    },
    async (request) => {
      if (accountsOf(request.caller) !== null) throw new NotAllowed('only callers of all accounts may see that')
      return system()
    }
  )

  async function campaign(caller: Caller, id: string) {
    const found = await campaigns.get(id)
    mayKnow(caller, found.accountId, 'campaign')
    return found
  }

  async function run(caller: Caller, id: string) {
    const found = await campaigns.runs.get(id)
    mayKnow(caller, found.accountId, 'run')
    return found
  }
}
