import t from 'tap'
import type { SettingsPatch } from '../../../shared/settings.js'
import { DEFAULTS, inForce, merged } from '../../../server/settings/merge.js'
import { buildTestApp } from '../../support/build-app.js'
import { receiver } from '../webhooks/receiver.js'

t.test('figures', async (t) => {
  t.test('are the defaults where nobody set any', async (t) => {
    t.same(inForce({}), DEFAULTS)
    t.same(inForce({ queue: { behindMs: 1_000_000 } }).queue, { ...DEFAULTS.queue, behindMs: 1_000_000 })
  })
  t.test('are stored only where they differ', async (t) => {
    const one = merged({}, { queue: { behindMs: 1_000_000, clearMs: DEFAULTS.queue.clearMs } })
    t.same(one, { queue: { behindMs: 1_000_000 } })
    t.same(merged(one, { queue: { enabled: false } }), { queue: { behindMs: 1_000_000, enabled: false } })
    t.same(merged(one, { queue: { behindMs: DEFAULTS.queue.behindMs } }), {}, 'set back by its value')
    t.same(merged(one, { queue: null, failures: { share: 0.5 } }), { failures: { share: 0.5 } }, 'set back by null')
    t.same(merged(one, {}), one)
  })
})

t.test('settings over REST', async (t) => {
  const server = await buildTestApp(t)
  const owner = await server.login()
  const there = await receiver(t)
  const shop = await server.account()
  const robot = `${there.url}?key=693a91f6-7xxx-4bc4`
  const get = (headers: Record<string, string> = owner) => server.app.inject({ url: '/v1/settings', headers })
  const patch = (alerts: SettingsPatch['alerts'] | object, headers: Record<string, string> = owner) =>
    server.app.inject({ method: 'PATCH', url: '/v1/settings', headers, payload: { alerts } })
  const stored = () => server.db.collection('settings').findOne({ _id: 'settings' as never })

  t.test('are complete before anybody touched them, and nothing is stored', async (t) => {
    const answer = await get()
    t.equal(answer.headers.etag, '"0"')
    t.same(answer.json(), { alerts: { language: 'zh', ...DEFAULTS, targets: [] }, updatedAt: null })
    t.equal(await stored(), null)
  })

  t.test('are merged, and only the difference is stored', async (t) => {
    const answer = await patch({ failures: { share: 0.4 }, language: 'en' })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers.etag, '"1"')
    t.match(answer.json(), {
      alerts: { language: 'en', failures: { share: 0.4, clearShare: 0.1 }, queue: DEFAULTS.queue }
    })
    t.same((await stored())?.alerts, { failures: { share: 0.4 } })
    await patch({ queue: { enabled: false } })
    t.same((await stored())?.alerts, { failures: { share: 0.4 }, queue: { enabled: false } })
    await patch({ failures: null, queue: null, language: null })
    t.same((await get()).json().alerts, { language: 'zh', ...DEFAULTS, targets: [] })
    t.same((await stored())?.alerts, {})
  })

  t.test('are in force at once', async (t) => {
    await patch({ account: { calmMinutes: 7 } })
    t.equal((await server.rooms.settings.get()).thresholds.account.calmMinutes, 7)
  })

  t.test('refuse figures that contradict each other or make no sense, by name', async (t) => {
    const table: [object, string][] = [
      [{ failures: { clearShare: 0.5 } }, '/alerts/failures/clearShare'],
      [{ credentials: { days: 30 } }, '/alerts/credentials/clearDays'],
      [{ queue: { behindMs: 2_000 } }, '/alerts/queue/clearMs'],
      [{ failures: { share: 2 } }, '/alerts/failures/share'],
      [{ failures: { windowMinutes: 0 } }, '/alerts/failures/windowMinutes'],
      [{ account: { calmMinutes: 1.5 } }, '/alerts/account/calmMinutes'],
      [{ nobody: {} }, '/alerts/nobody'],
      [{ queue: { nobody: 1 } }, '/alerts/queue/nobody']
    ]
    const before = await stored()
    for (const [alerts, pointer] of table) {
      const answer = await patch(alerts)
      t.equal(answer.statusCode, 422, pointer)
      t.match(answer.json().errors, [{ pointer }], pointer)
    }
    t.same(await stored(), before)
  })

  t.test('keep two hands apart by If-Match', async (t) => {
    const { etag } = (await get()).headers
    const first = await patch({ queue: { behindMs: 400_000 } }, { ...owner, 'if-match': String(etag) })
    t.equal(first.statusCode, 200)
    const second = await patch({ queue: { behindMs: 500_000 } }, { ...owner, 'if-match': String(etag) })
    t.match([second.statusCode, second.json().code], [412, 'request.changed'])
    t.equal((await get()).json().alerts.queue.behindMs, 400_000)
    const patches = [{ queue: { behindMs: 500_000 } }, { account: { calmMinutes: 9 } }, { breaker: { calmMinutes: 8 } }]
    const all = await Promise.all(patches.map((each) => patch(each)))
    t.same(
      all.map(({ statusCode }) => statusCode),
      [200, 200, 200],
      'who did not say what they saw come one after another'
    )
    t.match((await get()).json().alerts, {
      queue: { behindMs: 500_000 },
      account: { calmMinutes: 9 },
      breaker: { calmMinutes: 8 }
    })
  })

  t.test('hold alert targets: the key is sealed and never shown', async (t) => {
    const answer = await patch({ targets: [{ name: '运维群', url: robot }] })
    t.equal(answer.statusCode, 200)
    const [target] = answer.json().alerts.targets
    t.match(target, { name: '运维群', kinds: null, accountIds: null, url: `${there.url}?…4bc4` })
    t.notMatch(answer.body, '693a91f6')
    t.notMatch(JSON.stringify(await stored()), '693a91f6')

    const renamed = await patch({
      targets: [{ id: target.id, name: 'ops', kinds: ['queue'], accountIds: [shop.appId] }]
    })
    t.match(renamed.json().alerts.targets, [{ id: target.id, name: 'ops', kinds: ['queue'], accountIds: [shop.id] }])
    there.answers(() => ({ status: 200, body: '{"errcode":0}' }))
    const url = `/v1/settings/alert-targets/${target.id}`
    const tried = await server.app.inject({ method: 'POST', url: `${url}/test`, headers: owner })
    t.match(tried.json(), { state: 'delivered', attempts: [{ status: 200 }] })
    t.match(there.received.at(-1), { path: '/hook?key=693a91f6-7xxx-4bc4', json: { msgtype: 'markdown' } })
    t.type(there.received.at(-1)!.json.markdown.content, 'string')
    t.notOk('webhook-signature' in there.received.at(-1)!.headers)
    const log = await server.app.inject({ url: `${url}/deliveries`, headers: owner })
    t.equal(log.json().data.length, 1)

    await patch({ targets: [] })
    t.equal((await server.app.inject({ method: 'POST', url: `${url}/test`, headers: owner })).statusCode, 404)
  })

  t.test('refuse targets inside, unknown ones, and new ones without an address', async (t) => {
    const table: [object, string][] = [
      [{ name: 'x', url: 'https://10.0.0.1/' }, '/alerts/targets/0/url'],
      [{ name: 'x', url: 'http://qyapi.weixin.qq.com/' }, '/alerts/targets/0/url'],
      [{ name: 'x' }, '/alerts/targets/0/url'],
      [{ name: 'x', id: 'nobody' }, '/alerts/targets/0/id'],
      [{ name: 'x', url: robot, accountIds: ['nobody'] }, '/alerts/targets/0/accountIds/0'],
      [{ name: 'x', url: robot, kinds: ['nothing'] }, '/alerts/targets/0/kinds/0']
    ]
    for (const [target, pointer] of table) {
      const answer = await patch({ targets: [target] })
      t.equal(answer.statusCode, 422, pointer)
      t.match(answer.json().errors, [{ pointer }])
    }
  })

  t.test('are read by viewers and changed by operators, of all accounts', async (t) => {
    t.equal((await get({})).statusCode, 401)
    t.equal((await get(await server.login('viewer'))).statusCode, 200)
    t.equal((await patch({}, await server.login('editor'))).statusCode, 403)
    t.equal((await patch({}, await server.login('operator'))).statusCode, 200)
    t.equal((await get(await server.login('owner', [shop.id]))).statusCode, 403)
    t.equal((await patch({}, await server.login('owner', [shop.id]))).statusCode, 403)
    t.equal((await get(await server.key(['settings:read']))).statusCode, 200)
    t.equal((await patch({}, await server.key(['settings:read']))).statusCode, 403)
    t.equal((await patch({}, await server.key(['settings:write']))).statusCode, 200)
    t.equal((await get(await server.key(['accounts:read']))).statusCode, 403)
  })
})
