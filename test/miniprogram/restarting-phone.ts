import { createFakeWx, type FakeAnswer, type FakeRequest } from '../../demo/fake-wx.js'
import { createScriptedServer, library } from './library.js'
import { createVirtualEnv } from './virtual-env.js'

/** One person's phone over many starts of the app: storage stays, everything else dies with each start. */
export function createPhone(seed: number, copies: number, options: object = {}, settings: object = {}) {
  const time = createVirtualEnv(seed)
  const server = createScriptedServer(time.env.now, { batchSize: 7, flushMs: 3000, ...settings })
  const storage = new Map<string, unknown>()
  const reads: string[] = []
  const writes: string[] = []
  let online = true
  let dead = false
  let crashIn = 0
  let full = false
  let unreadable = false
  let slowMs = 0
  let app: ReturnType<typeof time.app>
  let fake: ReturnType<typeof createFakeWx>
  let kits: any[] = []

  const wait = () => new Promise<void>((resolve) => time.env.setTimeout(resolve, slowMs * time.env.random()))
  /** On its way to the server and back a request may be overtaken by others, and arrive when its phone is long dead. */
  async function network(request: FakeRequest): Promise<FakeAnswer> {
    if (slowMs > 0) await wait()
    const answer = await server.network(request)
    if (slowMs > 0) await wait()
    return answer
  }
  function crash() {
    dead = true
    fake.kill()
    app.kill()
  }
  function start() {
    dead = false
    crashIn = 0
    app = time.app()
    fake = createFakeWx({
      storage,
      login: () => 'code',
      network,
      beforeWrite(key) {
        writes.push(key)
        if (full) throw new Error('setStorageSync:fail exceed max size')
        if (crashIn > 0 && --crashIn === 0) {
          crash()
          throw new Error('the app died')
        }
      }
    })
    const { getStorageSync } = fake.wx
    fake.wx.getStorageSync = (key: string) => {
      reads.push(key)
      if (unreadable) throw new Error('getStorageSync:fail')
      return getStorageSync(key)
    }
    fake.setOnline(online)
    kits = Array.from({ length: copies }, () =>
      library.createKit({ server: 'https://hy.example', api: fake.wx, env: app.env, ...options })
    )
  }
  start()
  return {
    time,
    server,
    storage,
    /** Keys of storage as they were read and written. */
    reads,
    writes,
    kit: (copy: number) => kits[copy % copies],
    fake: () => fake,
    alive: () => !dead,
    crash: () => dead || crash(),
    restart() {
      if (!dead) crash()
      start()
    },
    crashAtWrite: (n: number) => void (crashIn = n),
    /** Each way of each request takes a random time up to `ms` from now on. */
    setSlow: (ms: number) => void (slowMs = ms),
    setFull: (now: boolean) => void (full = now),
    setUnreadable: (now: boolean) => void (unreadable = now),
    setOnline(now: boolean) {
      online = now
      if (!dead) fake.setOnline(now)
    }
  }
}

/** What may come instead of the server's answer. */
export const FAULTS = {
  none: () => null,
  offline: () => 'offline' as const,
  lost: () => 'lost' as const,
  500: () => ({ statusCode: 500, data: 'oops' }),
  429: () => ({ statusCode: 429, header: { 'retry-after': '90' } }),
  dated: () => ({ statusCode: 503, header: { 'Retry-After': 'Sun, 01 Mar 2026 04:30:00 GMT' } }),
  401: ({ path }: { path: string }) => (path.endsWith('session') ? null : { statusCode: 401 }),
  silent: ({ path }: { path: string }) => (path.endsWith('session') ? null : { statusCode: 202, data: { items: [] } }),
  wrong: ({ path }: { path: string }) => (path.endsWith('session') ? null : { statusCode: 400, data: 'bad gateway' }),
  html: () => ({ statusCode: 200, data: '<html>log in to this hotel</html>' })
} satisfies Record<string, (request: { path: string; body: any }) => FakeAnswer | 'offline' | 'lost' | null>

/** Has the kit catch something that is found again by `value`. */
export function take(kit: any, source: string, value: string): void {
  if (source === 'form') kit.captureSubmit({ detail: { formId: value } })
  if (source === 'event') kit.track('seen', { value })
  if (source === 'open') kit.reportOpen({ query: { hytag: value } })
  if (source === 'grant') void kit.requestSubscribe([value])
  if (source === 'payment') {
    void kit.requestPayment({ timeStamp: '1', nonceStr: 'n', package: `prepay_id=${value}`, paySign: 's' })
  }
}
export const valueOf = (item: any): string => item.templateId ?? item.tag ?? item.properties?.value ?? item.value
