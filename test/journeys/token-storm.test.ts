import t from 'tap'
import { liveProcesses } from '../support/live-processes.js'
import { SHOP, until } from '../support/live-app.js'

const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')
const SENDS = 200

t.test(
  'a token voided under 200 sends of two servers is fetched once more, and no message fails',
  { timeout: 180_000 },
  async (t) => {
    const sandboxArgs = ['--seed', '7', '--latency', '20-60']
    const { servers, sandbox } = await liveProcesses(t, { servers: 2, sandboxArgs })
    const [one, two] = servers

    for (const tokenApi of ['stable', 'classic'] as const) {
      await t.test(tokenApi, async (t) => {
        const path = tokenApi === 'stable' ? '/cgi-bin/stable_token' : '/cgi-bin/token'
        const fetches = async () =>
          ((await sandbox.get(`/sandbox/requests?path=${path}&limit=1000`)) as unknown[]).length
        const account =
          tokenApi === 'stable'
            ? await one!.post('/v1/accounts', {
                kind: 'miniprogram',
                appId: SHOP.appId,
                secret: SHOP.secret,
                name: 'shop',
                mode: 'live',
                apiBase: sandbox.url,
                tokenApi,
                limits: { perSecond: 100 }
              })
            : await one!.patch(`/v1/accounts/${SHOP.appId}`, { tokenApi })
        const operation = await one!.post('/v1/templates/sync', { accountId: account.id })
        await until(
          'the templates',
          () => one!.get(`/v1/operations/${operation.id}`),
          ({ state }) => state === 'done'
        )
        await two!.get(`/v1/templates?accountId=${account.id}&live=true`)

        const people: { openids: Record<string, string> }[] = await sandbox.post('/sandbox/users', {
          count: SENDS,
          appids: [SHOP.appId]
        })
        const openIds = people.map(({ openids }) => openids[SHOP.appId]!)
        const made: { formIds: string[] }[] = await sandbox.post(
          '/sandbox/formids',
          openIds.map((openid) => ({ appid: SHOP.appId, openid }))
        )
        const caughtAt = new Date().toISOString()
        await one!.post('/v1/credentials', {
          accountId: account.id,
          items: openIds.map((openId, i) => ({
            id: openId,
            openId,
            source: 'form',
            value: made[i]!.formIds[0]!,
            caughtAt
          }))
        })
        const before = await fetches()
        t.equal(before, 1, 'both servers go by one token')
        const { accepted } = await sandbox.get('/sandbox/ledger/summary')

        const sending = openIds.map((openId, i) =>
          (i % 2 === 0 ? one! : two!).post(
            '/v1/messages',
            {
              accountId: account.id,
              to: { openId },
              templateId: SHIPPED,
              content: { keyword1: String(i), keyword2: 'SF', keyword3: 'SF1', keyword4: '2026-03-01 10:00' }
            },
            { 'idempotency-key': `${tokenApi}-${i}` }
          )
        )
        const voided: number[] = []
        for (const share of [0.25, 0.6]) {
          await until(
            'sends under way',
            async () => (await sandbox.get('/sandbox/ledger/summary')).accepted - accepted,
            (count) => count >= share * SENDS,
            60_000
          )
          voided.push((await sandbox.post('/sandbox/tokens/void', { appid: SHOP.appId })).voided)
        }
        const messages = await Promise.all(sending)
        // Settled ones are not asked about again: 3,000 requests a minute are all an operator has.
        const states: { state: string; by: string }[] = []
        await until(
          'every message settled',
          () =>
            Promise.all(
              messages.map(async ({ id }, i) => {
                if (states[i] !== undefined) return
                const message = await (i % 2 === 0 ? two! : one!).get(`/v1/messages/${id}`)
                if (!['planned', 'held', 'sending'].includes(message.state)) states[i] = message
              })
            ),
          () => Object.keys(states).length === SENDS,
          60_000
        )
        t.same(
          states.filter(({ state, by }) => state !== 'accepted' || by !== 'answer'),
          [],
          'no message failed, none is in doubt'
        )
        t.ok(voided.every((count) => count > 0))
        t.equal((await fetches()) - before, voided.length, 'one refresh for each voiding')
        const refused = (await sandbox.get('/sandbox/requests?code=40001&limit=1000')) as unknown[]
        t.ok(refused.length > 0, 'sends were under way when it happened')
        t.equal((await sandbox.get('/sandbox/ledger/summary')).accepted - accepted, SENDS)
        t.comment(`${tokenApi}: ${refused.length} calls were refused so far, ${await fetches()} tokens fetched`)
      })
    }
  }
)
