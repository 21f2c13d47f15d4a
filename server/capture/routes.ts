import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import {
  CaptureBatch,
  CaptureEvents,
  CaptureOpens,
  CapturePreferences,
  CaptureSession,
  CaptureSessionMint,
  CaptureSessionPost,
  CaptureStatus,
  CaptureTester,
  EventVerdicts
} from '../../shared/capture.js'
import { Verdicts } from '../../shared/credential.js'
import { z } from 'zod'
import type { Capture } from './capture.js'

const tags = ['phones']

/** What phones call. A 202 lets them empty their outbox item by item. */
export const captureRoutes: FastifyPluginAsyncZod<{ capture: Capture; accounts: Accounts }> = async (
  app,
  { capture, accounts }
) => {
  app.post(
    '/v1/capture/session',
    { config: { public: true }, schema: { body: CaptureSessionPost, response: { 200: CaptureSession }, tags } },
    async (request) => capture.session(request.body.appId, request.body.code)
  )

  app.post(
    '/v1/capture/sessions',
    {
      onRequest: app.requireCaller({ scope: 'capture:mint' }),
      schema: { body: CaptureSessionMint, response: { 200: CaptureSession }, tags }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.body.accountId)
      return capture.mint(account, request.body.openId)
    }
  )

  app.post(
    '/v1/capture/credentials',
    { onRequest: app.requirePhone, schema: { body: CaptureBatch, response: { 202: Verdicts }, tags } },
    async (request, reply) => {
      const items = await capture.keep(request.phone, request.body)
      request.log.info({ accountId: request.phone.accountId, items: items.length }, 'rights handed in')
      return reply.code(202).send({ items })
    }
  )

  app.post(
    '/v1/capture/events',
    { onRequest: app.requirePhone, schema: { body: CaptureEvents, response: { 202: EventVerdicts }, tags } },
    async (request, reply) => reply.code(202).send({ items: await capture.events(request.phone, request.body) })
  )

  app.post(
    '/v1/capture/opens',
    { onRequest: app.requirePhone, schema: { body: CaptureOpens, response: { 202: z.object({}) }, tags } },
    async (request, reply) => {
      await capture.opens(request.phone, request.body)
      return reply.code(202).send({})
    }
  )

  app.post(
    '/v1/capture/testers',
    { onRequest: app.requirePhone, schema: { body: CaptureTester, response: { 200: z.object({}) }, tags } },
    async (request) => {
      await capture.tester(request.phone, request.body.code)
      return {}
    }
  )

  app.get(
    '/v1/capture/status',
    { onRequest: app.requirePhone, schema: { response: { 200: CaptureStatus }, tags } },
    async (request) => capture.status(request.phone)
  )

  app.put(
    '/v1/capture/preferences',
    { onRequest: app.requirePhone, schema: { body: CapturePreferences, response: { 200: CaptureStatus }, tags } },
    async (request) => capture.preferences(request.phone, request.body)
  )
}
