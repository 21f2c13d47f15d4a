import { ControlError, createApps } from './apps.js'
import type * as Shape from './control-shapes.js'
import { credentialsOf } from './credentials.js'
import type { Ledger } from './ledger.js'
import type { Pushes } from './pushes.js'
import type { Rules } from './rules.js'
import type { Tokens } from './tokens.js'
import { DEFAULT_SETTINGS, unionidOf, type Settings, type World } from './world.js'

const CODE_MS = 300_000

interface Parts {
  world: World
  tokens: Tokens
  ledger: Ledger
  pushes: Pushes
  rules: Rules
  latency: { minMs: number; maxMs: number }
  onReset: () => void
}

/** What a person, a phone or an operator of WeChat would do: the verbs behind `/sandbox/*`, also usable in-process. */
export function createControls({ world, tokens, ledger, pushes, rules, latency, onReset }: Parts) {
  const { clock, chance } = world
  const firstLatency = { ...latency }

  const { appOf, userOf, templateOf, newUser, putApp, seed, shown } = createApps(world)
  seed()

  return {
    /** Creates an app or replaces its settings; users, templates and credentials of a known app stay. */
    putApp: (input: Shape.AppInput) => shown(putApp(input)),
    apps: () => [...world.apps.values()].map(shown),

    /** Makes people, each with an openid in every app of `appids`; `unionid` is null unless an app is bound to an Open Platform. */
    addUsers({ count = 1, appids, followers = [] }: Shape.UsersInput) {
      const apps = appids.map(appOf)
      for (const appid of followers) {
        if (!appids.includes(appid)) throw new ControlError(409, `followers names ${appid}, which appids does not`)
        if (appOf(appid).kind !== 'service')
          throw new ControlError(409, `${appid} is no service account: it has no followers`)
      }
      return Array.from({ length: count }, () => {
        const personKey = `p_${chance.hex(12)}`
        const openids: Record<string, string> = {}
        let unionid: string | null = null
        for (const app of apps) {
          const user = newUser(app, personKey, followers.includes(app.appid))
          openids[app.appid] = user.openid
          unionid ??= unionidOf(world, app, user) ?? null
        }
        return { personKey, openids, unionid }
      })
    },

    /** What wx.login gives: a code for one login within 5 minutes. Without an openid a new person opens the app. */
    mintCode({ appid, openid, count = 1 }: Shape.CodeInput) {
      const user = openid === undefined ? newUser(appOf(appid), `p_${chance.hex(12)}`, false) : userOf(appid, openid)[1]
      const gone = clock.now() - 86_400_000
      if (world.codes.size > 100_000)
        for (const [code, row] of world.codes) if (row.expiresAt < gone) world.codes.delete(code)
      const codes = Array.from({ length: count }, () => {
        const code = `0${chance.word(31)}`
        world.codes.set(code, { appid, openid: user.openid, expiresAt: clock.now() + CODE_MS, used: false })
        return code
      })
      return { code: codes[0]!, ...(count > 1 ? { codes } : {}), openid: user.openid }
    },

    /** What submitting a form gives. */
    mintFormIds({ appid, openid, count = 1, build = 'release' }: Shape.FormIdInput) {
      userOf(appid, openid)
      const formIds = Array.from({ length: count }, () => {
        const id = chance.hex(32)
        world.formIds.set(id, { id, appid, openid, createdAt: clock.now(), build, usesLeft: 1 })
        return id
      })
      return { formIds }
    },

    /** What placing an order gives: an unpaid prepay_id and the package for wx.requestPayment. */
    order({ appid, openid, orderId, paid = false }: Shape.OrderInput) {
      if (userOf(appid, openid)[0].kind !== 'miniprogram')
        throw new ControlError(409, `${appid} takes no mini-program payments`)
      const id = `wx${chance.hex(34)}`
      const now = clock.now()
      world.prepays.set(id, {
        id,
        appid,
        openid,
        orderId: orderId ?? `order_${chance.hex(10)}`,
        createdAt: now,
        ...(paid ? { paidAt: now, visibleAt: now } : {}),
        usesLeft: 3
      })
      return { prepayId: id, package: `prepay_id=${id}`, orderId: world.prepays.get(id)!.orderId }
    },

    /** Pays an order; the prepay_id works `syncMs` later. Paying twice changes nothing. */
    pay({ prepayId, syncMs }: Shape.PayInput) {
      const prepay = world.prepays.get(prepayId)
      if (prepay === undefined) throw new ControlError(404, `no order with prepay_id ${prepayId}`)
      prepay.paidAt ??= clock.now()
      prepay.visibleAt ??= prepay.paidAt + (syncMs ?? world.settings.syncMs)
      const { appid, openid, orderId, paidAt, visibleAt } = prepay
      return { prepayId, appid, openid, orderId, paidAt, visibleAt }
    },

    /** The answer to wx.requestSubscribeMessage for one template. `left` is null for a long-term grant. */
    grant({ appid, openid, templateId, result = 'accept', count = 1, push = true }: Shape.GrantInput) {
      const [app, user] = userOf(appid, openid)
      const template = templateOf(app, templateId)
      if (template.kind !== 'subscribe') throw new ControlError(409, `${templateId} is not a subscribe template`)
      const before = user.grants.get(templateId) ?? 0
      if (result === 'accept') user.grants.set(templateId, template.type === 3 ? Infinity : before + count)
      if (push) {
        const item = { TemplateId: templateId, SubscribeStatusString: result, PopupScene: { raw: '0' } }
        pushes.send(app, {
          openid,
          event: 'subscribe_msg_popup_event',
          subscribe: { wrapper: 'SubscribeMsgPopupEvent', items: [item] }
        })
      }
      const left = user.grants.get(templateId) ?? 0
      return { left: Number.isFinite(left) ? left : null }
    },

    /** The user withdraws a subscription: every grant of the template is gone. */
    withdraw({ appid, openid, templateId, push = true }: Shape.WithdrawInput) {
      const [app, user] = userOf(appid, openid)
      templateOf(app, templateId)
      user.grants.delete(templateId)
      if (push) {
        const item = { TemplateId: templateId, SubscribeStatusString: 'reject' }
        pushes.send(app, {
          openid,
          event: 'subscribe_msg_change_event',
          subscribe: { wrapper: 'SubscribeMsgChangeEvent', items: [item] }
        })
      }
      return { left: 0 }
    },

    /** Users follow or leave a service account; only changes are counted and pushed. */
    setFollowers({ appid, openids, follow, push = true }: Shape.FollowersInput) {
      const pairs = openids.map((openid) => userOf(appid, openid))
      if (appOf(appid).kind !== 'service')
        throw new ControlError(409, `${appid} is no service account: it has no followers`)
      let changed = 0
      for (const [app, user] of pairs) {
        if (user.follows === follow) continue
        changed++
        user.follows = follow
        app.followerCount += follow ? 1 : -1
        if (follow) user.followedAt = clock.now()
        if (push)
          pushes.send(app, {
            openid: user.openid,
            event: follow ? 'subscribe' : 'unsubscribe',
            fields: { EventKey: '' }
          })
      }
      return { changed, followers: appOf(appid).followerCount }
    },

    /** Users stop (or take back stopping) messages of an app. */
    block({ appid, openids, how = 'refuse' }: Shape.BlockInput) {
      const pairs = openids.map((openid) => userOf(appid, openid))
      for (const [, user] of pairs) user.block = how
      return { changed: pairs.length }
    },

    addRule: (input: Shape.RuleInput) => rules.add(input),
    rules: () => rules.list(),
    /** Removes one rule, or all of them. */
    removeRules: (id?: string) => ({ removed: rules.remove(id) }),

    /** Moves the sandbox's time. */
    setClock(input: Shape.ClockInput) {
      const now = 'advanceMs' in input ? clock.advance(input.advanceMs) : clock.set(new Date(input.set).getTime())
      return { now, iso: new Date(now).toISOString() }
    },
    clock: () => ({ now: clock.now(), iso: new Date(clock.now()).toISOString() }),

    /** Time each WeChat answer takes, evenly spread between the two. */
    setLatency(input: Shape.LatencyInput) {
      Object.assign(latency, input)
      return { ...latency }
    },

    /** Kills every living token of an app. */
    voidTokens: (appid: string) => ({ voided: tokens.voidAll(appOf(appid)) }),

    /** Sets an app's daily limit of a path, or how much of today's is used. */
    setQuota({ appid, path, limit, used }: Shape.QuotaInput) {
      const app = appOf(appid)
      if (limit !== undefined) app.quotas.set(path, limit)
      if (used !== undefined) app.usage.set(path, { day: clock.day(), used })
      const effective = world.limitOf(app, path)
      return { limit: Number.isFinite(effective) ? effective : null, used: world.usedOf(app, path) }
    },

    /** Disables an own template as a penalty, or lifts it. */
    setTemplate({ appid, templateId, disabled }: Shape.TemplateInput) {
      templateOf(appOf(appid), templateId).disabled = disabled
      return { templateId, disabled }
    },

    /** Changes some settings; gives all of them. */
    setSettings({ push, ...rest }: Shape.SettingsInput): Settings {
      Object.assign(world.settings, rest)
      Object.assign(world.settings.push, push)
      return world.settings
    },

    /** Accepted messages and the sums over them; the sums cover everything, the rows what the filter asks. */
    ledger(
      filter: {
        appid?: string
        channel?: string
        openid?: string
        templateId?: string
        after?: number
        limit?: number
      } = {}
    ) {
      const rows = ledger.rows(filter)
      const summary = ledger.summary()
      const uses: Record<string, number> = {}
      for (const row of rows) {
        if (row.channel === 'legacy') uses[row.credential!] = ledger.uses().get(row.credential!) ?? 0
      }
      return {
        counts: {
          accepted: filter.appid === undefined ? summary.accepted : (summary.byApp[filter.appid] ?? 0),
          rows: rows.length,
          duplicates: rows.filter((row) => row.duplicateOf !== undefined).length
        },
        uses,
        rows
      }
    },
    summary: () => ledger.summary(),
    histogram: () => ledger.histogram(),

    /** What can still be sent: uses left per formId, prepay_id and grant (null: unlimited), with the reason when it would fail now. */
    credentials: (filter: { appid?: string; openid?: string } = {}) => credentialsOf(world, filter),

    pushes: (filter: { appid?: string; event?: string } = {}) => pushes.report(filter),

    /** Back to the start: default apps, no users, empty ledger, no rules. With `keepApps` the apps and settings stay, without users. */
    reset({ keepApps = false }: { keepApps?: boolean } = {}) {
      const kept = keepApps ? [...world.apps.values()] : []
      const settings = keepApps ? world.settings : structuredClone(DEFAULT_SETTINGS)
      world.clear()
      world.settings = settings
      seed()
      for (const old of kept) {
        world.apps.set(old.appid, {
          ...old,
          usage: new Map(),
          minutes: new Map(),
          users: new Map(),
          userList: [],
          followerCount: 0,
          classic: [],
          stable: [],
          forced: { day: 0, used: 0, lastAt: 0 },
          tags: new Map()
        })
      }
      rules.remove()
      ledger.clear()
      pushes.clear()
      if (!keepApps) {
        Object.assign(latency, firstLatency)
        clock.advance(-clock.offset())
      }
      onReset()
      return { reset: true as const }
    }
  }
}

/** What `createControls` makes. */
export type Controls = ReturnType<typeof createControls>
