import type { AppInput } from './control-shapes.js'
import { DEFAULT_APPS, defaultTemplates } from './default-apps.js'
import type { App, User, World } from './world.js'

/** A control call that cannot be done: names something the sandbox does not have (404) or contradicts its state (409). */
export class ControlError extends Error {
  constructor(
    readonly status: 404 | 409,
    message: string
  ) {
    super(message)
  }
}

/** What use leaves behind in an app, as it is before the first use. */
const unused = () =>
  ({
    usage: new Map(),
    minutes: new Map(),
    users: new Map(),
    userList: [],
    followerCount: 0,
    classic: [],
    stable: [],
    forced: { day: 0, used: 0, lastAt: 0 },
    tags: new Map()
  }) satisfies Partial<App>

/** Apps and the people in them: finding, making, showing. */
export function createApps(world: World) {
  const { clock, chance } = world

  function appOf(appid: string): App {
    const app = world.apps.get(appid)
    if (app === undefined) throw new ControlError(404, `no app ${appid} in this sandbox`)
    return app
  }

  function userOf(appid: string, openid: string): [App, User] {
    const app = appOf(appid)
    const user = app.users.get(openid)
    if (user === undefined) throw new ControlError(404, `no user ${openid} in ${appid}`)
    return [app, user]
  }

  function templateOf(app: App, templateId: string) {
    const template = app.templates.get(templateId)
    if (template === undefined) throw new ControlError(404, `no template ${templateId} in ${app.appid}`)
    return template
  }

  function newUser(app: App, personKey: string, follows: boolean): User {
    const user: User = {
      index: app.userList.length,
      openid: `o${chance.word(27)}`,
      personKey,
      sessionKey: '',
      sessionKeyUntil: 0,
      follows: app.kind === 'service' && follows,
      followedAt: clock.now(),
      seenAt: clock.now(),
      block: 'none',
      grants: new Map(),
      scenes: new Set(),
      tags: new Set(),
      sendsUnderWay: 0,
      recent: [],
      logins: []
    }
    app.users.set(user.openid, user)
    app.userList.push(user)
    if (user.follows) app.followerCount++
    return user
  }

  function putApp(input: AppInput): App {
    const known = world.apps.get(input.appid)
    if (world.platforms.has(input.appid))
      throw new ControlError(409, `${input.appid} is a third-party platform already`)
    if (known !== undefined && known.kind !== input.kind)
      throw new ControlError(409, `${input.appid} is a ${known.kind} already`)
    const app: App = known ?? {
      appid: input.appid,
      secret: input.secret,
      kind: input.kind,
      name: input.appid,
      userName: `gh_${chance.hex(12)}`,
      verified: true,
      payment: false,
      serviceType: 2,
      status: 1,
      penalty: {},
      onceTemplateId: input.kind === 'service' ? chance.word(43) : '',
      secretFrozen: false,
      quotas: new Map(),
      paces: new Map(),
      templates: new Map(),
      industriesMonth: 0,
      quotaClears: { month: 0, used: 0, paths: 0 },
      ...unused()
    }
    app.secret = input.secret
    app.name = input.name ?? app.name
    app.userName = input.userName ?? app.userName
    app.verified = input.verified ?? true
    app.payment = input.payment ?? false
    app.serviceType = input.serviceType ?? 2
    app.status = input.status ?? 1
    app.penalty = input.penalty ?? {}
    app.onceTemplateId = input.onceTemplateId ?? app.onceTemplateId
    app.secretFrozen = input.secretFrozen ?? false
    const asSet = (list: string[] | undefined) => (list === undefined ? undefined : new Set(list))
    app.openPlatform = input.openPlatform
    app.callback = input.callback
    app.pages = asSet(input.pages)
    app.linked = asSet(input.linked)
    app.whitelist = asSet(input.whitelist)
    app.quotas = new Map(Object.entries(input.quotas ?? {}))
    world.apps.set(app.appid, app)
    return app
  }

  /** Puts an app back after a reset: its settings and templates, without its users and tokens. */
  const putBack = (app: App) => void world.apps.set(app.appid, { ...app, ...unused() })

  /** Puts the default apps with their templates. */
  function seed() {
    for (const input of DEFAULT_APPS) {
      const app = putApp(input)
      for (const template of defaultTemplates(app.appid)) app.templates.set(template.templateId, template)
    }
  }
  const shown = (app: App) => ({
    appid: app.appid,
    secret: app.secret,
    kind: app.kind,
    name: app.name,
    userName: app.userName,
    verified: app.verified,
    payment: app.payment,
    serviceType: app.serviceType,
    status: app.status,
    penalty: app.penalty,
    onceTemplateId: app.onceTemplateId,
    openPlatform: app.openPlatform ?? null,
    callback: app.callback ?? null,
    pages: app.pages === undefined ? null : [...app.pages],
    users: app.users.size,
    followers: app.followerCount,
    templates: [...app.templates.values()].map(({ templateId, kind, title, content, type, disabled }) => ({
      templateId,
      kind,
      title,
      content,
      ...(type === undefined ? {} : { type }),
      ...(disabled ? { disabled } : {})
    }))
  })

  return { appOf, userOf, templateOf, newUser, putApp, putBack, seed, shown }
}

/** What `createApps` makes. */
export type Apps = ReturnType<typeof createApps>
