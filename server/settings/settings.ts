import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { z } from 'zod'
import type { AlertKind } from '../../shared/alert.js'
import { Thresholds, type AlertLanguage, type SettingsPatch, type SettingsView } from '../../shared/settings.js'
import type { Clock } from '../platform/clock.js'
import { InvalidInput, NotFound, PreconditionFailed, pointerTo } from '../platform/errors.js'
import { mustMatch } from '../platform/etag.js'
import { newId } from '../platform/ids.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import { inForce, merged, type Differences } from './merge.js'

/** Who is told of alerts, with the address in clear. */
export type Target = {
  id: string
  name: string
  url: string
  kinds: AlertKind[] | null
  accountIds: string[] | null
}

/** All settings of the installation, defaults filled in. */
export type Settings = {
  language: z.infer<typeof AlertLanguage>
  thresholds: Thresholds
  targets: Target[]
  rev: number
  updatedAt: Date | null
}

type SettingsRow = {
  _id: string
  language?: z.infer<typeof AlertLanguage>
  alerts: Differences
  targets: (Omit<Target, 'url'> & { sealedUrl: string })[]
  rev: number
  updatedAt: Date
}

const ID = 'settings'
const CACHE_MS = 2_000

/** Settings of the installation: defaults live in the code, only what differs is stored. */
export function createSettings({
  db,
  clock,
  sealer,
  urlFault
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  /** What speaks against sending to this address; null: nothing. */
  urlFault: (url: string) => string | null
}) {
  const rows = db.collection('settings') as unknown as Collection<SettingsRow>
  let cache: { settings: Settings; at: number } | null = null

  const toSettings = (row: SettingsRow | null): Settings => ({
    language: row?.language ?? 'zh',
    thresholds: inForce(row?.alerts ?? {}),
    targets: (row?.targets ?? []).map(({ sealedUrl, ...target }) => ({ ...target, url: sealer.open(sealedUrl) })),
    rev: row?.rev ?? 0,
    updatedAt: row?.updatedAt ?? null
  })

  /** The list as it will be stored; a target that is there keeps its address when none is given. */
  function targetsOf(wanted: NonNullable<NonNullable<SettingsPatch['alerts']>['targets']>, row: SettingsRow | null) {
    const known = new Map((row?.targets ?? []).map((target) => [target.id, target]))
    return wanted.map(({ id, url, ...rest }, index) => {
      const at = (field: string) => `/alerts/targets/${index}/${field}`
      const before = id === undefined ? undefined : known.get(id)
      if (id !== undefined && before === undefined) throw invalid(at('id'), 'settings.unknown-target', 'no such target')
      known.delete(id ?? '') // named twice, the second time it is none of them
      const fault = url === undefined ? null : urlFault(url)
      if (fault !== null) throw invalid(at('url'), 'url.refused', fault)
      const sealedUrl = url === undefined ? before?.sealedUrl : sealer.seal(url)
      if (sealedUrl === undefined) throw invalid(at('url'), 'request.required', 'a new target needs its url')
      return { id: id ?? newId(), ...rest, sealedUrl }
    })
  }

  /** @returns false when somebody else was faster */
  async function write(body: SettingsPatch, ifMatch?: string): Promise<boolean> {
    const seen = await rows.findOne({ _id: ID })
    mustMatch(ifMatch, seen?.rev ?? 0)
    const { targets, language, ...groups } = body.alerts ?? {}
    const alerts = merged(seen?.alerts ?? {}, groups)
    const whole = Thresholds.safeParse(inForce(alerts))
    if (!whole.success) {
      const errors = whole.error.issues.map(({ path, message }) => ({
        pointer: pointerTo(['alerts', ...path.map(String)]),
        code: 'settings.thresholds',
        message
      }))
      throw new InvalidInput('the figures contradict each other', { errors })
    }
    const set: Partial<SettingsRow> = {
      alerts,
      targets: targets === undefined ? (seen?.targets ?? []) : targetsOf(targets, seen),
      updatedAt: clock.now(),
      ...(language != null && { language })
    }
    try {
      const { matchedCount, upsertedCount } = await rows.updateOne(
        { _id: ID, rev: seen?.rev ?? 0 },
        { $set: set, $inc: { rev: 1 }, ...(language === null && { $unset: { language: '' } }) },
        { upsert: seen === null }
      )
      return matchedCount + upsertedCount > 0
    } catch (error) {
      if (isDuplicateKey(error)) return false
      throw error
    }
  }

  return {
    /** Up to 2 s old; at once in the process that changed them. */
    async get(): Promise<Settings> {
      const now = clock.monotonic()
      if (cache !== null && now - cache.at < CACHE_MS) return cache.settings
      const settings = toSettings(await rows.findOne({ _id: ID }))
      cache = { settings, at: now }
      return settings
    },

    /** As stored right now. */
    fresh: async (): Promise<Settings> => toSettings(await rows.findOne({ _id: ID })),

    /** One target. @throws NotFound */
    async target(id: string): Promise<Target> {
      const found = toSettings(await rows.findOne({ _id: ID })).targets.find((target) => target.id === id)
      if (found === undefined) throw new NotFound('no such target', { code: 'settings.unknown-target' })
      return found
    },

    /** Merges. @throws PreconditionFailed by If-Match; InvalidInput naming the field */
    async patch(body: SettingsPatch, ifMatch?: string): Promise<Settings> {
      while (!(await write(body, ifMatch))) if (ifMatch !== undefined) throw new PreconditionFailed()
      cache = null
      return toSettings(await rows.findOne({ _id: ID }))
    }
  }
}
export type SettingsRoom = ReturnType<typeof createSettings>

function invalid(pointer: string, code: string, message: string): InvalidInput {
  return new InvalidInput(message, { errors: [{ pointer, code, message }] })
}

/** Settings as REST shows them; what is secret of an address is cut out. */
export function settingsView({ language, thresholds, targets, updatedAt }: Settings): SettingsView {
  return {
    alerts: { language, ...thresholds, targets: targets.map((target) => ({ ...target, url: masked(target.url) })) },
    updatedAt
  }
}

/** Host and path, and the last four characters of what follows. */
function masked(url: string): string {
  const { origin, pathname, search } = new URL(url)
  return search === '' ? `${origin}/…${pathname.slice(-4)}` : `${origin}${pathname}?…${search.slice(-4)}`
}
