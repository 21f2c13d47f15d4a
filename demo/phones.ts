import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Agent } from 'undici'
import type { Client } from './client.js'
import { createFakeWx, overHttp, type FakeWx } from './fake-wx.js'
import { seeded } from './random.js'
import type { CaughtRight } from './verify.js'

/** What is used of the built library's kit; miniprogram/types.ts has all of it. */
export type Kit = {
  captureSubmit(event: { detail: { formId: string } }, place?: string): void
  requestPayment(options: Record<string, unknown>): Promise<unknown>
  requestSubscribe(templateIds: string[], place?: string): Promise<{ accepted: string[] }>
  track(name: string, properties?: Record<string, unknown>): void
  flush(): Promise<void>
  stop(): void
  status(): {
    queued: number
    acknowledged: Record<string, number>
    dropped: Record<string, number>
    refused: Record<string, number>
  }
}
export type Library = { createKit(options: Record<string, unknown>): Kit }

/** Who holds a phone, and what it will be asked to do. */
export type Owner = { index: number; appid: string; openid: string; templateId: string }

/** One phone's day. */
export type Habits = {
  /** Forms submitted, each worth one send. */
  forms: number
  /** The first form's id handed in twice, as a double tap does. */
  doubleTap: boolean
  /** The devtools' mock id: before the server has spoken (it judges), or after (the library does). */
  mock: 'early' | 'late' | null
  /** A phone of today answers that form ids are deprecated. */
  deprecated: boolean
  payment: 'paid' | 'cancelled' | null
  subscribe: 'accept' | 'reject' | 'switchedOff' | null
  /** Everything after the payment happens without a network, which then comes back. */
  offline: boolean
  /** The app is killed with catches in its storage and started again. */
  restart: boolean
  /** The network breaks while a batch is under way: the server has it and the phone does not know. */
  losesAnswer: boolean
}

/** The same phone does the same in every run; the shares are what a shop may see, exaggerated. */
export function habitsOf(index: number): Habits {
  const idle = index % 20 === 9
  return {
    forms: idle ? 0 : 1 + (index % 2),
    doubleTap: index % 10 === 1,
    mock: index % 10 === 2 ? 'early' : index % 10 === 3 ? 'late' : null,
    deprecated: index % 10 === 4,
    payment: index % 5 === 0 ? (index % 15 === 10 ? 'cancelled' : 'paid') : null,
    subscribe: idle ? null : index % 25 === 7 ? 'switchedOff' : index % 4 === 3 ? 'reject' : 'accept',
    offline: index % 6 === 2,
    restart: index % 7 === 3,
    losesAnswer: index % 8 === 5
  }
}

export type PhonesReport = {
  /** Phones whose outbox is empty. */
  done: number
  acknowledged: Record<string, number>
  refusedAtDoor: Record<string, number>
  dropped: number
  /** Catches still waiting in some outbox when patience ended. */
  queued: number
  caught: CaughtRight[]
}

const MOCK = 'the formId is a mock one'
const DEPRECATED = 'requestFormId:fail deprecated'
const AT_ONCE = 40
const PATIENCE_MS = 30_000

/** @throws Error when the library was not built */
export function loadLibrary(): Library {
  const places = ['../miniprogram/miniprogram_dist/index.js', '../../miniprogram/miniprogram_dist/index.js']
  const path = places.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((each) => existsSync(each))
  if (path === undefined) throw new Error('the phone library is not built: npm run build:miniprogram')
  return createRequire(path)(path) as Library
}

/**
 * Phones with the built library, living through their habits against a real server; WeChat's part (login codes, form
 * ids, payments, choices) comes from the sandbox. `sawDone` hears how many are through.
 */
