import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AlertKind, AlertState, AlertView } from '../../shared/alert.js'
import { PageQuery, pageOf, wordList } from '../../shared/page.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf } from '../platform/auth.js'
import { languageOf } from '../platform/language.js'
import type { Alerts } from './alerts.js'

const querystring = PageQuery.extend({
  accountId: z.string().optional(),
  state: wordList(AlertState.options).optional(),
  kind: wordList(AlertKind.options).optional()
})

/** What is wrong now, and what was. */
export const alertRoutes: FastifyPluginAsyncZod<{ alerts: Alerts; accounts: Pick<Accounts, 'get'> }> = async (
  app,
  { alerts, accounts }
) => {
  app.get(
    '/v1/alerts',
    {
      onRequest: app.requireCaller({ scope: 'alerts:read' }),
      schema: {
        description: 'Newest first; `state=open` is what is wrong now. Titles come in the language of Accept-Language.',
        querystring,
        response: { 200: pageOf(AlertView) }
      }
    },
    async (request) => {
      const { accountId, state, kind } = request.query
      const accountIds =
        accountId === undefined
          ? accountsOf(request.caller)
          : [(await accountFor(accounts, request.caller, accountId)).id]
      const language = languageOf(request.headers['accept-language'])
      return alerts.page({ state, kind, accountIds }, request.query, language)
    }
  )
}
