import type { AccountView, Interface } from '../../shared/account.js'
import { IN_FLIGHT, PER_DAY, PER_PERSON_PER_DAY, PER_SECOND } from '../../shared/limits.js'
import type { Penalty } from '../../shared/penalty.js'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { breakerSettings } from './breaker-settings.js'
import type { AccountRow, Block } from './model.js'
import { standingPenalty } from './penalty.js'
import { standingOf, underStanding } from './permissions.js'

/**
 * An account as the rooms use it: all settings with their defaults filled in, instants as Dates, no secrets. `paused`
 * says that nothing may be sent: by an operator's word, or because what its authorisation lacks forbids it.
 */
export type Account = AccountView & {
  /** Did an operator pause it? What REST shows as `paused`. */
  pausedByOperator: boolean
  /** Interfaces WeChat has shut, by name; one whose `until` has passed is open again. */
  blocked: Partial<Record<Interface, Block>>
  /** Until then somebody else is taken to spend this account's formIds too. */
  sharedUntil: Date | null
  /** Are we, as far as we know, the only sender of this account now? */
  exclusive: boolean
  /** The penalty, while it holds something. */
  punished: Penalty | null
  /** Grows with each change of settings; the ETag. */
  rev: number
}

/** Makes an account of its row. */
export function createAccountOf({
  clock,
  sealer,
  apiBase,
  publicUrl
}: {
  clock: Clock
  sealer: Sealer
  apiBase: string
  publicUrl: string
}) {
  /** Accounts connected by QR are pushed to under the platform's token and key, in safe mode and XML always. */
  function callbackKeys(
    { callback }: AccountRow,
    qr: boolean
  ): Pick<AccountView['callback'], 'token' | 'mode' | 'format'> {
    if (qr) return { token: null, mode: 'safe', format: 'xml' }
    const { sealedToken, mode, format } = callback
    return { token: sealedToken === null ? null : sealer.open(sealedToken), mode, format }
  }

  return function toAccount(row: AccountRow): Account {
    const { sharedUntil } = row
    const authorizer = row.connectedBy === 'qr' ? (row.authorizer ?? null) : null
    const standing = authorizer === null ? null : standingOf(row.kind, row.permissions, authorizer, row.serviceWindow)
    return {
      id: row._id,
      kind: row.kind,
      appId: row.appId,
      name: row.name,
      mode: row.mode,
      apiBase: row.apiBase ?? apiBase,
      // A platform gives no stable tokens.
      tokenApi: authorizer === null ? row.tokenApi : 'classic',
      zone: row.zone,
      ...underStanding(row, standing),
      paused: row.paused || standing?.halted === true,
      pausedByOperator: row.paused,
      sources: row.sources,
      limits: {
        perSecond: row.limits.perSecond ?? PER_SECOND,
        inFlight: row.limits.inFlight ?? IN_FLIGHT,
        perDay: { ...PER_DAY, ...row.limits.perDay }
      },
      caps: {
        perPersonPerDay: row.caps.perPersonPerDay === undefined ? PER_PERSON_PER_DAY : row.caps.perPersonPerDay,
        stopTransactional: row.caps.stopTransactional ?? false
      },
      capture: { capPerDay: 0, minIntervalMs: 0, prompts: [], ...row.capture },
      quietHours: row.quietHours,
      serviceWindow: row.serviceWindow,
      reserveForTransactional: row.reserveForTransactional,
      grantsFrom: row.grantsFrom,
      testLadder: row.testLadder ?? 'off',
      breaker: breakerSettings(row.breaker),
      callback: {
        url: `${publicUrl}/callback/${row.appId}`,
        ...callbackKeys(row, authorizer !== null),
        relayTo: row.callback.relayTo,
        lastReceivedAt: row.callback.lastReceivedAt
      },
      connectedBy: authorizer === null ? 'secret' : 'qr',
      authorization:
        authorizer === null || standing === null
          ? null
          : {
              authorizedAt: authorizer.authorizedAt,
              withdrawnAt: authorizer.withdrawnAt,
              missing: standing.missing
            },
      permissions: authorizer === null ? [] : row.permissions,
      penalty: row.penalty,
      createdAt: row.createdAt,
      updatedAt: row.updatedAt,
      blocked: row.blocked,
      sharedUntil,
      exclusive: sharedUntil === null || sharedUntil <= clock.now(),
      punished: standingPenalty(row.penalty, clock.now()),
      rev: row.rev
    }
  }
}

/** An account as REST shows it. */
export function accountView(account: Account): AccountView {
  const { blocked: _blocked, sharedUntil: _sharedUntil, exclusive: _exclusive, rev: _rev, ...rest } = account
  const { pausedByOperator, punished: _punished, ...view } = rest
  return { ...view, paused: pausedByOperator }
}
