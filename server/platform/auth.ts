import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestAsyncHookHandler, RouteOptions } from 'fastify'
import { fastifyPlugin } from 'fastify-plugin'
import type { Role, Scope } from '../../shared/operator.js'
import { NotAllowed, NotAuthenticated, NotFound } from './errors.js'
import { rateHeaders, TooManyRequests, type Counted, type RateLimiter } from './rate-limits.js'
import type { PhoneBearer, Tokens } from './tokens.js'

/** A person at the console or with a login token. `accountIds: null` = every account. */
export type OperatorCaller = { kind: 'operator'; id: string; role: Role; accountIds: string[] | null }
/** A program with an API key; `id` is the key's. */
export type MachineCaller = { kind: 'machine'; id: string; scopes: Set<string>; accountIds: string[] | null }
/** A phone, bound to one account and one recipient of it. */
export type PhoneCaller = PhoneBearer
export type Caller = OperatorCaller | MachineCaller | PhoneCaller

/** What a route asks of its caller: a machine with `scope`, or an operator of at least `role`. */
export type CallerNeed = { scope: Scope; role?: Role }

/** Where callers are looked up; the operators room. Both answer null for what does not, or no longer, exist. */
export type Callers = {
  /** `sessions`: as the token says; null also when the operator's logins were all ended since. */
  operator(id: string, sessions: number): Promise<OperatorCaller | null>
  machine(key: string): Promise<MachineCaller | null>
}

/** Who may call a route, as its hook says; read by the document and by the test that walks all routes. */
export type Guard = { phone: true } | { scope: Scope; role: Role } | { role: Role }

declare module 'fastify' {
  interface FastifyInstance {
    /** For phones only; sets `request.phone` as well. */
    requirePhone: onRequestAsyncHookHandler
    /** For machines with the scope and operators of the role (default: viewer for `…:read`, else editor). */
    requireCaller(need: CallerNeed): onRequestAsyncHookHandler
    requireOperator(role: Role): onRequestAsyncHookHandler
  }
  interface FastifyRequest {
    /** Set by the require… hooks; without one there is no caller to ask for. */
    caller: Caller
    phone: PhoneCaller
  }
  interface FastifyContextConfig {
    /** Served to anybody: set-up, login, pushes with their own signature. */
    public?: boolean
  }
}

export const KEY_PREFIX = 'hk_'

const RANK: Record<Role, number> = { viewer: 0, editor: 1, operator: 2, owner: 3 }
const guards = new WeakMap<object, Guard>()

/** Tells bearers apart and holds them to what each route asks. A /v1 route that does not say who may call it stops the start. */
export const authPlugin = fastifyPlugin<{ tokens: Tokens; callers: Callers; limits?: RateLimiter }>(
  async (app: FastifyInstance, { tokens, callers, limits }) => {
    app.decorateRequest('caller', null as never)
    app.decorateRequest('phone', null as never)

    async function callerOf(request: FastifyRequest): Promise<Caller> {
      const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
      if (bearer === undefined) throw new NotAuthenticated()
      if (bearer.startsWith(KEY_PREFIX)) {
        const machine = await callers.machine(bearer)
        if (machine === null) throw new NotAuthenticated('this API key is unknown, expired or revoked')
        return machine
      }
      const claims = tokens.read(bearer)
      if (claims.kind === 'phone') return claims
      const operator = await callers.operator(claims.id, claims.sessions)
      if (operator === null) throw new NotAuthenticated('this operator does not exist any more, or was logged out')
      return operator
    }

    function guarded(
      guard: Guard,
      check: (caller: Caller, request: FastifyRequest) => void
    ): onRequestAsyncHookHandler {
      const hook: onRequestAsyncHookHandler = async (request, reply) => {
        let caller: Caller
        try {
          caller = await callerOf(request)
        } catch (error) {
          if (error instanceof NotAuthenticated) await count(reply, 'address', request.ip)
          throw error
        }
        await count(reply, ...whoCounts(caller))
        check(caller, request)
        request.caller = caller
      }
      guards.set(hook, guard)
      return hook
    }

    /** Counts a request and says in the headers how it stands. @throws TooManyRequests */
    async function count(reply: FastifyReply, kind: Counted, id: string): Promise<void> {
      if (limits === undefined) return
      try {
        void reply.headers(rateHeaders(await limits.count(kind, id)))
      } catch (error) {
        if (error instanceof TooManyRequests) void reply.headers(rateHeaders(error.standing))
        throw error
      }
    }

    // What anybody may ask is counted by where it comes from; WeChat's own pushes, which come from few places, are not.
    app.addHook('onRequest', async (request, reply) => {
      const { url = '', config } = request.routeOptions
      if (config.public === true && !/callback/.test(url)) await count(reply, 'address', request.ip)
    })

    app.decorate(
      'requirePhone',
      guarded({ phone: true }, (caller, request) => {
        if (caller.kind !== 'phone') throw new NotAllowed('only a phone may call this')
        request.phone = caller
      })
    )
    app.decorate('requireCaller', ({ scope, role = scope.endsWith(':read') ? 'viewer' : 'editor' }: CallerNeed) =>
      guarded({ scope, role }, (caller) => {
        if (caller.kind === 'phone') throw new NotAllowed('a phone may not call this')
        if (caller.kind === 'operator') return mustRank(caller, role)
        if (!caller.scopes.has(scope)) throw new NotAllowed(`this key lacks the scope ${scope}`, { facts: { scope } })
      })
    )
    app.decorate('requireOperator', (role: Role) =>
      guarded({ role }, (caller) => {
        if (caller.kind !== 'operator') throw new NotAllowed('only an operator may call this')
        mustRank(caller, role)
      })
    )

    app.addHook('onRoute', (route) => {
      if (route.path.startsWith('/v1/') && route.config?.public !== true && guardOf(route) === null) {
        throw new Error(`${String(route.method)} ${route.path} does not say who may call it`)
      }
    })
  },
  { name: 'auth' }
)

const whoCounts = (caller: Caller): [Counted, string] =>
  caller.kind === 'phone' ? ['phone', caller.recipientId] : [caller.kind === 'machine' ? 'key' : 'operator', caller.id]

/** Who may call this route; null: anybody. */
export function guardOf(route: Pick<RouteOptions, 'onRequest'>): Guard | null {
  const hooks = [route.onRequest ?? []].flat()
  for (const hook of hooks) {
    const guard = guards.get(hook)
    if (guard !== undefined) return guard
  }
  return null
}

function mustRank(caller: OperatorCaller, role: Role): void {
  if (RANK[caller.role] < RANK[role]) throw new NotAllowed(`this needs the role ${role}`, { facts: { role } })
}

/** An account the caller may not use does not exist for it. @throws NotFound */
export function mayUseAccount(caller: Caller, accountId: string): void {
  const allowed = caller.kind === 'phone' ? [caller.accountId] : caller.accountIds
  if (allowed !== null && !allowed.includes(accountId)) {
    throw new NotFound('no such account', { code: 'accounts.not-found' })
  }
}

/** The accounts a caller may see: null = all. */
export function accountsOf(caller: Caller): string[] | null {
  return caller.kind === 'phone' ? [caller.accountId] : caller.accountIds
}

/** May this caller be shown openids? Operators never are: they live with people, not with ids. */
export function mayIdentify(caller: Caller): boolean {
  return caller.kind === 'machine' && caller.scopes.has('recipients:identify')
}
