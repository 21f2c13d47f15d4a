import t from 'tap'
import { createSandbox } from '../../../server/sandbox/sandbox.js'
import { createSenders, msgidOf } from '../../../server/senders/senders.js'
import type { SendInput } from '../../../server/senders/sender.js'
import { createTokenCentre } from '../../../server/wechat/access-token.js'
import { bySecret } from '../../../server/wechat/token-calls.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import { createWechatApi } from '../../../server/wechat/api.js'
import { createWechatClient, type WechatResult } from '../../../server/wechat/client.js'
import { isTokenErrcode } from '../../../server/wechat/errcodes.js'
import { expectOk } from '../../../server/wechat/expect-ok.js'
import { withToken } from '../../../server/wechat/with-token.js'
import { parseTemplateContent } from '../../../server/senders/values.js'
import { createClock } from '../../../server/platform/clock.js'
import { memoryTokenRows } from './memory-token-rows.js'

const MINI = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
const SERVICE = { appId: 'wx5b1a2c3d4e5f6003', secret: '6003a1b2c3d4e5f60718293a4b5c6d7e' }
const SECRETS: Record<string, string> = { [MINI.appId]: MINI.secret, [SERVICE.appId]: SERVICE.secret }

type Action = Parameters<Awaited<ReturnType<typeof createSandbox>>['controls']['addRule']>[0]['action']

/** A local WeChat, and as many of our processes as a test likes, sharing one table of tokens. */
async function setUp(t: { teardown(end: () => unknown): void }) {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 7 })
  t.teardown(() => sandbox.close())
  const rows = memoryTokenRows()
  const account = (appId: string, more: Partial<WechatAccount> = {}): WechatAccount => ({
    accountId: appId,
    appId,
    kind: appId === SERVICE.appId ? 'service' : 'miniprogram',
    apiBase: sandbox.url,
    tokenApi: 'stable',
    ...more
  })
  const host = () => {
    const client = createWechatClient()
    t.teardown(() => client.close())
    const tokens = createTokenCentre({
      rows,
      clock: createClock(),
      fetcher: bySecret({ client, secretOf: async (appId) => SECRETS[appId]! }),
      seal: { seal: (text) => text, open: (text) => text },
      random: () => 0.5,
      sleep: () => new Promise((done) => setImmediate(done))
    })
    return { tokens, api: createWechatApi({ client, tokens }), senders: createSenders({ client, tokens }) }
  }
  const [person] = sandbox.controls.addUsers({
    count: 1,
    appids: [MINI.appId, SERVICE.appId],
    followers: [SERVICE.appId]
  })
  const openIdOf = (appId: string): string => person.openids[appId]
  return { sandbox, account, host, openIdOf }
}

t.test('from the library to a person, and not twice', async (t) => {
  const { sandbox, account, host, openIdOf } = await setUp(t)
  const { api, senders } = host()
  const mini = account(MINI.appId, { tokenApi: 'classic' })
  const openId = openIdOf(MINI.appId)

  const { list } = expectOk(await api.legacy.libraryList(mini))
  const entry = expectOk(await api.legacy.libraryGet(mini, list[0]!.id))
  const keywords = entry.keyword_list.slice(0, 2)
  const added = expectOk(await api.legacy.add(mini, entry.id, keywords.map((keyword) => keyword.keyword_id))) // prettier-ignore
  const own = expectOk(await api.legacy.list(mini)).list.find((one) => one.template_id === added.template_id)!
  const fields = parseTemplateContent(own.content)
  t.same(fields.map(({ name, type }) => [name, type]), keywords.map(({ name }) => [name, 'keyword'])) // prettier-ignore

  const { formIds } = sandbox.controls.mintFormIds({ appid: MINI.appId, openid: openId }) as {
    formIds: string[]
  }
  const data = Object.fromEntries(fields.map(({ key }) => [key, { value: '东门柜机' }]))
  const input: SendInput = { channel: 'legacy', openId, templateId: added.template_id, data, formId: formIds[0]! }
  t.match(await senders.deliver(mini, input), { kind: 'answer', errcode: 0 })
  t.match(await senders.deliver(mini, input), { kind: 'answer', errcode: 41029, rid: String })
  t.match(await senders.deliver(mini, { ...input, formId: 'f'.repeat(32) }), { kind: 'answer', errcode: 41028 })
  expectOk(await api.legacy.del(mini, added.template_id))
  t.match(await senders.deliver(mini, input), { errcode: 40037 })
})

