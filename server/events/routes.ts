import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { EventVerdicts } from '../../shared/capture.js'
import { EventsPost, EventView } from '../../shared/event.js'
import { Instant } from '../../shared/instant.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { People } from '../people/people.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { InvalidInput } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import type { EventInput, EventRow, Events } from './events.js'
import { resolvePersons } from './resolve.js'

const EventQuery = PageQuery.extend({
  accountId: z.string().max(64).optional(),
  name: z.string().max(100).optional(),
  personId: z.string().max(64).optional(),
  'at[gte]': Instant.optional(),
  'at[lt]': Instant.optional()
})
const EventName = z.object({ name: z.string(), firstAt: Instant, lastAt: Instant })

/** Names that start with a dollar are ours; those of phones and backends start with a letter. */
const NOT_INTERNAL = { $gte: '%' }

const tags = ['events']

/** Backends say what people did, and read it back. */
export const eventRoutes: FastifyPluginAsyncZod<{ events: Events; people: People; accounts: Accounts }> = async (
  app,
  { events, people, accounts }
) => {
  app.post(
    '/v1/events',
    {
      onRequest: app.requireCaller({ scope: 'events:write' }),
      schema: { body: EventsPost, response: { 202: EventVerdicts }, tags }
    },
    async (request, reply) => {
      const { accountId: named, items } = request.body
      const accountId = await accountOf(request.caller, named)
      const whose = await resolvePersons(people, accountId, items, accountsOf(request.caller))
      const inputs = items.flatMap((item, i): EventInput[] => {
        const who = whose[i]!
        return 'refused' in who
          ? []
          : [{ id: item.id, name: item.name, at: item.at, properties: item.properties, ...who }]
      })
      const verdicts = await events.intake({ kind: 'key', id: callerId(request.caller) }, accountId, inputs)
      request.log.info({ accountId, items: items.length, taken: inputs.length }, 'events handed in')
      const taken = verdicts[Symbol.iterator]()
      const answers = items.map(({ id }, i) => {
        const who = whose[i]!
        if ('refused' in who) return { id, verdict: 'refused' as const, reason: who.refused }
        return { id, verdict: taken.next().value!.verdict }
      })
      return reply.code(202).send({ items: answers })
    }
  )

  app.get(
    '/v1/events',
    {
      onRequest: app.requireCaller({ scope: 'events:read' }),
      schema: {
        querystring: EventQuery,
        response: { 200: pageOf(EventView) },
        tags,
        description:
          'What people did, newest first. What WeChat pushed is kept among it for 30 days under names that start with `$push:` (`$push:subscribe`, `$push:templatesendjobfinish`, …); such events are listed only when `name` asks for them.'
      }
    },
    async (request) => {
      const { accountId, name, personId, 'at[gte]': from, 'at[lt]': until } = request.query
      const allowed = accountsOf(request.caller)
      const filter: Record<string, unknown> = {}
      if (accountId !== undefined) filter.accountId = await accountOf(request.caller, accountId)
      else if (allowed !== null) filter.accountId = { $in: allowed }
      filter.name = name ?? NOT_INTERNAL
      if (personId !== undefined) {
        filter.personId = { $in: await people.idsOf(personId) }
      }
      if (from !== undefined || until !== undefined) {
        filter.at = { ...(from !== undefined && { $gte: from }), ...(until !== undefined && { $lt: until }) }
      }
      const order = { sortable: ['at'], defaultSort: '-at' }
      return listPage(events.rows, { filter, query: request.query, ...order }, eventView)
    }
  )

  app.get(
    '/v1/event-names',
    {
      onRequest: app.requireCaller({ scope: 'events:read' }),
      schema: { response: { 200: z.object({ data: z.array(EventName) }) }, tags }
    },
    async () => {
      const found = await events.names.find().sort({ _id: 1 }).limit(1_000).toArray()
      return { data: found.map(({ _id, firstAt, lastAt }) => ({ name: _id, firstAt, lastAt })) }
    }
  )

  /** Our id of the account a caller names. Who is bound to some accounts must name one of them. */
  async function accountOf(caller: Caller, named: string | undefined): Promise<string | null> {
    if (named === undefined) {
      if (accountsOf(caller) === null) return null
      const message = 'this token is bound to accounts: name one'
      throw new InvalidInput(message, { errors: [{ pointer: '/accountId', code: 'events.account-needed', message }] })
    }
    return (await accountFor(accounts, caller, named)).id
  }
}

const callerId = (caller: Caller): string => (caller.kind === 'phone' ? caller.recipientId : caller.id)

function eventView(row: EventRow): z.infer<typeof EventView> {
  const { _id, name, personId, accountId, at, receivedAt } = row
  // A push that is kept whole is sealed: nothing for a reader.
  const { sealed: _sealed, ...open } = row.properties
  const properties = name.startsWith('$') ? open : row.properties
  return { id: _id, name, personId, accountId, at, receivedAt, properties }
}
