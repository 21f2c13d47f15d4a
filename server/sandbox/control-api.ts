import { z } from 'zod'
import { ControlError } from './apps.js'
import * as Shape from './control-shapes.js'
import type { Controls } from './controls.js'
import { phoneRoutes } from './phone/routes.js'
import type { Wechat } from './wechat.js'

/** One call of the control API; `many` ones take an array too and then answer an array in the same order. Body and query come as one. */
export interface ControlRoute {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  summary: string
  body?: z.ZodType
  query?: z.ZodType
  many?: boolean
  run(input: any): unknown
}

/** The calls under `/sandbox/`, each one verb of the controls. */
export function createControlRoutes(controls: Controls, wechat: Wechat): ControlRoute[] {
  return [
    { method: 'GET', path: '/sandbox/apps', summary: 'All apps with their templates', run: () => controls.apps() },
    {
      method: 'POST',
      path: '/sandbox/apps',
      summary: 'Create an app, or replace the settings of a known one',
      body: Shape.AppInput,
      many: true,
      run: controls.putApp
    },
    {
      method: 'POST',
      path: '/sandbox/users',
      summary: 'Make people with an openid in each of the apps',
      body: Shape.UsersInput,
      run: controls.addUsers
    },
    {
      method: 'POST',
      path: '/sandbox/codes',
      summary: 'What wx.login gives: a code',
      body: Shape.CodeInput,
      many: true,
      run: controls.mintCode
    },
    {
      method: 'POST',
      path: '/sandbox/formids',
      summary: 'What submitting a form gives: formIds',
      body: Shape.FormIdInput,
      many: true,
      run: controls.mintFormIds
    },
    {
      method: 'POST',
      path: '/sandbox/orders',
      summary: 'What placing an order gives: a prepay_id, unpaid',
      body: Shape.OrderInput,
      many: true,
      run: controls.order
    },
    {
      method: 'POST',
      path: '/sandbox/orders/pay',
      summary: 'Pay an order; its prepay_id works after the sync delay',
      body: Shape.PayInput,
      many: true,
      run: controls.pay
    },
    {
      method: 'POST',
      path: '/sandbox/grants',
      summary: 'A choice in the subscribe popup',
      body: Shape.GrantInput,
      many: true,
      run: controls.grant
    },
    {
      method: 'POST',
      path: '/sandbox/withdraw',
      summary: 'A subscription withdrawn',
      body: Shape.WithdrawInput,
      many: true,
      run: controls.withdraw
    },
    {
      method: 'POST',
      path: '/sandbox/followers',
      summary: 'Users follow or leave a service account',
      body: Shape.FollowersInput,
      run: controls.setFollowers
    },
    {
      method: 'POST',
      path: '/sandbox/blocks',
      summary: 'Users stop messages of an app',
      body: Shape.BlockInput,
      run: controls.block
    },
    {
      method: 'POST',
      path: '/sandbox/interactions',
      summary: 'Someone writes, taps a menu, scans a QR code',
      body: Shape.InteractionInput,
      many: true,
      run: controls.interact
    },
    {
      method: 'POST',
      path: '/sandbox/once',
      summary: 'The answer to a one-time subscription page',
      body: Shape.OnceInput,
      many: true,
      run: controls.confirmOnce
    },
    {
      method: 'POST',
      path: '/sandbox/formids/block',
      summary: 'Block formIds (41031)',
      body: Shape.BlockFormIdsInput,
      run: controls.blockFormIds
    },
    {
      method: 'GET',
      path: '/sandbox/platforms',
      summary: 'Third-party platforms with what was authorised to them',
      run: () => controls.platforms()
    },
    {
      method: 'POST',
      path: '/sandbox/platforms',
      summary: 'Create a third-party platform, or replace the settings of a known one',
      body: Shape.PlatformInput,
      many: true,
      run: controls.putPlatform
    },
    {
      method: 'POST',
      path: '/sandbox/platforms/ticket',
      summary: 'Push a component_verify_ticket now',
      body: Shape.AppidInput,
      run: ({ appid }) => controls.pushTicket(appid)
    },
    {
      method: 'POST',
      path: '/sandbox/authorizations',
      summary: 'An administrator authorises a platform, or changes the permission sets',
      body: Shape.AuthorizationInput,
      many: true,
      run: controls.authorize
    },
    {
      method: 'POST',
      path: '/sandbox/authorizations/cancel',
      summary: 'An administrator takes an authorisation back',
      body: Shape.UnauthorizationInput,
      run: controls.unauthorize
    },
    {
      method: 'GET',
      path: '/sandbox/rules',
      summary: 'Fault rules, with how often each was seen and fired',
      run: () => controls.rules()
    },
    {
      method: 'POST',
      path: '/sandbox/rules',
      summary: 'Make calls fail by rule',
      body: Shape.RuleInput,
      many: true,
      run: controls.addRule
    },
    {
      method: 'DELETE',
      path: '/sandbox/rules',
      summary: 'Remove the rule ?id=, or all',
      query: Shape.RuleQuery,
      run: ({ id }) => controls.removeRules(id)
    },
    { method: 'GET', path: '/sandbox/clock', summary: 'The time of the sandbox', run: () => controls.clock() },
    {
      method: 'POST',
      path: '/sandbox/clock',
      summary: 'Move the time',
      body: Shape.ClockInput,
      run: controls.setClock
    },
    {
      method: 'POST',
      path: '/sandbox/latency',
      summary: 'How long answers take',
      body: Shape.LatencyInput,
      run: controls.setLatency
    },
    {
      method: 'POST',
      path: '/sandbox/tokens/void',
      summary: 'Kill all living tokens of an app',
      body: Shape.AppidInput,
      run: ({ appid }) => controls.voidTokens(appid)
    },
    {
      method: 'POST',
      path: '/sandbox/quotas',
      summary: 'Set a daily limit or what is used of it',
      body: Shape.QuotaInput,
      many: true,
      run: controls.setQuota
    },
    {
      method: 'POST',
      path: '/sandbox/templates',
      summary: 'Disable an own template, or lift that',
      body: Shape.TemplateInput,
      run: controls.setTemplate
    },
    {
      method: 'GET',
      path: '/sandbox/settings',
      summary: 'What the facts leave open, as switches',
      run: () => controls.setSettings({})
    },
    {
      method: 'POST',
      path: '/sandbox/settings',
      summary: 'Change some settings',
      body: Shape.SettingsInput,
      run: controls.setSettings
    },
    {
      method: 'GET',
      path: '/sandbox/ledger',
      summary: 'Accepted messages, oldest first',
      query: Shape.LedgerQuery,
      run: controls.ledger
    },
    {
      method: 'GET',
      path: '/sandbox/ledger/summary',
      summary: 'Sums: accepted, errors by code, calls by path, worst second',
      run: () => controls.summary()
    },
    {
      method: 'GET',
      path: '/sandbox/ledger/histogram',
      summary: 'Calls and accepted messages per second',
      run: () => controls.histogram()
    },
    {
      method: 'GET',
      path: '/sandbox/credentials',
      summary: 'What can still be sent, and what cannot and why',
      query: Shape.CredentialsQuery,
      run: controls.credentials
    },
    {
      method: 'GET',
      path: '/sandbox/pushes',
      summary: 'Events pushed, with their attempts',
      query: Shape.PushesQuery,
      run: controls.pushes
    },
    {
      method: 'GET',
      path: '/sandbox/requests',
      summary: 'The newest calls, newest first',
      query: Shape.RequestsQuery,
      run: wechat.requests
    },
    ...phoneRoutes(controls),
    {
      method: 'POST',
      path: '/sandbox/reset',
      summary: 'Back to the start',
      body: Shape.ResetInput,
      run: controls.reset
    }
  ]
}

