import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

t.test('the list of events', async (t) => {
  const { app, rooms, account, key, clock } = await buildTestApp(t)
  const { id: accountId } = await account()
  const { personId, id: recipientId } = await rooms.people.recipient(accountId, 'open-1')
  const item = (id: string, name: string, properties: Record<string, unknown> = {}) => {
    return { id, name, at: clock.now(), properties, personId, recipientId }
  }
  const backend = { kind: 'key' as const, id: 'k' }
  await rooms.events.intake(backend, accountId, [
    item('1', 'bought', { sealed: 'a parcel' }),
    item('2', 'Zoomed'),
    item('3', '$push:subscribe', { msgType: 'event' }),
    item('4', '$push:message', { msgType: 'text', sealed: 'k1.secret' }),
    item('5', '$paid')
  ])
  const headers = await key(['events:read'])
  const list = async (query: string) => {
    const { data, page } = (await app.inject({ url: `/v1/events?${query}`, headers })).json()
    return { names: data.map(({ name }: { name: string }) => name), total: page.total, data }
  }

  t.test('holds what people did', async (t) => {
    const { names, total, data } = await list('sort=at&count=true')
    t.same([names.sort(), total], [['Zoomed', 'bought'], 2])
    t.match(data.find(({ name }: { name: string }) => name === 'bought').properties, { sealed: 'a parcel' })
    t.same((await list(`personId=${personId}`)).names.sort(), ['Zoomed', 'bought'])
  })
  t.test('holds what WeChat pushed when that is asked for by name, without what is sealed', async (t) => {
    t.same((await list('name=$push:subscribe')).names, ['$push:subscribe'])
    const { data } = await list(`name=${encodeURIComponent('$push:message')}`)
    t.same(data[0].properties, { msgType: 'text' })
  })
  t.test('says so in the document', async (t) => {
    const document = (await app.inject('/openapi.json')).json()
    t.match(document.paths['/v1/events'].get.description, /\$push:subscribe/)
  })
})
