import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { pageOf, PageQuery } from '../../shared/page.js'
import { Identify, OptOutCreate, OptOutView, PersonLookup, PersonPatch, PersonView } from '../../shared/person.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf, mayIdentify, type Caller } from '../platform/auth.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import { LIVE_PERSON, type OptOutRow, type PersonRow } from './model.js'
import { knows, personView, type People, type Person } from './people.js'

const params = z.object({ id: z.string().max(300) })
const optOutView = ({ _id, ...row }: OptOutRow): OptOutView => ({ id: _id, ...row })

/** People: who they are, what is known of them, what they want nothing of. */
export const peopleRoutes: FastifyPluginAsyncZod<{ people: People; accounts: Accounts }> = async (
  app,
  { people, accounts }
) => {
  const read = app.requireCaller({ scope: 'people:read' })
  const write = app.requireCaller({ scope: 'people:write' })

  /** Persons as this caller may see them; a caller bound to some accounts sees who they are to those. */
  async function shown(caller: Caller, persons: Person[]): Promise<z.output<typeof PersonView>[]> {
    const allowed = accountsOf(caller)
    const found = await people.allRecipientsOf(persons.map(({ id }) => id))
    const recipients = [...found.values()].flat()
    const openIds = mayIdentify(caller) ? await people.openIds(recipients.map(({ id }) => id)) : null
    return persons.map((person) => ({
      id: person.id,
      externalId: person.externalId,
      attributes: person.attributes,
      tags: person.tags,
      optedOut: person.optedOut,
      recipients: (found.get(person.id) ?? [])
        .filter(({ accountId }) => allowed === null || allowed.includes(accountId))
        .map(({ id, accountId, reach, follower }) => ({
          id,
          accountId,
          ...(openIds?.has(id) && { openId: openIds.get(id)! }),
          reach,
          follower
        })),
      createdAt: person.createdAt
    }))
  }

  const one = async (caller: Caller, person: Person) => (await shown(caller, [person]))[0]!

  /** Somebody only other accounts know does not exist for this caller. @throws NotFound */
  function mayKnow(caller: Caller, person: Person): Person {
    if (!knows(accountsOf(caller), person)) throw new NotFound('there is no such person')
    return person
  }

  const accountId = async (caller: Caller, idOrAppId: string) => (await accountFor(accounts, caller, idOrAppId)).id

  app.post(
    '/v1/people/identify',
    { onRequest: write, schema: { body: Identify, response: { 200: PersonView } } },
    async (request) => {
      const { caller, body } = request
      const account = body.accountId === undefined ? undefined : await accountId(caller, body.accountId)
      for (const key of ['unionId', 'externalId'] as const) {
        const named = body[key] === undefined ? null : await people.find({ [key]: body[key] })
        if (named !== null) mayKnow(caller, named)
      }
      return one(caller, await people.identify({ ...body, ...(account !== undefined && { accountId: account }) }))
    }
  )

  app.get(
    '/v1/people',
    {
      onRequest: read,
      schema: {
        querystring: PageQuery.extend({ externalId: z.string().optional(), accountId: z.string().optional() }),
        response: { 200: pageOf(PersonView) }
      }
    },
    async (request) => {
      const { query, caller } = request
      const allowed = accountsOf(caller)
      const filter: Record<string, unknown> = { ...LIVE_PERSON }
      if (query.accountId !== undefined) filter.accountIds = await accountId(caller, query.accountId)
      else if (allowed !== null) filter.$or = [{ accountIds: { $in: allowed } }, { accountIds: [] }]
      if (query.externalId !== undefined) {
        const found = await people.find({ externalId: query.externalId })
        filter._id = found?.id ?? ''
      }
      const { data, page } = await listPage<PersonRow, Person>(
        people.models.people,
        { filter, query, sortable: ['createdAt'], defaultSort: '-createdAt' },
        personView
      )
      return { data: await shown(caller, data), page }
    }
  )

  app.get('/v1/people/:id', { onRequest: read, schema: { params, response: { 200: PersonView } } }, async (request) =>
    one(request.caller, mayKnow(request.caller, await people.person(request.params.id)))
  )

  app.patch(
    '/v1/people/:id',
    { onRequest: write, schema: { params, body: PersonPatch, response: { 200: PersonView } } },
    async (request) => {
      mayKnow(request.caller, await people.person(request.params.id))
      return one(request.caller, await people.patch(request.params.id, request.body))
    }
  )

  app.delete(
    '/v1/people/:id',
    { onRequest: write, schema: { params, response: { 204: z.null() } } },
    async (request, reply) => {
      const { id } = mayKnow(request.caller, await people.person(request.params.id))
      await people.erase(id)
      request.log.info({ personId: id }, 'a person was erased')
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/v1/people/lookup',
    { onRequest: read, schema: { body: PersonLookup, response: { 200: PersonView } } },
    async (request) => {
      const { caller, body } = request
      const { accountId: given, ...ids } = body
      const named = Object.keys(ids)
      if (named.length !== 1) {
        const message = 'exactly one of openId, unionId, externalId'
        throw new InvalidInput(message, { errors: [{ pointer: '', code: 'people.one-id', message }] })
      }
      const account = given === undefined ? undefined : await accountId(caller, given)
      const person = await people.find(ids, account)
      if (person === null) throw new NotFound('there is no such person')
      return one(caller, mayKnow(caller, person))
    }
  )

  app.get(
    '/v1/opt-outs',
    {
      onRequest: read,
      schema: {
        querystring: PageQuery.extend({ personId: z.string().optional() }),
        response: { 200: pageOf(OptOutView) }
      }
    },
    async (request) => {
      const { query, caller } = request
      const filter: Record<string, unknown> = {}
      if (query.personId !== undefined) filter.personId = mayKnow(caller, await people.person(query.personId)).id
      // Opt-outs belong to people, who are known to many accounts: who may see only some names the person.
      else if (accountsOf(caller) !== null) {
        const message = 'name a personId: this caller may not see everybody'
        throw new InvalidInput(message, { errors: [{ pointer: '/personId', code: 'people.person-needed', message }] })
      }
      return listPage<OptOutRow, OptOutView>(
        people.models.optOuts,
        { filter, query, sortable: ['createdAt'], defaultSort: '-createdAt' },
        optOutView
      )
    }
  )

  app.post(
    '/v1/opt-outs',
    { onRequest: write, config: { idempotent: true }, schema: { body: OptOutCreate, response: { 201: OptOutView } } },
    async (request, reply) => {
      const { personId, topic } = request.body
      const { id } = mayKnow(request.caller, await people.person(personId))
      const { kind } = request.caller
      const by = kind === 'phone' ? kind : `${kind}:${request.caller.id}`
      return reply.code(201).send(optOutView(await people.optOut(id, topic ?? null, by)))
    }
  )

  app.delete(
    '/v1/opt-outs/:id',
    { onRequest: write, schema: { params, response: { 204: z.null() } } },
    async (request, reply) => {
      const record = await people.models.optOuts.findOne({ _id: request.params.id })
      if (record === null) throw new NotFound('there is no such opt-out')
      mayKnow(request.caller, await people.person(record.personId))
      await people.removeOptOut(record._id)
      return reply.code(204).send(null)
    }
  )
}
