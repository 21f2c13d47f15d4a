import type { World } from './world.js'

/** Every formId, prepay_id and grant with the uses it has left (null: unlimited) and its state: whether a send would pass now, and why not. */
export function credentialsOf(world: World, { appid, openid }: { appid?: string; openid?: string }) {
  const now = world.clock.now()
  const life = world.settings.credentialDays * 86_400_000
  const mine = (row: { appid: string; openid: string }) =>
    (appid === undefined || row.appid === appid) && (openid === undefined || row.openid === openid)
  const forms = [...world.formIds.values()].filter(mine).map(({ id, appid, openid, createdAt, usesLeft }) => ({
    kind: 'formId',
    id,
    appid,
    openid,
    usesLeft,
    state: usesLeft <= 0 ? 'used' : now >= createdAt + life ? 'expired' : 'usable',
    at: createdAt
  }))
  const prepays = [...world.prepays.values()]
    .filter(mine)
    .map(({ id, appid, openid, orderId, createdAt, paidAt, visibleAt, usesLeft }) => ({
      kind: 'prepayId',
      id,
      appid,
      openid,
      orderId,
      usesLeft,
      at: createdAt,
      state:
        paidAt === undefined
          ? 'unpaid'
          : now < visibleAt!
            ? 'unsynced'
            : usesLeft <= 0
              ? 'used'
              : now >= paidAt + life
                ? 'expired'
                : 'usable'
    }))
  const grants = [...world.apps.values()].flatMap((app) =>
    appid !== undefined && app.appid !== appid
      ? []
      : app.userList
          .filter((user) => openid === undefined || user.openid === openid)
          .flatMap((user) =>
            [...user.grants].map(([templateId, left]) => ({
              kind: 'grant',
              id: templateId,
              appid: app.appid,
              openid: user.openid,
              usesLeft: Number.isFinite(left) ? left : null,
              state: left > 0 ? 'usable' : 'used'
            }))
          )
  )
  return [...forms, ...prepays, ...grants]
}
