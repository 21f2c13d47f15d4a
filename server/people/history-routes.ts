import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { pageOf, PageQuery } from '../../shared/page.js'
import { PersonExport } from '../../shared/person-export.js'
import { SuppressionView } from '../../shared/person.js'
import { GateView, TimelineEntry, TimelineQuery, WhyNotQuery } from '../../shared/timeline.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import { accountsOf, mayIdentify, mayUseAccount, type Caller } from '../platform/auth.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import type { RecipientRow } from './model.js'
import type { PersonExporter } from './export.js'
import { knows, type People, type Person } from './people.js'
import { SUPPRESSED } from './reach.js'
import type { Timeline } from './timeline.js'
import type { WhyNot, Wish } from './why-not.js'

const params = z.object({ id: z.string().max(300) })

type Parts = {
  people: People
  accounts: Accounts
  campaigns: Pick<Campaigns, 'get'>
  timeline: Timeline
  whyNot: WhyNot
  exporter: PersonExporter
}

/** What happened to somebody, why they get no message, and whom nothing can be sent to. */
export const historyRoutes: FastifyPluginAsyncZod<Parts> = async (
  app,
  { people, accounts, campaigns, timeline, whyNot, exporter }
) => {
  const read = app.requireCaller({ scope: 'people:read' })
  const write = app.requireCaller({ scope: 'people:write' })

  async function personFor(caller: Caller, id: string): Promise<Person> {
    const person = await people.person(id)
    if (!knows(accountsOf(caller), person)) throw new NotFound('there is no such person')
    return person
  }

  app.get(
    '/v1/people/:id/timeline',
    {
      onRequest: read,
      schema: { params, querystring: TimelineQuery, response: { 200: pageOf(TimelineEntry) } }
    },
    async (request) => {
      const { caller, query } = request
      const person = await personFor(caller, request.params.id)
      const { data, page } = await timeline.page(person, accountsOf(caller), query)
      if (!mayIdentify(caller)) return { data, page }
      const openIds = await people.openIds(data.flatMap(({ recipientId }) => recipientId ?? []))
      const shown = data.map((entry) => {
        const openId = openIds.get(entry.recipientId ?? '')
        return openId === undefined ? entry : { ...entry, openId }
      })
      return { data: shown, page }
    }
  )

  app.get(
    '/v1/people/:id/export',
    {
      onRequest: app.requireCaller({ scope: 'people:read', role: 'operator' }),
      schema: {
        params,
        response: { 200: PersonExport },
        description:
          'All that is kept of one person, for who asks for their data: who they are, their opt-outs, what was said to ' +
          'them, what they did. Openids and unionid only for keys with the scope `recipients:identify`.'
      }
    },
    async (request, reply) => {
      const person = await personFor(request.caller, request.params.id)
      request.log.info({ personId: person.id }, 'a person was exported')
      const file = `person-${person.id}.json`
      return reply
        .header('content-disposition', `attachment; filename="${file}"`)
        .header('cache-control', 'no-store')
        .send(await exporter.of(person, accountsOf(request.caller), mayIdentify(request.caller)))
    }
  )

  app.get(
    '/v1/people/:id/why-not',
    {
      onRequest: read,
      schema: {
        params,
        querystring: WhyNotQuery,
        response: { 200: z.array(GateView) },
        description:
          'Every gate a message to this person would have to pass now, in the sender’s order: of a campaign, or of a template of an account (`lane` and `topic` as the message would have them).'
      }
    },
    async (request) => {
      const { caller, query } = request
      const person = await personFor(caller, request.params.id)
      return whyNot.ask(person, await wishOf(caller, query))
    }
  )

  async function wishOf(caller: Caller, query: z.output<typeof WhyNotQuery>): Promise<Wish> {
    const { campaignId, accountId, templateId, lane, topic } = query
    const byTemplate = accountId !== undefined && templateId !== undefined
    if ((campaignId !== undefined) === byTemplate || (accountId === undefined) !== (templateId === undefined)) {
      const message = 'give campaignId, or accountId and templateId'
      throw new InvalidInput(message, { errors: [{ pointer: '', code: 'people.why-not', message }] })
    }
    if (byTemplate) {
      const account = await accountFor(accounts, caller, accountId)
      return { account, templateId, lane, topic: topic ?? null, campaign: null }
    }
    const campaign = await campaigns.get(campaignId!)
    const allowed = accountsOf(caller)
    if (allowed !== null && !allowed.includes(campaign.accountId)) {
      throw new NotFound('no such campaign', { code: 'campaigns.not-found' })
    }
    const account = await accounts.get(campaign.accountId)
    return { account, templateId: campaign.templateId, lane: campaign.lane, topic: campaign.topic ?? null, campaign }
  }

  app.get(
    '/v1/suppressions',
    {
      onRequest: read,
      schema: {
        querystring: PageQuery.extend({
          accountId: z.string().optional(),
          personId: z.string().optional(),
          reason: z.enum(['blocked', 'unfollowed']).optional()
        }),
        response: { 200: pageOf(SuppressionView) },
        description: 'Whom nothing can be sent to, because they refused the account or left it; the latest first.'
      }
    },
    async (request) => {
      const { caller, query } = request
      const allowed = accountsOf(caller)
      const filter: Record<string, unknown> = { ...SUPPRESSED }
      if (query.accountId !== undefined) filter.accountId = (await accountFor(accounts, caller, query.accountId)).id
      else if (allowed !== null) filter.accountId = { $in: allowed }
      if (query.personId !== undefined) {
        const { id, was } = await personFor(caller, query.personId)
        filter.personId = { $in: [id, ...was] }
      }
      if (query.reason !== undefined) filter.reach = query.reason
      const order = { sortable: ['reachAt'], defaultSort: '-reachAt' }
      const { data, page } = await listPage<RecipientRow, RecipientRow>(
        people.models.recipients,
        { filter, query, ...order },
        (row) => row
      )
      const ids = data.map(({ _id }) => _id)
      const [persons, openIds] = await Promise.all([
        people.personIdsOf(ids),
        mayIdentify(caller) ? people.openIds(ids) : new Map<string, string>()
      ])
      return {
        data: data.map(({ _id, accountId, personId, reach, reachAt }) => ({
          id: _id,
          accountId,
          personId: persons.get(_id) ?? personId,
          reason: reach as SuppressionView['reason'],
          since: reachAt,
          ...(openIds.has(_id) && { openId: openIds.get(_id)! })
        })),
        page
      }
    }
  )

  app.delete(
    '/v1/suppressions/:id',
    { onRequest: write, schema: { params, response: { 204: z.null() } } },
    async (request, reply) => {
      const { _id, accountId, reach } = await people.suppressed(request.params.id)
      mayUseAccount(request.caller, accountId)
      await people.lift(_id)
      request.log.info({ recipientId: _id, accountId, reach }, 'a suppression was lifted')
      return reply.code(204).send(null)
    }
  )
}
