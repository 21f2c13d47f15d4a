import t from 'tap'
import { createClock } from '../../server/platform/clock.js'
import { buildTestApp } from '../support/build-app.js'
import { receiver, verified } from '../server/webhooks/receiver.js'

/** Waits for what jobs do by themselves; the file's own time limit ends it. */
async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((resolve) => setTimeout(resolve, 20))
}

t.test('a shop hears what became of its message, and a group chat that the account is in trouble', async (t) => {
  const { app, rooms, login, account } = await buildTestApp(t, { works: true, clock: createClock() })
  const headers = await login()
  const [shop, chat] = [await receiver(t), await receiver(t)]
  chat.answers(() => ({ status: 200, body: '{"errcode":0,"errmsg":"ok"}' }))
  const { id: accountId } = await account({ name: '晨读书店' })
  const call = async (method: 'POST' | 'PATCH', url: string, payload: object) => {
    const answer = await app.inject({ method, url, headers, payload })
    t.ok(answer.statusCode < 300, `${url} ${answer.body}`)
    return answer.json()
  }
  const events = ['message.skipped', 'account.problem']
  const { secret } = await call('POST', '/v1/webhooks', { url: shop.url, events, accountIds: [accountId] })
  const target = { name: '运维群', url: `${chat.url}?key=k` }
  await call('PATCH', '/v1/settings', { alerts: { targets: [target] } })

  // nobody who could be written to: the message is decided at once
  const person = await rooms.people.recipient(accountId, 'o-ann')
  await rooms.messages.plan([
    {
      id: 'm1',
      accountId,
      recipientId: person.id,
      personId: person.personId,
      runId: null,
      campaignId: null,
      lane: 'transactional',
      channel: 'legacy',
      templateId: 'T',
      data: {},
      open: null,
      dueAt: new Date(),
      notAfter: new Date(Date.now() + 60_000),
      waitForCredential: false,
      reference: 'order 8231'
    }
  ])
  await until(() => shop.received.length === 1)
  const [heard] = shop.received
  t.ok(verified(secret, heard!))
  t.match(heard!.json, { type: 'message.skipped', data: { reference: 'order 8231', reason: 'noCredential' } })

  await rooms.accounts.settle(accountId, { state: 'disabled', disabledReason: 'invalid appsecret', functions: {} })
  await rooms.watch.look()
  await until(() => shop.received.length === 2 && chat.received.length === 1)
  t.match(shop.received[1]!.json, {
    type: 'account.problem',
    data: { accountId, facts: { reason: 'invalid appsecret' } }
  })
  t.match(chat.received[0]!.json.markdown.content, /账号不可用或受限：invalid appsecret[^]*晨读书店/)
})