export function createPhones(parts: {
  server: string
  sandbox: Client
  seed: number
  library: Library
  sawDone?: (done: number) => void
}) {
  const { sandbox, library } = parts
  const pool = new Agent({ connections: 64 })
  const network = overHttp(pool)

  async function live(owner: Owner, report: PhonesReport): Promise<void> {
    const { appid, openid, index, templateId } = owner
    const habits = habitsOf(index)
    const random = seeded(parts.seed * 100_003 + index)
    const storage = new Map<string, unknown>()
    const rights: CaughtRight[] = []
    const doorCounts: Record<string, number>[] = []

    const boot = (): { device: FakeWx; kit: Kit } => {
      const device = createFakeWx({
        appId: appid,
        storage,
        network,
        login: async () => (await sandbox.post('/sandbox/codes', { appid, openid })).code,
        pay: async (options) => {
          if (habits.payment === 'cancelled') return 'requestPayment:fail cancel'
          await sandbox.post('/sandbox/orders/pay', { prepayId: String(options['package']).replace('prepay_id=', '') })
          return 'requestPayment:ok'
        },
        subscribe: (ids) =>
          habits.subscribe === 'switchedOff'
            ? { errCode: 20004, errMsg: 'requestSubscribeMessage:fail main switch is off' }
            : Object.fromEntries(ids.map((id) => [id, habits.subscribe ?? 'reject']))
      })
      const env = { random }
      return {
        device,
        kit: library.createKit({ server: parts.server, api: device.wx, env, timeoutMs: 4000, leaseMs: 5000 })
      }
    }

    async function submit(kit: Kit, place: string): Promise<string> {
      const { formIds } = await sandbox.post<{ formIds: [string] }>('/sandbox/formids', { appid, openid })
      kit.captureSubmit({ detail: { formId: formIds[0] } }, place)
      rights.push({ kind: 'formId', id: formIds[0], appid, openid })
      return formIds[0]
    }

    let { device, kit } = boot()
    if (habits.mock === 'early') kit.captureSubmit({ detail: { formId: MOCK } }, 'home')
    kit.track('app_opened', { index })

    if (habits.payment !== null) {
      const order = await sandbox.post('/sandbox/orders', { appid, openid })
      const asked = { timeStamp: '1', nonceStr: 'n', package: order.package, signType: 'MD5', paySign: 's' }
      await kit.requestPayment({ ...asked, orderId: order.orderId, place: 'checkout' }).catch(() => {})
      if (habits.payment === 'paid') rights.push({ kind: 'prepayId', id: order.prepayId, appid, openid })
    }
    if (habits.offline) device.setOnline(false)
    for (let n = 0; n < habits.forms; n++) {
      const formId = await submit(kit, n === 0 ? 'home' : 'detail')
      if (n === 0 && habits.doubleTap) kit.captureSubmit({ detail: { formId } }, 'home')
    }
    if (habits.deprecated) kit.captureSubmit({ detail: { formId: DEPRECATED } }, 'home')
    if (habits.subscribe !== null) {
      const accepted = habits.subscribe === 'accept'
      if (accepted) await sandbox.post('/sandbox/grants', { appid, openid, templateId, push: false })
      await kit.requestSubscribe([templateId], 'detail')
      if (accepted) rights.push({ kind: 'grant', id: templateId, appid, openid })
    }
    if (habits.losesAnswer) {
      void kit.flush()
      await sleep(5 + 30 * random())
      device.setOnline(false)
      await sleep(20)
    }
    if (habits.restart) {
      doorCounts.push(kit.status().refused)
      device.kill()
      kit.stop()
      ;({ device, kit } = boot())
    }
    device.setOnline(true)
    if (habits.mock === 'late') {
      await kit.flush() // after the first session the library knows whether the server takes mock ids
      kit.captureSubmit({ detail: { formId: MOCK } }, 'home')
    }
    const until = performance.now() + PATIENCE_MS
    for (await kit.flush(); kit.status().queued > 0 && performance.now() < until; await kit.flush()) await sleep(150)

    const { queued, acknowledged, dropped, refused } = kit.status()
    device.hide()
    kit.stop()
    for (const counts of [...doorCounts, refused]) add(report.refusedAtDoor, counts)
    add(report.acknowledged, acknowledged)
    report.dropped += Object.values(dropped).reduce((sum, n) => sum + n, 0)
    report.queued += queued
    report.caught.push(...rights)
    if (queued === 0) report.done += 1
    parts.sawDone?.(report.done)
  }

  return {
    /** All of them, forty at a time. */
    async live(owners: readonly Owner[]): Promise<PhonesReport> {
      const report = { done: 0, acknowledged: {}, refusedAtDoor: {}, dropped: 0, queued: 0, caught: [] } as PhonesReport
      const next = owners[Symbol.iterator]()
      const lane = async () => {
        for (let item = next.next(); !item.done; item = next.next()) await live(item.value, report)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, lane))
      await pool.close()
      return report
    }
  }
}

function add(sums: Record<string, number>, more: Record<string, number>): void {
  for (const [name, n] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + n
}
