import { ControlError, type Apps } from './apps.js'
import { newRefreshToken, TICKET_EVERY_MS } from './component.js'
import type { AuthorizationInput, PlatformInput } from './control-shapes.js'
import { PERMISSION_SETS } from './permission-sets.js'
import type { Pushes } from './pushes.js'
import type { App, Platform, World } from './world.js'

/** Permission sets only one platform at a time may hold of an account. */
const EXCLUSIVE = new Set([4, 24, 34, 54])
/** What a platform asks for unless told otherwise: of service accounts, and of mini-programs. */
const DEFAULT_SETS = [1, 2, 3, 7, 89, 17, 18, 20, 30] as const
const TICKETS_KEPT = 100

/** What use leaves behind in a platform, as it is before the first use. */
const unused = () =>
  ({
    usage: new Map(),
    minutes: new Map(),
    tickets: [],
    tokens: [],
    preAuthCodes: new Map(),
    authCodes: new Map(),
    authorizations: new Map()
  }) satisfies Partial<Platform>

/** Third-party platforms as an operator of WeChat and the administrators of accounts see them. */
export function createPlatforms(world: World, pushes: Pushes, { appOf }: Pick<Apps, 'appOf'>) {
  const { clock, chance } = world

  function platformOf(appid: string): Platform {
    const platform = world.platforms.get(appid)
    if (platform === undefined) throw new ControlError(404, `no third-party platform ${appid} in this sandbox`)
    return platform
  }

  /** Makes a ticket and pushes it; where tickets come by themselves, the next comes ten minutes later. */
  function pushTicket(platform: Platform): string {
    const value = `ticket@@@${chance.word(86)}`
    platform.tickets.unshift({ value, at: clock.now() })
    platform.tickets.splice(TICKETS_KEPT)
    if (platform.nextTicketAt !== null) platform.nextTicketAt = clock.now() + TICKET_EVERY_MS
    pushes.inform(platform, 'component_verify_ticket', { ComponentVerifyTicket: value })
    return value
  }

  function startTickets(platform: Platform) {
    platform.nextTicketAt = clock.now()
    pushTicket(platform)
  }

  function putPlatform(input: PlatformInput): Platform {
    if (world.apps.has(input.appid)) throw new ControlError(409, `${input.appid} is an app already`)
    const platform: Platform = world.platforms.get(input.appid) ?? {
      appid: input.appid,
      secret: input.secret,
      name: input.appid,
      published: true,
      testAccounts: new Set(),
      sets: [],
      token: input.token,
      aesKey: input.aesKey,
      payment: false,
      quotas: new Map(),
      paces: new Map(),
      nextTicketAt: null,
      ...unused()
    }
    platform.secret = input.secret
    platform.name = input.name ?? platform.name
    platform.token = input.token
    platform.aesKey = input.aesKey
    platform.eventUrl = input.eventUrl
    platform.messageUrl = input.messageUrl
    platform.domain = input.domain
    platform.published = input.published ?? true
    platform.testAccounts = new Set(input.testAccounts)
    platform.sets = input.sets ?? [...DEFAULT_SETS]
    platform.whitelist = input.whitelist === undefined ? undefined : new Set(input.whitelist)
    world.platforms.set(platform.appid, platform)
    if (input.tickets === false) platform.nextTicketAt = null
    else if (platform.eventUrl !== undefined) startTickets(platform)
    return platform
  }

  /** Puts a platform back after a reset: its settings, without tickets, tokens and what was authorised. */
  function putBack(platform: Platform) {
    const nextTicketAt = platform.nextTicketAt === null ? null : clock.now()
    world.platforms.set(platform.appid, { ...platform, ...unused(), nextTicketAt })
  }

  /** Why an account cannot authorise a platform; null when it can. */
  function objection(platform: Platform, app: App): string | null {
    if (platform.published || platform.testAccounts.has(app.appid)) return null
    return `61028: ${platform.appid} is not published and ${app.appid} is not among its test accounts`
  }

  const heldElsewhere = (platform: Platform, appid: string, set: number) =>
    EXCLUSIVE.has(set) &&
    [...world.platforms.values()].some((other) => other !== platform && other.authorizations.get(appid)?.sets.has(set))

  /**
   * What follows when an administrator says yes: a code to be exchanged and an event that carries it too (none when an update
   * changed nothing). Authorising anew replaces the refresh token.
   */
  function authorize(platform: Platform, app: App, sets: readonly number[], preAuthCode = '') {
    const why = objection(platform, app)
    if (why !== null) throw new ControlError(409, why)
    const taken = sets.find((set) => heldElsewhere(platform, app.appid, set))
    if (taken !== undefined) throw new ControlError(409, `permission set ${taken} is held by another platform`)
    const known = platform.authorizations.get(app.appid)
    const wanted = new Set([...sets].sort((a, b) => a - b))
    const same =
      known !== undefined && known.sets.size === wanted.size && [...wanted].every((set) => known.sets.has(set))
    if (known === undefined) {
      // tokens of an authorisation that was taken back do not live again
      for (const token of world.tokens.values())
        if (token.platform === platform.appid && token.appid === app.appid) token.diesAt = 0
      platform.authorizations.set(app.appid, {
        appid: app.appid,
        refreshToken: newRefreshToken(world),
        sets: wanted,
        authorizedAt: clock.now(),
        tokens: [],
        options: new Map()
      })
    } else {
      known.sets = wanted
      known.refreshToken = newRefreshToken(world)
      known.authorizedAt = clock.now()
    }
    const authCode = `queryauthcode@@@${chance.word(60)}`
    const seconds = world.settings.authCodeSeconds
    platform.authCodes.set(authCode, { appid: app.appid, expiresAt: clock.now() + seconds * 1000, used: false })
    if (!same)
      pushes.inform(platform, known === undefined ? 'authorized' : 'updateauthorized', {
        AuthorizerAppid: app.appid,
        AuthorizationCode: authCode,
        AuthorizationCodeExpiredTime: seconds,
        PreAuthCode: preAuthCode
      })
    return { authCode, expiresIn: seconds, sets: [...wanted], changed: !same }
  }

  const shown = (platform: Platform) => ({
    appid: platform.appid,
    secret: platform.secret,
    name: platform.name,
    token: platform.token,
    aesKey: platform.aesKey,
    eventUrl: platform.eventUrl ?? null,
    messageUrl: platform.messageUrl ?? null,
    domain: platform.domain ?? null,
    published: platform.published,
    sets: platform.sets,
    ticket: platform.tickets[0]?.value ?? null,
    nextTicketAt: platform.nextTicketAt,
    authorizations: [...platform.authorizations.values()].map(({ appid, sets, authorizedAt }) => ({
      appid,
      sets: [...sets],
      authorizedAt
    }))
  })

  return {
    startTickets,
    authorize,
    objection,
    heldElsewhere,
    putPlatform,
    putBack,

    /** Pushes the tickets that have come due; to be called now and then, and whenever the clock was moved. */
    tick() {
      const now = clock.now()
      for (const platform of world.platforms.values()) {
        if (platform.nextTicketAt === null) continue
        // never further away than one is from the next, though the clock was moved back
        platform.nextTicketAt = Math.min(platform.nextTicketAt, now + TICKET_EVERY_MS)
        if (now >= platform.nextTicketAt) pushTicket(platform)
      }
    },

    /** The verbs of the control API. */
    controls: {
      /** Creates a platform or replaces its settings; its accounts and tokens stay. A ticket is pushed at once unless `tickets` is false. */
      putPlatform: (input: PlatformInput) => shown(putPlatform(input)),
      platforms: () => [...world.platforms.values()].map(shown),
      /** Pushes a new ticket now. */
      pushTicket: (appid: string) => ({ ticket: pushTicket(platformOf(appid)) }),

      /** An administrator says yes without the page; `sets` defaults to what the platform asks for. */
      authorize({ platform: platformAppid, appid, sets }: AuthorizationInput) {
        const platform = platformOf(platformAppid)
        const app = appOf(appid)
        const offered = platform.sets.filter((set) => PERMISSION_SETS[app.kind].has(set))
        return authorize(platform, app, sets ?? offered)
      },

      /** The administrator takes it back: tokens die with 61003, and the platform is told. */
      unauthorize({ platform: platformAppid, appid }: { platform: string; appid: string }) {
        const platform = platformOf(platformAppid)
        const removed = platform.authorizations.delete(appid)
        if (removed) pushes.inform(platform, 'unauthorized', { AuthorizerAppid: appid })
        return { removed }
      }
    }
  }
}

/** What `createPlatforms` makes. */
export type Platforms = ReturnType<typeof createPlatforms>
