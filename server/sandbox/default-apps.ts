import { SERVICE_LIBRARY, SUBSCRIBE_LIBRARY, LEGACY_LIBRARY } from './library.js'
import { serviceTemplate } from './service.js'
import { subscribeTemplate } from './newtmpl.js'
import type { AppInput, PlatformInput } from './control-shapes.js'
import type { Template } from './world.js'

/**
 * The apps every sandbox starts with: two mini-programs and a service account, bound to one Open Platform account. Fixed, invented
 * ids, so that examples can be copied; the README lists them.
 */
export const DEFAULT_APPS: readonly AppInput[] = [
  {
    appid: 'wx5b1a2c3d4e5f6001',
    secret: '6001a1b2c3d4e5f60718293a4b5c6d7e',
    kind: 'miniprogram',
    name: '晨读书店',
    userName: 'gh_5b1a2c3d6001',
    openPlatform: 'demo'
  },
  {
    appid: 'wx5b1a2c3d4e5f6002',
    secret: '6002a1b2c3d4e5f60718293a4b5c6d7e',
    kind: 'miniprogram',
    name: '山岚诊所',
    userName: 'gh_5b1a2c3d6002',
    openPlatform: 'demo'
  },
  {
    appid: 'wx5b1a2c3d4e5f6003',
    secret: '6003a1b2c3d4e5f60718293a4b5c6d7e',
    kind: 'service',
    name: '晨读书店服务号',
    userName: 'gh_5b1a2c3d6003',
    onceTemplateId: 'SandboxOnceNotice_'.padEnd(43, '0'),
    openPlatform: 'demo'
  }
]

/** The third-party platform every sandbox starts with; it has no addresses, so nothing is pushed until they are set. */
export const DEFAULT_PLATFORM: PlatformInput = {
  appid: 'wx5b1a2c3d4e5f6009',
  secret: '6009a1b2c3d4e5f60718293a4b5c6d7e',
  name: '鸿雁',
  token: 'sandbox_platform',
  aesKey: 'sandboxPlatformAESKey0123456789abcdefghijkA'
}

const fixedId = (head: string) => head.padEnd(43, '0')

/** Templates the default apps already own, so that phones can ask for grants before anyone has added any. */
export function defaultTemplates(appid: string): Template[] {
  const legacy = LEGACY_LIBRARY.find(({ id }) => id === 'AT0007')!.keywords.slice(0, 4)
  const subscribe = (id: string, tid: number) => {
    const title = SUBSCRIBE_LIBRARY.find((one) => one.tid === tid)!
    return subscribeTemplate(fixedId(id), title, title.keywords.slice(0, 3))
  }
  switch (appid) {
    case 'wx5b1a2c3d4e5f6001':
      return [
        {
          templateId: fixedId('SandboxLegacyShipped_'),
          kind: 'legacy',
          title: '订单发货提醒',
          content: legacy.map(({ name }, i) => `${name}{{keyword${i + 1}.DATA}}\n`).join(''),
          example: legacy.map(({ name, example }) => `${name}:${example}\n`).join(''),
          keys: legacy.map((_, i) => `keyword${i + 1}`)
        },
        subscribe('SandboxSubscribePickup_', 402)
      ]
    case 'wx5b1a2c3d4e5f6002':
      return [subscribe('SandboxSubscribeBooking_', 2210), subscribe('SandboxLongTermVisit_', 2201)]
    case 'wx5b1a2c3d4e5f6003': {
      const title = SERVICE_LIBRARY.find(({ id }) => id === '43216')!
      return [serviceTemplate(fixedId('SandboxServiceShipped_'), title, ['订单号', '商品', '发货时间'])]
    }
    default:
      return []
  }
}
