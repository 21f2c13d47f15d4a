import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PageQuery, pageOf } from '../../shared/page.js'
import { SettingsPatch, SettingsView } from '../../shared/settings.js'
import { DeliveryView } from '../../shared/webhook.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { InvalidInput, NotAllowed, NotFound } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import type { Page } from '../platform/page.js'
import { settingsView, type SettingsRoom } from './settings.js'

const params = z.object({ id: z.string().max(64) })
const headers = z.object({ 'if-match': z.string().optional() }).loose()

/** Settings of the whole installation. */
export const settingsRoutes: FastifyPluginAsyncZod<{
  settings: SettingsRoom
  accounts: Pick<Accounts, 'get'>
  /** Told when they changed in this process. */
  changed: () => void
  /** Sends a target something that means nothing. @throws NotFound */
  tryTarget: (id: string) => Promise<DeliveryView>
  /** What became of what it was sent. */
  deliveries: (id: string, query: PageQuery) => Promise<Page<DeliveryView>>
}> = async (app, { settings, accounts, changed, tryTarget, deliveries }) => {
  /** They are every account's. */
  function mustHaveAll(caller: Caller): void {
    if (accountsOf(caller) !== null) throw new NotAllowed('only callers of all accounts may do that')
  }

  /** Accounts of a target as our ids. @throws InvalidInput naming the one nobody has */
  async function known(given: string[], target: number): Promise<string[]> {
    return Promise.all(
      given.map(async (name, index) => {
        try {
          return (await accounts.get(name)).id
        } catch (error) {
          if (!(error instanceof NotFound)) throw error
          const message = `there is no account ${name}`
          const pointer = `/alerts/targets/${target}/accountIds/${index}`
          throw new InvalidInput(message, { errors: [{ pointer, code: 'accounts.not-found', message }] })
        }
      })
    )
  }

  app.get(
    '/v1/settings',
    {
      onRequest: app.requireCaller({ scope: 'settings:read' }),
      schema: { description: 'Settings of the installation.', response: { 200: SettingsView } }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      const seen = await settings.fresh()
      return reply.header('etag', etagOf(seen.rev)).send(settingsView(seen))
    }
  )

  app.patch(
    '/v1/settings',
    {
      onRequest: app.requireCaller({ scope: 'settings:write', role: 'operator' }),
      schema: {
        description: 'Merges field by field; null takes a group back to its defaults. `targets` is the whole list.',
        headers,
        body: SettingsPatch,
        response: { 200: SettingsView }
      }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      const { alerts } = request.body
      const targets =
        alerts?.targets === undefined
          ? undefined
          : await Promise.all(
              alerts.targets.map(async (target, index) => ({
                ...target,
                accountIds: target.accountIds === null ? null : await known(target.accountIds, index)
              }))
            )
      const body = alerts === undefined ? {} : { alerts: { ...alerts, ...(targets && { targets }) } }
      const after = await settings.patch(body, request.headers['if-match'])
      changed()
      request.log.info({ rev: after.rev }, 'settings were changed')
      return reply.header('etag', etagOf(after.rev)).send(settingsView(after))
    }
  )

  app.post(
    '/v1/settings/alert-targets/:id/test',
    {
      onRequest: app.requireCaller({ scope: 'settings:write', role: 'operator' }),
      schema: {
        description: 'Sends a test message there, once and at once, and tells how it went.',
        params,
        response: { 200: DeliveryView }
      }
    },
    async (request) => {
      mustHaveAll(request.caller)
      return tryTarget(request.params.id)
    }
  )
  app.get(
    '/v1/settings/alert-targets/:id/deliveries',
    {
      onRequest: app.requireCaller({ scope: 'settings:read' }),
      schema: { params, querystring: PageQuery, response: { 200: pageOf(DeliveryView) } }
    },
    async (request) => {
      mustHaveAll(request.caller)
      await settings.target(request.params.id)
      return deliveries(request.params.id, request.query)
    }
  )
}
