import { createFakeWx, type FakePhone } from '../../demo/fake-wx.js'
import { createScriptedServer, library } from './library.js'
import { createVirtualEnv } from './virtual-env.js'

/** One phone with one kit of the built library, its server, and its time in our hands. */
export function phone(over: { phone?: FakePhone; options?: object; settings?: object; login?: () => any } = {}) {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now, { flushMs: 1000, ...over.settings })
  const network = (request: any) => server.network(request)
  const fake = createFakeWx({ login: () => 'code-1', network, ...over.phone })
  const kit = library.createKit({ server: 'https://hy.example/', api: fake.wx, env: time.env, ...over.options })
  const submit = (formId: unknown, place?: string) => kit.captureSubmit({ detail: { formId } }, place)
  return { time, server, fake, kit, submit, kept: () => [...server.kept.values()] }
}
/** What a host's backend signs for a payment. */
export const order = { timeStamp: '1', nonceStr: 'n', signType: 'MD5', package: 'prepay_id=wx2017', paySign: 's' }
