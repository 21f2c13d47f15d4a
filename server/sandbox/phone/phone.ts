import { ControlError, type Apps } from '../apps.js'
import type * as Shape from '../control-shapes.js'
import type { Ledger } from '../ledger.js'
import type { createPeople } from '../people.js'
import type { App, User, World } from '../world.js'
import { noticeOf } from './notices.js'
import { phoneRequest } from './request.js'

const PEOPLE_SHOWN = 50
const NOTICES_KEPT = 50
const BILLS_KEPT = 10_000

interface Parts {
  world: World
  apps: Apps
  people: Pick<ReturnType<typeof createPeople>, 'order'>
  ledger: Ledger
  /** Where the sandbox itself is; known once it listens. */
  url: () => string
  /** Servers phones may call from the start. */
  requestDomains: readonly string[]
}

/** What the phone page needs to be one person's phone: who they are, what they received, whom their mini-program may call. */
export function createPhone({ world, apps, people, ledger, url, requestDomains }: Parts) {
  let domains = requestDomains.map(originOf)
  /** What an order costs, by prepay_id; WeChat's own sheet shows it too. */
  const bills = new Map<string, { amount?: number; description?: string }>()
  /** A person's openid in each app. It never changes once they are made, and finding it means looking at everybody. */
  const known = new WeakMap<User, Map<string, string>>()

  function openidsOf(user: User): Map<string, string> {
    let found = known.get(user)
    if (found === undefined) {
      found = new Map()
      for (const app of world.apps.values()) {
        const same = app.userList.find((one) => one.personKey === user.personKey)
        if (same !== undefined) found.set(app.appid, same.openid)
      }
      known.set(user, found)
    }
    return found
  }

  const miniprograms = () => [...world.apps.values()].filter(({ kind }) => kind === 'miniprogram')

  function personOf(app: App, openid: string | undefined, index: number | undefined): User | null {
    if (openid !== undefined) return apps.userOf(app.appid, openid)[1]
    if (index === undefined) return app.userList[0] ?? null
    const user = app.userList[index]
    if (user === undefined) throw new ControlError(404, `${app.appid} has no user ${index}: it has ${app.users.size}`)
    return user
  }

  return {
    /** The phone of one person: by openid, by the place in the app's list of users, or the first one's. */
    phone({ appid, openid, user: index }: Shape.PhoneQuery) {
      const app = appid === undefined ? miniprograms()[0] : apps.appOf(appid)
      if (app === undefined || app.kind !== 'miniprogram')
        throw new ControlError(409, `${app?.appid ?? 'this sandbox'} is no mini-program: phones open those only`)
      const user = personOf(app, openid, index)
      const openids = user === null ? null : openidsOf(user)
      const shown = app.userList.slice(0, PEOPLE_SHOWN)
      if (user !== null && !shown.includes(user)) shown.push(user)
      return {
        app: { appid: app.appid, name: app.name },
        person: user === null ? null : { openid: user.openid, index: user.index },
        apps: miniprograms().map((one) => ({
          appid: one.appid,
          name: one.name,
          openid: openids?.get(one.appid) ?? null
        })),
        people: { total: app.users.size, shown: shown.map((one) => ({ openid: one.openid, index: one.index })) },
        /** A new person belongs to all of them. */
        appids: [...world.apps.keys()],
        templates: [...app.templates.values()]
          .filter(({ kind }) => kind === 'subscribe')
          .map(({ templateId, title, type, disabled }) => ({ templateId, title, type, disabled: disabled === true })),
        requestDomains: domains,
        url: url()
      }
    },

    /** What the person behind an openid received after `after`, from all apps, oldest first; repeats are not delivered. */
    notices({ appid, openid, after = 0 }: Shape.NoticesQuery) {
      const mine = openidsOf(apps.userOf(appid, openid)[1])
      const rows = ledger
        .rows({ after })
        .filter((row) => row.duplicateOf === undefined && mine.get(row.appid) === row.openid)
        .slice(-NOTICES_KEPT)
      return { notices: rows.map((row) => noticeOf(row, world.apps.get(row.appid))) }
    },

    /** A shop's own backend, played by the sandbox: places the order and answers what wx.requestPayment takes. */
    checkout({ appid, openid, orderId, amount, description }: Shape.CheckoutInput) {
      const order = people.order({ appid, openid, ...(orderId === undefined ? {} : { orderId }) })
      if (bills.size >= BILLS_KEPT) bills.delete(bills.keys().next().value!)
      bills.set(order.prepayId, { amount, description })
      return {
        timeStamp: String(Math.floor(world.clock.now() / 1000)),
        nonceStr: world.chance.word(32),
        package: order.package,
        signType: 'MD5' as const,
        paySign: world.chance.hex(32)
      }
    },

    /** An order as the payment sheet shows it. `amount` is in fen; null: the sandbox was not told. */
    orderOf({ prepayId }: Shape.OrderQuery) {
      const prepay = world.prepays.get(prepayId)
      if (prepay === undefined) throw new ControlError(404, `no order with prepay_id ${prepayId}`)
      const { amount = null, description = null } = bills.get(prepayId) ?? {}
      const { appid, openid, orderId, paidAt } = prepay
      return { prepayId, appid, openid, orderId, paid: paidAt !== undefined, amount, description }
    },

    /** Calls a server for a phone, which knows no CORS; only request domains and the sandbox itself are called. */
    request: (input: Shape.PhoneRequestInput) => phoneRequest(input, new Set([...domains, originOf(url())])),

    /** Servers phones may call, as origins; given, they replace those of before. */
    requestDomains(given?: readonly string[]) {
      if (given !== undefined) domains = given.map(originOf)
      return { domains }
    },

    /** Back to the start. */
    clearPhone(keepDomains: boolean) {
      bills.clear()
      if (!keepDomains) domains = requestDomains.map(originOf)
    }
  }
}

const originOf = (url: string) => new URL(url).origin

/** What `createPhone` makes. */
export type Phone = ReturnType<typeof createPhone>
