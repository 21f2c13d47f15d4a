import { Writable } from 'node:stream'
import t from 'tap'
import { buildApp } from '../../../server/app.js'
import { createLog } from '../../../server/platform/log.js'
import { buildTestApp } from '../../support/build-app.js'

const SHOP = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }

t.test('a message is followed through the log by its id, a request by its own; nobody is named', async (t) => {
  const app = await buildTestApp(t, { wechat: 'sandbox' })
  const lines: Record<string, unknown>[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    }
  })
  const server = await buildApp({ ...app.parts, log: createLog({ level: 'info', destination }) })
  t.teardown(() => server.stop())
  await server.start()

  const account = await app.account(SHOP)
  const ask = async (path: string, body: unknown): Promise<any> => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(app.sandbox!.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return answer.json()
  }
  const [person] = await ask('/sandbox/users', { appids: [SHOP.appId] })
  const openId = person.openids[SHOP.appId]
  const { formIds } = await ask('/sandbox/formids', { appid: SHOP.appId, openid: openId })
  await ask('/sandbox/rules', { path: '/cgi-bin/message/wxopen/template/send', action: { errcode: 40003 } })
  await app.rooms.templates.sync(account.id)
  const headers = await app.key(['credentials:write', 'messages:send'])
  const caughtAt = app.clock.now().toISOString()
  const items = [{ id: 'a', openId, source: 'form', value: formIds[0], caughtAt }]
  await server.app.inject({
    method: 'POST',
    url: '/v1/credentials',
    headers,
    payload: { accountId: account.id, items }
  })
  const posted = await server.app.inject({
    method: 'POST',
    url: '/v1/messages?secret=query',
    headers: { ...headers, 'idempotency-key': 'one' },
    payload: {
      accountId: account.id,
      to: { openId },
      templateId: 'SandboxLegacyShipped_0000000000000000000000',
      content: { keyword1: '8231', keyword2: '顺丰', keyword3: 'SF1024', keyword4: '2026-11-22 10:00' }
    }
  })
  t.equal(posted.statusCode, 202, posted.body)
  const { id: messageId } = posted.json()
  await server.rooms.messages.settleAll()

  const of = (msg: string) => lines.find((line) => line.msg === msg)
  t.match(of('message posted'), { accountId: account.id, messageId, reqId: posted.headers['x-request-id'] })
  t.match(of('a send was not accepted'), { accountId: account.id, messageId, code: 40003, to: 'failed' })
  const all = JSON.stringify(lines)
  for (const secret of [openId, formIds[0], SHOP.secret, 'secret=query', headers.authorization.slice(10)]) {
    t.notOk(all.includes(secret), `${secret.slice(0, 6)}… stays out`)
  }
})
