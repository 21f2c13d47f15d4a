import t from 'tap'
import { silentLog } from '../../../server/platform/log.js'
import { createWatching } from '../../../server/reports/watching.js'
import { buildTestApp } from '../../support/build-app.js'

t.test('who watches the same thing is told the same, and it is looked up once for all', async (t) => {
  const watching = createWatching({ log: silentLog(), everyMs: 20 })
  let looked = 0
  const ask = async () => ({ looked: ++looked })
  const heard: string[][] = [[], []]
  await new Promise<void>((resolve) => {
    const leaves = heard.map((list) =>
      watching.watch('a', ask, (text) => {
        list.push(text)
        if (heard[1]!.length < 3) return
        leaves.forEach((leave) => leave())
        resolve()
      })
    )
  })
  t.same(heard[0], heard[1])
  t.equal(looked, 3)
  t.match(heard[0], ['{"looked":1}', '{"looked":2}', '{"looked":3}'])
  const fresh = await new Promise<string>((resolve) => {
    const leave = watching.watch('a', ask, (text) => {
      leave()
      resolve(text)
    })
  })
  t.equal(fresh, '{"looked":4}', 'nothing was looked up while nobody watched, and nothing old is told')
})

t.test('the stream', async (t) => {
  const { app, login, key, account } = await buildTestApp(t)
  const { id } = await account()
  const headers = await login('viewer')
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const open = (path: string, more: object = {}) =>
    fetch(url + path, { headers: { ...headers, accept: 'text/event-stream', ...more } })

  t.test('tells the summary at once, as the route of the summary does', async (t) => {
    const answer = await open(`/v1/stream?topics=dashboard&accountId=${id}`)
    t.equal(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8')
    const { value } = await answer.body!.getReader().read()
    const [, event, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(Buffer.from(value!).toString())!
    t.equal(event, 'dashboard')
    const asked = await app.inject({ url: `/v1/dashboard/summary?accountId=${id}`, headers })
    t.same(Object.keys(JSON.parse(data!)), Object.keys(asked.json()))
    t.type(JSON.parse(data!).at, 'string')
  })
  t.test('is for those who may read messages, of accounts they may know of, and asks for a stream', async (t) => {
    t.equal((await open('/v1/stream', { authorization: 'Bearer nonsense' })).status, 401)
    t.equal((await open('/v1/stream', await key(['accounts:read']))).status, 403)
    t.equal((await open('/v1/stream?accountId=nobody')).status, 404)
    t.equal((await open('/v1/stream', { accept: 'application/json' })).status, 406)
    t.equal((await open('/v1/stream?topics=weather')).status, 422)
  })
  t.test('ends when the server stops, instead of holding it up', async (t) => {
    const reader = (await open('/v1/stream')).body!.getReader()
    await reader.read()
    const closed = app.close()
    for (let over = false; !over;) over = (await reader.read()).done
    await closed
    t.pass()
  })
})
