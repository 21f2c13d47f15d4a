import { createFakeWx, type FakeNetwork, type FakeWx } from './fake-wx.js'
import { lossyNetwork, type Traffic } from './lossy.js'
import type { Doom, Act, Plan } from './phone-plan.js'
import { createPhoneTime } from './phone-time.js'
import type { Kit, Library } from './phones.js'
import type { PhoneRecord } from './phones-verdict.js'
import { seeded } from './random.js'

/** What WeChat gives one person. */
export type Wares = {
  formIds: string[]
  orders: { prepayId: string; package: string; orderId: string }[]
  /** A code for wx.login. */
  code: () => Promise<string>
}

export type LifeParts = {
  index: number
  appid: string
  openid: string
  templateId: string
  server: string
  library: Library
  plan: Plan
  seed: number
  wares: Wares
  network: FakeNetwork
  /** Where requests and their mishaps are counted. */
  traffic: Traffic
}

const START = Date.parse('2026-03-01T04:00:00Z')
const PATIENCE_MS = 86_400_000
/** Until whatever is still on its way has arrived. */
const ON_THE_AIR_MS = 60_000

/**
 * Lives one phone's story with the real library, in the phone's own time. What it caught is what the person did while the
 * app lived on, or what was in storage when it died: an app killed before its first write has caught nothing yet.
 */
export async function livePhone(parts: LifeParts): Promise<PhoneRecord> {
  const { index, appid, openid, templateId, plan, wares, library } = parts
  const random = seeded((parts.seed * 100_003 + index) ^ 0x5bd1e995)
  const time = createPhoneTime({ start: START + plan.clockMs, random })
  const network = lossyNetwork({ time, random, traffic: parts.traffic, inner: parts.network })
  const storage = new Map<string, unknown>()
  const record: PhoneRecord = {
    index,
    openid,
    rights: [],
    cutShort: 0,
    restarts: -1,
    queued: 0,
    dropped: {},
    livedMs: 0
  }
  let app: App
  let acts = 0

  function boot(doom: Doom): void {
    record.restarts += 1
    app = startApp(doom)
    if (doom?.at === 'moment') void time.later(doom.ms).then(app.die)
  }

  function startApp(doom: Doom): App {
    const mine = time.app()
    let writes = 0
    const fate = (at: 'beforeWrite' | 'afterWrite') => {
      if (doom?.at !== at || ++writes !== doom.n) return
      started.die()
      if (at === 'beforeWrite') throw new Error('the app was killed')
    }
    const device = createFakeWx({
      appId: appid,
      storage,
      network,
      login: () => time.real(wares.code()),
      pay: () => (started.yes ? 'requestPayment:ok' : 'requestPayment:fail cancel'),
      subscribe: (ids) => Object.fromEntries(ids.map((id) => [id, started.yes ? 'accept' : 'reject'])),
      beforeWrite: () => fate('beforeWrite'),
      afterWrite: () => fate('afterWrite')
    })
    const started: App = {
      alive: true,
      yes: true,
      device,
      kits: [],
      die() {
        if (!started.alive) return
        started.alive = false
        device.kill()
        mine.kill()
      }
    }
    const size = plan.outboxSize === null ? {} : { outboxSize: plan.outboxSize }
    for (let copy = 0; copy < plan.copies; copy++) {
      started.kits.push(library.createKit({ server: parts.server, api: device.wx, env: mine.env, ...size }))
    }
    return started
  }

  const inStorage = (place: string) =>
    [...storage.values()].some((value) => typeof value === 'string' && value.includes(JSON.stringify(place)))

  async function perform({ kind, yes, again, copy }: Act): Promise<void> {
    const place = `${index}.${++acts}`
    const kit = app.kits[copy]!
    const right = { kind, value: null as string | null, places: [place] }
    app.yes = yes
    if (kind === 'form') {
      right.value = wares.formIds.pop()!
      kit.captureSubmit({ detail: { formId: right.value } }, place)
      if (again && app.alive) {
        right.places.push(`${place}b`)
        kit.captureSubmit({ detail: { formId: right.value } }, `${place}b`)
      }
    } else if (kind === 'payment') {
      const order = wares.orders.pop()!
      right.value = order.prepayId
      const asked = { timeStamp: '1', nonceStr: 'n', package: order.package, signType: 'MD5', paySign: 's' }
      void kit.requestPayment({ ...asked, orderId: order.orderId, place, complete() {} })
    } else {
      void kit.requestSubscribe([templateId], place)
    }
    await time.settle()
    if (!yes) return
    if (app.alive || right.places.some(inStorage)) record.rights.push(right)
    else record.cutShort += 1
  }

  const dead = () => !app.alive
  const waiting = () => app.kits[0]!.status().queued

  for (const visit of plan.visits) {
    boot(visit.doom)
    if (visit.offline) app!.device.setOnline(false)
    if (plan.tracks) app!.kits[0]!.track('app_opened', { index })
    for (const act of visit.acts) {
      await time.advance(act.waitMs, dead)
      if (dead()) break
      await perform(act)
    }
    time.setClock(visit.clockMs)
    if (!dead()) app!.device.setOnline(true)
    await time.advance(visit.staysMs, dead)
    if (visit.hides && !dead()) app!.device.hide()
    await time.advance(2000, dead)
    app!.die()
    await time.advance(visit.awayMs)
  }
  for (const doom of [...plan.returns, null]) {
    boot(doom)
    await time.advance(PATIENCE_MS, () => dead() || waiting() === 0)
  }
  const { queued, dropped } = app!.kits[0]!.status()
  app!.die()
  await time.advance(ON_THE_AIR_MS)
  return { ...record, queued, dropped, livedMs: time.elapsed() }
}

type App = {
  alive: boolean
  /** What the person answers when asked now. */
  yes: boolean
  device: FakeWx
  kits: Kit[]
  die(): void
}