t.test('subscribe and service messages come back with their numbers in full', async (t) => {
  const { sandbox, account, host, openIdOf } = await setUp(t)
  const { api, senders } = host()
  const mini = account(MINI.appId)
  const categories = expectOk(await api.subscribe.getCategory(mini)).data
  const titles = expectOk(await api.subscribe.getPubTemplateTitles(mini, categories.map(({ id }) => id))) // prettier-ignore
  const title = titles.data.find(({ type }) => type === 2)!
  const kids = expectOk(await api.subscribe.getPubTemplateKeywords(mini, String(title.tid))).data
  const { priTmplId } = expectOk(
    await api.subscribe.addTemplate(mini, String(title.tid), [kids[1]!.kid, kids[0]!.kid], '取件')
  )
  t.ok(expectOk(await api.subscribe.getTemplate(mini)).data.some((own) => own.priTmplId === priTmplId))
  expectOk(await api.subscribe.delTemplate(mini, priTmplId))

  const templateId = 'SandboxSubscribePickup_'.padEnd(43, '0')
  const openId = openIdOf(MINI.appId)
  const data = { thing1: { value: '东门柜机' }, character_string2: { value: '8-1-2' }, time3: { value: '20:45' } }
  const input: SendInput = { channel: 'subscribe', openId, templateId, data }
  t.match(await senders.deliver(mini, input), { errcode: 43101 })
  sandbox.controls.grant({ appid: MINI.appId, openid: openId, templateId })
  t.match(msgidOf(await senders.deliver(mini, input)), /^\d{19}$/)

  const account3 = account(SERVICE.appId)
  const page = expectOk(await api.users.get(account3))
  t.ok(page.data!.openid.includes(openIdOf(SERVICE.appId)))
  const infos = expectOk(await api.users.batchGet(account3, page.data!.openid.slice(0, 100))).user_info_list
  t.match(infos[0], { subscribe: 1, unionid: String })
  t.match(expectOk(await api.users.info(account3, openIdOf(SERVICE.appId))), { subscribe: 1 })
  const shipped: SendInput = {
    channel: 'service',
    openId: openIdOf(SERVICE.appId),
    templateId: 'SandboxServiceShipped_'.padEnd(43, '0'),
    data: {
      character_string1: { value: 'A20240001' },
      thing2: { value: '蓝色水杯' },
      time3: { value: '2024-05-01 09:30' }
    },
    clientMsgId: 'm1.0'
  }
  t.match(msgidOf(await senders.deliver(account3, shipped)), /^\d{19}$/)
  t.match(expectOk(await api.quota.get(account3, '/cgi-bin/message/template/send')).quota, { used: Number })
  t.ok(expectOk(await api.service.getAllPrivateTemplate(account3)).template_list.length > 0)
})

t.test('faults on the way are values that say how far the request came', async (t) => {
  const { sandbox, account, host, openIdOf } = await setUp(t)
  const { senders, tokens } = host()
  const mini = account(MINI.appId)
  const { token } = await tokens.current(mini)
  const openId = openIdOf(MINI.appId)
  const templateId = 'SandboxLegacyShipped_'.padEnd(43, '0')
  const input: SendInput = { channel: 'legacy', openId, templateId, data: { keyword1: { value: 'x' } }, formId: 'x' }
  const kinds: [Action, Partial<WechatResult>][] = [
    [{ errcode: -1 }, { kind: 'answer' }],
    [{ http: 404 }, { kind: 'refused' }],
    [{ http: 500 }, { kind: 'noAnswer' }],
    [{ html: true }, { kind: 'noAnswer' }],
    [{ empty: true }, { kind: 'noAnswer' }],
    [{ truncate: true }, { kind: 'noAnswer' }],
    [{ reset: 'before' }, { kind: 'noAnswer' }],
    [{ reset: 'after' }, { kind: 'noAnswer' }],
    [{ huge: 10_000_000 }, { kind: 'noAnswer' }]
  ]
  for (const [action, expected] of kinds) {
    sandbox.controls.addRule({ path: '/cgi-bin/message/wxopen/template/send', times: 1, action })
    t.match(await senders.send(mini, input, token), expected, JSON.stringify(action))
  }
  t.match(await senders.send(mini, input, token), { kind: 'answer', errcode: 41028 })
})

