import type { Apps } from './apps.js'
import type * as Shape from './control-shapes.js'
import { credentialsOf } from './credentials.js'
import { DEFAULT_PLATFORM } from './default-apps.js'
import type { Ledger } from './ledger.js'
import { createPhone } from './phone/phone.js'
import { createPeople } from './people.js'
import type { Platforms } from './platforms.js'
import type { Pushes } from './pushes.js'
import type { Rules } from './rules.js'
import type { Tokens } from './tokens.js'
import { DEFAULT_SETTINGS, type Settings, type World } from './world.js'

interface Parts {
  world: World
  apps: Apps
  tokens: Tokens
  ledger: Ledger
  pushes: Pushes
  platforms: Platforms
  rules: Rules
  latency: { minMs: number; maxMs: number }
  /** Where the sandbox is, once it listens. */
  url: () => string
  requestDomains: readonly string[]
  onReset: () => void
}

/** What a person, a phone or an operator of WeChat would do: the verbs behind `/sandbox/*`, also usable in-process. */
export function createControls(parts: Parts) {
  const { world, apps, tokens, ledger, pushes, platforms, rules, latency, onReset } = parts
  const { clock } = world
  const firstLatency = { ...latency }

  const { appOf, templateOf, putApp, seed, shown } = apps
  const people = createPeople(world, pushes, apps)
  const { clearPhone, ...phone } = createPhone({ ...parts, people })
  seed()
  platforms.putPlatform(DEFAULT_PLATFORM)

  function meteredOf(appid: string) {
    return world.platforms.get(appid) ?? appOf(appid)
  }

  return {
    ...people,
    ...platforms.controls,
    ...phone,

    /** Creates an app or replaces its settings; users, templates and credentials of a known app stay. */
    putApp: (input: Shape.AppInput) => shown(putApp(input)),
    apps: () => [...world.apps.values()].map(shown),

    addRule: (input: Shape.RuleInput) => rules.add(input),
    rules: () => rules.list(),
    /** Removes one rule, or all of them. */
    removeRules: (id?: string) => ({ removed: rules.remove(id) }),

    /** Moves the sandbox's time. */
    setClock(input: Shape.ClockInput) {
      const now = 'advanceMs' in input ? clock.advance(input.advanceMs) : clock.set(new Date(input.set).getTime())
      platforms.tick()
      return { now, iso: new Date(now).toISOString() }
    },
    clock: () => ({ now: clock.now(), iso: new Date(clock.now()).toISOString() }),

    /** Time each WeChat answer takes, evenly spread between the two. */
    setLatency(input: Shape.LatencyInput) {
      Object.assign(latency, input)
      return { ...latency }
    },

    /** Kills every living token of an app, or the component tokens of a platform. */
    voidTokens: (appid: string) => ({ voided: tokens.voidAll(meteredOf(appid).appid) }),

    /** Sets an app's daily limit of a path, how much of today's is used, or the calls a minute. */
    setQuota({ appid, path, limit, used, perMinute }: Shape.QuotaInput) {
      const app = meteredOf(appid)
      if (perMinute !== undefined) app.paces.set(path, perMinute)
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
      const keptPlatforms = keepApps ? [...world.platforms.values()] : []
      const settings = keepApps ? world.settings : structuredClone(DEFAULT_SETTINGS)
      world.clear()
      world.settings = settings
      seed()
      platforms.putPlatform(DEFAULT_PLATFORM)
      keptPlatforms.forEach(platforms.putBack)
      kept.forEach(apps.putBack)
      rules.remove()
      ledger.clear()
      pushes.clear()
      clearPhone(keepApps)
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
