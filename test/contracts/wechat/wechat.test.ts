import t, { type Test } from 'tap'
import { createSandbox } from '../../../server/sandbox/sandbox.js'
import { MINI, SERVICE, UNVERIFIED, type AppName, type Case, type Chapter } from './case.js'
import { calls } from './cases-calls.js'
import { legacy } from './cases-legacy.js'
import { operations } from './cases-operations.js'
import { platforms } from './cases-platform.js'
import { service } from './cases-service.js'
import { subscribe } from './cases-subscribe.js'
import { tokens } from './cases-tokens.js'
import { createStage, type Answer } from './stage.js'

// What WeChat's servers promise, as data, held against the sandbox; the part that only reads against the real servers as well, when
// WECHAT_APPID and WECHAT_SECRET say whose (WECHAT_KIND=service for a service account, WECHAT_API_BASE for another host).

const CHAPTERS: readonly Chapter[] = [calls, ...tokens, ...legacy, ...subscribe, ...service, ...operations, platforms]
const START = Date.UTC(2019, 5, 8, 2, 0, 0)

function judge(t: Test, one: Case, answer: Answer, fill: <T>(value: T) => T) {
  t.equal(answer.status, one.status ?? 200)
  const code: unknown = answer.json?.errcode ?? 0
  t.ok([one.code].flat().includes(code as number), `errcode ${String(code)}: ${answer.text.slice(0, 300)}`)
  if (one.has !== undefined) t.match(answer.json, fill(one.has))
  for (const key of one.lacks ?? []) t.notOk(key in answer.json, `no ${key}`)
  if (one.text !== undefined) t.match(answer.text, fill(one.text))
  if (one.contentType !== undefined) t.match(answer.contentType, one.contentType)
}

t.test('the sandbox', async (t) => {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 7, now: () => START })
  const stage = createStage(sandbox.url)
  t.teardown(async () => {
    await stage.close()
    await sandbox.close()
  })
  const post = (name: string, body: unknown) => stage.put({ method: 'POST', path: `/sandbox/${name}`, body })
  for (const { title, cases } of CHAPTERS) {
    await t.test(title, async (t) => {
      for (const one of cases) {
        await t.test(`${one.fact} · ${one.name}`, async (t) => {
          stage.clear({})
          await post('reset', {})
          await post('settings', { push: { on: false } })
          await post('apps', [
            { ...MINI, kind: 'miniprogram', openPlatform: 'demo', pages: ['pages/home', 'pages/parcel/detail'] },
            { ...UNVERIFIED, kind: 'service', verified: false }
          ])
          const { json } = await post('users', { appids: [MINI.appid, SERVICE.appid], followers: [SERVICE.appid] })
          const other = (await post('users', { appids: [MINI.appid] })).json[0].openids[MINI.appid]
          const { openids, unionid } = json[0]
          stage.clear({ openid: openids[MINI.appid], follower: openids[SERVICE.appid], unionid, other })
          for (const step of one.before ?? []) await stage.act(step)
          const answers = await Promise.all((one.atOnce ?? [0]).map(() => stage.put(one.ask, one.as)))
          for (const answer of answers) judge(t, one, answer, stage.fill)
          if (one.atOnce !== undefined) t.same(answers.map(({ json }) => json.errcode).sort(), one.atOnce)
        })
      }
    })
  }
})

t.test('the contract', async (t) => {
  const all = CHAPTERS.flatMap(({ cases }) => cases)
  t.ok(all.length >= 150, `${all.length} cases`)
  const names = CHAPTERS.flatMap(({ title, cases }) => cases.map(({ fact, name }) => `${title}: ${fact} ${name}`))
  t.same(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
    'no case twice'
  )
  const reading = all.filter(({ readOnly }) => readOnly)
  t.ok(
    reading.every(({ before }) => before === undefined),
    'what may be asked of the real servers needs nothing prepared'
  )
  t.comment(`${all.length} contract cases, ${reading.length} of them read-only`)
})

const { WECHAT_APPID: appid, WECHAT_SECRET: secret, WECHAT_KIND: kind, WECHAT_API_BASE: base } = process.env
if (appid !== undefined && secret !== undefined) {
  t.test('the real servers', async (t) => {
    const name: AppName = kind === 'service' ? 'service' : 'mini'
    const stage = createStage(base ?? 'https://api.weixin.qq.com', { [name]: { appid, secret } })
    t.teardown(() => stage.close())
    for (const { cases } of CHAPTERS) {
      for (const one of cases) {
        if (one.readOnly !== true || (one.as ?? one.of ?? name) !== name) continue
        await t.test(`${one.fact} · ${one.name}`, async (t) =>
          judge(t, one, await stage.put(own(one.ask), one.as), (value) => value)
        )
      }
    }

    /** The case's own app stands for the account at hand. */
    function own(ask: Case['ask']): Case['ask'] {
      const swap = (text: string) => text.replaceAll(MINI.appid, appid!).replaceAll(MINI.secret, secret!)
      return ask.query === undefined
        ? ask
        : { ...ask, query: JSON.parse(swap(JSON.stringify(ask.query))) as Record<string, string> }
    }
  })
}
