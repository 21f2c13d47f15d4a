import t from 'tap'
import { createCampaignNews } from '../../../server/campaigns/news.js'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'
import { receiver } from '../webhooks/receiver.js'

t.test('the states of a campaign', async (t) => {
  const { app, rooms, db, account, login, clock } = await buildTestApp(t, { now: '2026-03-02T01:00:00Z' })
  const { id: accountId } = await account()
  const there = await receiver(t)
  const headers = await login()
  await templateModels(db).rows.insertOne({
    _id: `${accountId}:T`,
    accountId,
    templateId: 'T',
    kind: 'subscribe',
    title: '下单通知',
    fields: [{ key: 'thing1', name: '商品', type: 'thing' }],
    content: '',
    example: '',
    grantType: 'once',
    choices: {},
    state: 'live',
    syncedAt: clock.now(),
    deletedAt: null
  })
  await rooms.webhooks.create({ url: there.url, events: ['campaign.state'] })
  const call = async (path: string, payload?: object) => {
    const answer = await app.inject({
      method: 'POST',
      url: `/v1/campaigns${path}`,
      headers,
      ...(payload && { payload })
    })
    t.ok(answer.statusCode < 300, `${path} ${answer.statusCode} ${answer.body}`)
    return answer.json()
  }
  const make = () =>
    call('', {
      name: '提醒',
      accountId,
      templateId: 'T',
      lane: 'transactional',
      trigger: { kind: 'event', event: 'bought' },
      content: { thing1: '{{ event.item }}' }
    })
  const told = async () => {
    await rooms.webhooks.run()
    return there.received.splice(0).map(({ json }) => `${json.data.from} → ${json.data.state}`)
  }

  t.test('are told one by one, though nobody looked in between', async (t) => {
    const { id } = await make()
    await call(`/${id}/activate`)
    await call(`/${id}/pause`)
    await call(`/${id}/resume`)
    await call(`/${id}/cancel`)
    t.same(await told(), [], 'not before they are collected')
    await rooms.campaignNews()
    t.same((await told()).sort(), ['draft → online', 'online → paused', 'online → cancelled', 'paused → online'].sort())
    await rooms.campaignNews()
    t.same(await told(), [], 'once')
  })

  t.test('are told once when the collector dies after it has filed them', async (t) => {
    const { id } = await make()
    await call(`/${id}/activate`)
    const dying = createCampaignNews({
      rows: rooms.campaigns.rows,
      webhooks: {
        async file(news) {
          await rooms.webhooks.file(news)
          throw new Error('killed')
        }
      }
    })
    await t.rejects(dying(), 'killed')
    await call(`/${id}/pause`)
    await rooms.campaignNews()
    t.same((await told()).sort(), ['draft → online', 'online → paused'])
  })

  t.test('stay between the campaign and who listens', async (t) => {
    const { id } = await make()
    await call(`/${id}/activate`)
    const seen = await app.inject({ url: `/v1/campaigns/${id}`, headers })
    t.notOk('moves' in seen.json())
    const copy = await call(`/${id}/duplicate`)
    await rooms.campaignNews()
    t.same(await told(), ['draft → online'], 'a copy has been nowhere')
    t.equal((await rooms.campaigns.get(copy.id)).state, 'draft')
    t.same((await rooms.campaigns.get(id)).moves, [])
  })
})
