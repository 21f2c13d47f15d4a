import type { AlertKind } from '../../shared/alert.js'
import { MINUTE_MS } from '../../shared/limits.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { SettingsRoom } from '../settings/settings.js'
import type { Alerts } from './alerts.js'
import type { Finding } from './judge.js'
import { createLooks, type LookParts } from './looks.js'
import { createRunway, type RunwayParts } from './runway.js'

/** What stands is over when it was not seen for so long: a state that flips each minute is one alert. */
const STATE_CALM_MS = 5 * 60_000

/** Looks at what is stored, fires what is wrong, and clears what is not any more. Two at once do the same once. */
export function createWatch(
  parts: LookParts &
    Omit<RunwayParts, 'clock'> & { clock: Clock; log: Log; alerts: Alerts; settings: Pick<SettingsRoom, 'get'> }
) {
  const { clock, log, alerts, settings } = parts
  const looks = createLooks(parts)
  const runway = createRunway(parts)

  /** Fires and clears alerts of one kind by what a look found. A look that fails clears nothing. */
  async function settle(kind: AlertKind, look: () => Promise<Finding[]>, calmMs: (standing: boolean) => number) {
    const { thresholds } = await settings.get()
    const found = thresholds[kind].enabled ? await look() : []
    const open = await alerts.openOf(kind)
    const keyOf = ({ accountId, name }: { accountId: string | null; name: string }) => `${accountId} ${name}`
    const openKeys = new Set(open.map((row) => keyOf({ ...row, name: row.subject })))
    const seen = new Set(found.map(keyOf))
    for (const each of found) {
      if (each.level === 'hold' && !openKeys.has(keyOf(each))) continue
      await alerts.raise(kind, each, each.facts, { standing: true })
    }
    const now = clock.now()
    for (const { accountId, subject, lastAt, standing } of open) {
      if (seen.has(keyOf({ accountId, name: subject }))) continue
      const silentMs = now.getTime() - lastAt.getTime()
      if (thresholds[kind].enabled && silentMs < calmMs(standing)) continue
      await alerts.clear(kind, { accountId, name: subject })
    }
  }

  async function all(passes: [AlertKind, () => Promise<Finding[]>, (standing: boolean) => number][]): Promise<void> {
    for (const [kind, look, calmMs] of passes) {
      await settle(kind, look, calmMs).catch((error: unknown) =>
        log.error({ err: error, kind }, 'what an alert looks at could not be read')
      )
    }
  }

  return {
    /** What is done each minute. */
    async look(): Promise<void> {
      const { thresholds } = await settings.get()
      const now = clock.now()
      const { failures, queue, account, breaker } = thresholds
      const atOnce = () => 0
      await all([
        ['failures', () => looks.failures(failures, now), atOnce],
        ['queue', () => looks.queue(queue, now), atOnce],
        [
          'account',
          () => looks.account(now),
          (standing) => (standing ? STATE_CALM_MS : account.calmMinutes * MINUTE_MS)
        ],
        ['breaker', looks.breaker, () => breaker.calmMinutes * MINUTE_MS],
        ['webhook', looks.webhook, atOnce]
      ])
    },

    /** What is done each hour: it reads every right of the accounts that send. */
    async lookAtRights(): Promise<void> {
      const { thresholds } = await settings.get()
      await all([['credentials', () => runway(thresholds.credentials), () => 0]])
    }
  }
}
export type Watch = ReturnType<typeof createWatch>
