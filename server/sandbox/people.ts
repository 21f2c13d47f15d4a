import { ControlError, type Apps } from './apps.js'
import type * as Shape from './control-shapes.js'
import type { Pushes } from './pushes.js'
import { unionidOf, type App, type User, type World } from './world.js'

const CODE_MS = 300_000

/** What people do with their phones, as verbs of the control API. */
export function createPeople(world: World, pushes: Pushes, { appOf, userOf, templateOf, newUser }: Apps) {
  const { clock, chance } = world

  /** Someone follows or leaves. Following by a parametric QR code names its scene; leaving names nothing. */
  function changeFollowing(app: App, user: User, follow: boolean, scene: string | undefined, push: boolean) {
    user.follows = follow
    app.followerCount += follow ? 1 : -1
    if (follow) {
      user.followedAt = clock.now()
      user.qrScene = scene
    }
    if (!push) return
    pushes.send(app, {
      openid: user.openid,
      event: follow ? 'subscribe' : 'unsubscribe',
      message: true,
      fields: follow && scene !== undefined ? { EventKey: `qrscene_${scene}`, Ticket: ticketOf() } : { EventKey: '' }
    })
  }

  const ticketOf = () => `gQ${chance.word(70)}`

  return {
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
      userOf(appid, openid)[1].seenAt = clock.now()
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
      user.seenAt = clock.now()
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
    setFollowers({ appid, openids, follow, scene, push = true }: Shape.FollowersInput) {
      const pairs = openids.map((openid) => userOf(appid, openid))
      if (appOf(appid).kind !== 'service')
        throw new ControlError(409, `${appid} is no service account: it has no followers`)
      let changed = 0
      for (const [app, user] of pairs) {
        if (user.follows === follow) continue
        changed++
        changeFollowing(app, user, follow, scene, push)
      }
      return { changed, followers: appOf(appid).followerCount }
    },

    /** Users stop (or take back stopping) messages of an app. */
    block({ appid, openids, how = 'refuse' }: Shape.BlockInput) {
      const pairs = openids.map((openid) => userOf(appid, openid))
      for (const [, user] of pairs) user.block = how
      return { changed: pairs.length }
    },

    /** Someone writes to an account, taps its menu or scans a parametric QR code; only the push tells of it. */
    interact({ appid, openid, kind, text = '你好', key = '' }: Shape.InteractionInput) {
      const [app, user] = userOf(appid, openid)
      user.seenAt = clock.now()
      if (kind === 'text') {
        const MsgId = { raw: world.nextMsgid() }
        pushes.send(app, { openid, event: 'text', type: 'text', message: true, fields: { Content: text, MsgId } })
        return { event: 'text' }
      }
      if (app.kind !== 'service')
        throw new ControlError(409, `${appid} is no service account: it has no menu and no QR codes`)
      if (kind === 'scan') {
        if (user.follows) {
          pushes.send(app, { openid, event: 'SCAN', message: true, fields: { EventKey: key, Ticket: ticketOf() } })
          return { event: 'SCAN' }
        }
        changeFollowing(app, user, true, key, true)
        return { event: 'subscribe' }
      }
      const event = kind === 'click' ? 'CLICK' : 'VIEW'
      pushes.send(app, { openid, event, message: true, fields: { EventKey: key } })
      return { event }
    },

    /** The answer to the page of a one-time subscription. Confirming the same scene twice is still one message. */
    confirmOnce({ appid, openid, scene, action = 'confirm' }: Shape.OnceInput) {
      const [app, user] = userOf(appid, openid)
      if (app.kind !== 'service') throw new ControlError(409, `${appid} is no service account`)
      if (action === 'confirm') user.scenes.add(scene)
      return { templateId: app.onceTemplateId, scenes: [...user.scenes] }
    },

    /** formIds that were found to be farmed: 41031 from now on. */
    blockFormIds({ formIds }: { formIds: string[] }) {
      const rows = formIds.map((id) => {
        const row = world.formIds.get(id)
        if (row === undefined) throw new ControlError(404, `no formId ${id}`)
        return row
      })
      for (const row of rows) row.blocked = true
      return { blocked: rows.length }
    }
  }
}
