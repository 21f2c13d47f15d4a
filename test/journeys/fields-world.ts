import type { Test } from 'tap'
import { Scope } from '../../shared/operator.js'
import { CLINIC, SERVICE, SHOP } from '../../demo/accounts.js'
import { buildTestApp } from '../support/build-app.js'

/** A server and a local WeChat in which a field can be tried out: people, their rights, and the clock in our hand. */

export type Body = Record<string, any>
export type Apps = 'shop' | 'clinic' | 'service'
export const APPS = { shop: SHOP, clinic: CLINIC, service: SERVICE } as const
export const PICKUP = SHOP.subscribe
export const LEGACY = SHOP.legacy
export const BOOKING = CLINIC.subscribe
export const BRAND = SERVICE.service

export type Somebody = { id: string; externalId: string; unionId: string; openId: Record<Apps, string> }
export type World = Awaited<ReturnType<typeof buildWorld>>

export async function buildWorld(t: Test) {
  const test = await buildTestApp(t, { wechat: 'sandbox', now: '2030-03-04T01:00:00Z' })
  const { rooms, clock, app } = test
  const sandbox = test.sandbox!
  const key = await test.key(Scope.options)
  let names = 0

  const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, body?: Body, headers: Body = {}) => {
    const answer = await app.inject({
      method,
      url,
      headers: { ...key, ...headers },
      ...(body !== undefined && { payload: body })
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : (answer.json() as any) }
  }
  /** What is answered; anything but success is an error of the test. */
  const ask = async (...asked: Parameters<typeof call>): Promise<any> => {
    const { status, body } = await call(...asked)
    if (status > 299) throw new Error(`${asked[0]} ${asked[1]} was answered ${status}: ${JSON.stringify(body)}`)
    return body
  }

  const accounts = {} as Record<Apps, string>
  for (const name of ['shop', 'clinic', 'service'] as const) {
    const { appid: appId, secret, kind } = APPS[name]
    const made = await test.account({ kind, appId, secret, mode: 'live', limits: { perSecond: 2000 } })
    accounts[name] = made.id
    await ask('GET', `/v1/templates?accountId=${made.id}&live=true`)
  }

  /** Everything that is due happens, until nothing more comes of it. */
  async function flush(): Promise<void> {
    for (let more = true; more;) {
      more = false
      await rooms.events.idle()
      await rooms.campaigns.tick()
      for (;;) {
        const job = await test.db.collection('agendaJobs').findOneAndDelete({ type: 'normal' })
        if (job === null) break
        await rooms.jobs.run(job.name, job.data)
      }
      await rooms.triggers.fireDue()
      const open = { $or: [{ todo: true }, { state: { $in: ['planned', 'held', 'sending'] } }] }
      for (const id of await test.db.collection('messages').distinct('accountId', open)) {
        if ((await rooms.messages.pumps.drain(id)) + (await rooms.messages.follower.drain(id)) > 0) more = true
      }
    }
  }

  return {
    ...test,
    /** By which calls campaigns and messages are made; each takes the same fields. */
    ways: { campaign: 'POST' as 'POST' | 'PATCH', message: 'one' as 'one' | 'batch' },
    call,
    ask,
    flush,
    accounts,
    unique: (what: string) => `${what}${++names}`,

    /** Somebody of these apps, with rights to be written to; a follower where `follows`. */
    async somebody(
      wish: { apps?: Apps[]; grants?: number; forms?: number; follows?: boolean; attributes?: Body; tags?: Body } = {}
    ): Promise<Somebody> {
      const { apps = ['shop'], grants = 0, forms = 0, follows = false, attributes, tags } = wish
      const appids = apps.map((name) => APPS[name].appid)
      const [made] = sandbox.controls.addUsers({ count: 1, appids })
      const externalId = `customer-${++names}`
      const openId = {} as Record<Apps, string>
      let id = ''
      for (const name of apps) {
        openId[name] = made!.openids[APPS[name].appid]!
        const known = { externalId, unionId: made!.unionid, accountId: accounts[name], openId: openId[name] }
        id = (await ask('POST', '/v1/people/identify', { ...known, attributes, tags })).id
      }
      if (apps.includes('shop')) await this.grant({ openId }, 'shop', PICKUP, grants)
      if (apps.includes('clinic')) await this.grant({ openId }, 'clinic', BOOKING, grants)
      if (forms > 0) {
        const made = sandbox.controls.mintFormIds({ appid: SHOP.appid, openid: openId.shop, count: forms })
        await this.handIn(
          'shop',
          openId.shop,
          made.formIds.map((value: string) => ({ source: 'form', value }))
        )
      }
      if (follows) {
        sandbox.controls.setFollowers({ appid: SERVICE.appid, openids: [openId.service], follow: true, push: false })
        await ask('POST', `/v1/accounts/${accounts.service}/followers/sync`)
        await flush()
      }
      return { id, externalId, unionId: made!.unionid!, openId }
    },

    async handIn(name: Apps, openId: string, rights: Body[]): Promise<void> {
      const items = rights.map((right) => ({ id: `right-${++names}`, openId, ...right }))
      if (items.length > 0) await ask('POST', '/v1/credentials', { accountId: accounts[name], items })
    },

    async grant({ openId }: Pick<Somebody, 'openId'>, name: Apps, templateId: string, count = 1): Promise<void> {
      if (count === 0) return
      const tap = { appid: APPS[name].appid, openid: openId[name], templateId, count, push: false }
      sandbox.controls.grant(tap as never)
      const right = { source: 'grant', templateId, result: 'accept' }
      await this.handIn(
        name,
        openId[name],
        Array.from({ length: count }, () => right)
      )
    },

    /** Something a person did just now, or `agoMs` ago. */
    async does({ externalId }: Somebody, name: string, properties: Body = {}, agoMs = 0): Promise<string> {
      const id = `did-${++names}`
      const at = new Date(clock.now().getTime() - agoMs).toISOString()
      await ask('POST', '/v1/events', { items: [{ id, externalId, name, at, properties }] })
      await flush()
      return id
    },

    async later(ms: number): Promise<void> {
      clock.advance(ms)
      await flush()
    },
    instant: (ms = 0) => new Date(clock.now().getTime() + ms).toISOString(),

    /** A person's messages, oldest first. */
    messages: async ({ id }: Somebody): Promise<any[]> =>
      (await ask('GET', `/v1/messages?personId=${id}&sort=createdAt&limit=100`)).data,

    /** The calls WeChat took for somebody, as it read them, oldest first. */
    async taken({ openId }: Somebody): Promise<any[]> {
      const mine = new Set(Object.values(openId))
      const answer = await fetch(`${sandbox.url}/sandbox/requests?code=0&limit=60`)
      const found = ((await answer.json()) as { path: string; body: string }[]).filter(({ path }) =>
        path.startsWith('/cgi-bin/message/')
      )
      return found
        .reverse()
        .map(({ body }) => JSON.parse(body))
        .filter(({ touser }) => mine.has(touser))
    }
  }
}

/** One field: what it makes of the world where it is said, and where something else is, or nothing. */
export type Probe = {
  /** Absent: of the call its list is about. */
  call?: string
  field: string
  /** Plays the same story with the field as given; tells what could be seen of it. */
  story: (w: World, field: any) => Promise<unknown>
  said: unknown | ((w: World) => unknown)
  instead?: unknown | ((w: World) => unknown)
  gives: [said: unknown, instead: unknown]
}