t.test('a token voided under 200 sends of two processes costs one refresh and no message', async (t) => {
  for (const tokenApi of ['classic', 'stable'] as const) {
    const { sandbox, account, host, openIdOf } = await setUp(t)
    const hosts = [host(), host()]
    const mini = account(MINI.appId, { tokenApi })
    const openid = openIdOf(MINI.appId)
    const { formIds } = sandbox.controls.mintFormIds({ appid: MINI.appId, openid, count: 200 }) as {
      formIds: string[]
    }
    const templateId = 'SandboxLegacyShipped_'.padEnd(43, '0')
    for (const { tokens } of hosts) await tokens.current(mini)

    const results = await Promise.all(
      formIds.map(async (formId, i) => {
        const { tokens, senders } = hosts[i % 2]!
        if (i === 100) sandbox.controls.voidTokens(MINI.appId)
        const input: SendInput = {
          channel: 'legacy',
          openId: openid,
          templateId,
          data: { keyword1: { value: 'x' } },
          formId
        }
        const first = await tokens.current(mini)
        const result = await senders.send(mini, input, first.token)
        if (result.kind !== 'answer' || !isTokenErrcode(result.errcode)) return result
        const second = await tokens.refused(mini, first.gen)
        return senders.send(mini, input, second.token)
      })
    )
    t.ok(
      results.every((result) => result.kind === 'answer' && result.errcode === 0),
      tokenApi
    )
    const path = tokenApi === 'classic' ? '/cgi-bin/token' : '/cgi-bin/stable_token'
    const calls = sandbox.requests({ path, limit: 100 })
    t.equal(calls.length, 2, 'one fetch at first, one for the voiding')
  }
})

t.test('a token voided in the middle of a run of 200 sends costs one refresh and no message either', async (t) => {
  for (const tokenApi of ['classic', 'stable'] as const) {
    const { sandbox, account, host, openIdOf } = await setUp(t)
    const hosts = [host(), host()]
    const mini = account(MINI.appId, { tokenApi })
    const openid = openIdOf(MINI.appId)
    const minted = sandbox.controls.mintFormIds({ appid: MINI.appId, openid, count: 200 }) as { formIds: string[] }
    const templateId = 'SandboxLegacyShipped_'.padEnd(43, '0')
    const results: WechatResult[] = []
    /** Twenty at once, so that answers and refusals come mixed. */
    const lane = async () => {
      for (let formId = minted.formIds.pop(); formId !== undefined; formId = minted.formIds.pop()) {
        const { tokens, senders } = hosts[minted.formIds.length % 2]!
        if (minted.formIds.length === 100) sandbox.controls.voidTokens(MINI.appId)
        const data = { keyword1: { value: 'x' } }
        const input: SendInput = { channel: 'legacy', openId: openid, templateId, data, formId }
        results.push(await withToken(tokens, mini, (token) => senders.send(mini, input, token)))
      }
    }
    await Promise.all(Array.from({ length: 20 }, lane))
    t.equal(results.filter((result) => result.kind === 'answer' && result.errcode === 0).length, 200, tokenApi)
    const path = tokenApi === 'classic' ? '/cgi-bin/token' : '/cgi-bin/stable_token'
    t.equal(sandbox.requests({ path, limit: 100 }).length, 2)
  }
})

t.test('an account whose token is refused now and then keeps sending', async (t) => {
  const { sandbox, account, host, openIdOf } = await setUp(t)
  const { tokens, senders } = host()
  const mini = account(MINI.appId)
  const openid = openIdOf(MINI.appId)
  const { formIds } = sandbox.controls.mintFormIds({ appid: MINI.appId, openid, count: 60 }) as { formIds: string[] }
  const templateId = 'SandboxLegacyShipped_'.padEnd(43, '0')
  for (const [i, formId] of formIds.entries()) {
    if (i % 10 === 5) {
      const path = '/cgi-bin/message/wxopen/template/send'
      sandbox.controls.addRule({ path, times: 1, action: { errcode: 40001 } })
    }
    const data = { keyword1: { value: 'x' } }
    const input: SendInput = { channel: 'legacy', openId: openid, templateId, data, formId }
    t.match(await withToken(tokens, mini, (token) => senders.send(mini, input, token)), { errcode: 0 })
  }
  t.equal(sandbox.requests({ path: '/cgi-bin/stable_token', limit: 100 }).length, 1)
})