/** What the control API answers: a status and a JSON value. */
export interface ControlAnswer {
  status: number
  body: unknown
}

/** Runs one control call. Errors are `{ error, issues? }` with 400 (not JSON), 404, 405, 409 or 422. */
export async function answerControl(
  routes: readonly ControlRoute[],
  method: string,
  path: string,
  query: string,
  text: string
): Promise<ControlAnswer> {
  const here = routes.filter((route) => route.path === path)
  if (here.length === 0) return { status: 404, body: { error: `no control call ${path}; see /sandbox/openapi.json` } }
  const route = here.find((one) => one.method === method)
  if (route === undefined)
    return { status: 405, body: { error: `${path} takes ${here.map((one) => one.method).join(' or ')}` } }
  let raw: unknown = {}
  if (route.body !== undefined && text.trim() !== '') {
    try {
      raw = JSON.parse(text)
    } catch {
      return { status: 400, body: { error: 'the body is not JSON' } }
    }
  }
  try {
    if (route.many && Array.isArray(raw)) {
      // all are checked before the first is done, so that a bad item leaves nothing half made
      const inputs = z.array(route.body!).parse(raw)
      return { status: 200, body: inputs.map((input) => route.run(input)) }
    }
    const asked: unknown = route.query?.parse(Object.fromEntries(new URLSearchParams(query)))
    const given: unknown = route.body?.parse(raw)
    return { status: 200, body: await route.run(Object.assign({}, asked, given)) }
  } catch (error) {
    if (error instanceof ControlError) return { status: error.status, body: { error: error.message } }
    if (error instanceof z.ZodError)
      return {
        status: 422,
        body: {
          error: 'the request does not fit',
          issues: error.issues.map(({ path, message }) => ({ pointer: `/${path.join('/')}`, message }))
        }
      }
    throw error
  }
}

/** The OpenAPI document of the control API. */
export function controlDocument(routes: readonly ControlRoute[], url: string) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const operation: Record<string, unknown> = {
      summary: route.summary,
      responses: {
        200: { description: 'done', content: { 'application/json': {} } },
        422: { description: 'the request does not fit' }
      }
    }
    if (route.body !== undefined) {
      const schema = z.toJSONSchema(route.body, { io: 'input', unrepresentable: 'any' })
      delete schema.$schema
      const content = {
        'application/json': { schema: route.many ? { anyOf: [schema, { type: 'array', items: schema }] } : schema }
      }
      operation.requestBody = { content }
    }
    if (route.query !== undefined) {
      const { properties = {}, required = [] } = z.toJSONSchema(route.query, { io: 'input', unrepresentable: 'any' })
      operation.parameters = Object.entries(properties).map(([name, schema]) => ({
        name,
        in: 'query',
        required: required.includes(name),
        schema
      }))
    }
    ;(paths[route.path] ??= {})[route.method.toLowerCase()] = operation
  }
  return { openapi: '3.1.0', info: { title: 'Hongyan sandbox control API', version: '1' }, servers: [{ url }], paths }
}
