import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { TokenCentre } from '../../../server/wechat/access-token.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import { createWechatApi } from '../../../server/wechat/api.js'
import { createWechatClient, type WechatResult } from '../../../server/wechat/client.js'
import { createComponentApi } from '../../../server/wechat/component.js'
import { createSenders } from '../../../server/senders/senders.js'
import { failureOf } from '../../../server/wechat/expect-ok.js'

/** A WeChat that answers every call with `body`, and all calls there are. */
async function calls(t: { teardown(end: () => unknown): void }) {
  const says = { body: '{}' }
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => response.end(says.body))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const client = createWechatClient()
  t.teardown(async () => {
    await client.close()
    server.close()
  })
  const apiBase = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const account: WechatAccount = { accountId: 'a', appId: 'wx1', kind: 'service', apiBase, tokenApi: 'stable' }
  const token = { token: 't', gen: 1, expiresAt: new Date('2026-03-01') }
  const tokens = { current: async () => token, worked: () => {} } as unknown as TokenCentre
  const api = createWechatApi({ client, tokens })
  const component = createComponentApi({ client })
  const senders = createSenders({ client, tokens })
  const message = { openId: 'o', templateId: 'T', data: {} }
  const platform = { appId: 'wxp', apiBase }

  /** By what their success is told: with what they answer, or with an errcode alone. */
  const reads: Record<string, () => Promise<WechatResult<unknown>>> = {
    token: () => api.login.token(account, 's'),
    stableToken: () => api.login.stableToken(account, 's'),
    jscode2session: () => api.login.jscode2session(account, 's', 'c'),
    libraryList: () => api.legacy.libraryList(account),
    libraryGet: () => api.legacy.libraryGet(account, 'AT1'),
    legacyAdd: () => api.legacy.add(account, 'AT1', [1]),
    legacyList: () => api.legacy.list(account),
    getCategory: () => api.subscribe.getCategory(account),
    getPubTemplateTitles: () => api.subscribe.getPubTemplateTitles(account, [1]),
    getPubTemplateKeywords: () => api.subscribe.getPubTemplateKeywords(account, '1'),
    addTemplate: () => api.subscribe.addTemplate(account, '1', [1, 2]),
    getTemplate: () => api.subscribe.getTemplate(account),
    getIndustry: () => api.service.getIndustry(account),
    serviceAdd: () => api.service.addTemplate(account, 'TM1'),
    getAllPrivateTemplate: () => api.service.getAllPrivateTemplate(account),
    userGet: () => api.users.get(account),
    userInfo: () => api.users.info(account, 'o'),
    batchGet: () => api.users.batchGet(account, ['o']),
    tagsGet: () => api.tags.list(account),
    tagMembers: () => api.tags.members(account, 2),
    tagsOf: () => api.tags.of(account, 'o'),
    quotaGet: () => api.quota.get(account, '/cgi-bin/x'),
    rid: () => api.lookup.rid(account, 'r'),
    apiAddresses: () => api.lookup.apiAddresses(account),
    pushAddresses: () => api.lookup.pushAddresses(account),
    checkText: () => api.content.checkText(account, { openId: 'o', scene: 1, content: 'x' }),
    componentToken: () => component.token(platform, 's', 'ticket'),
    preAuthCode: () => component.preAuthCode(platform, 't'),
    queryAuth: () => component.queryAuth(platform, 't', 'c'),
    authorizerToken: () => component.authorizerToken(platform, 't', 'wx1', 'r'),
    authorizerInfo: () => component.authorizerInfo(platform, 't', 'wx1'),
    authorizers: () => component.authorizers(platform, 't')
  }
  const deeds: Record<string, () => Promise<WechatResult<unknown>>> = {
    checkSession: () => api.login.checkSession(account, 'o', 'k'),
    legacyDel: () => api.legacy.del(account, 'T'),
    delTemplate: () => api.subscribe.delTemplate(account, 'T'),
    setIndustry: () => api.service.setIndustry(account, '1', '2'),
    delPrivateTemplate: () => api.service.delPrivateTemplate(account, 'T'),
    consentedOnce: () => api.consented.once(account, { ...message, scene: 1, title: 't', content: 'c' }),
    bizSend: () => api.consented.bizSend(account, message),
    tagPut: () => api.tags.put(account, 2, ['o']),
    tagRemove: () => api.tags.remove(account, 2, ['o']),
    quotaClear: () => api.quota.clear(account),
    startPushTicket: () => component.startPushTicket(platform, 's'),
    sendLegacy: () => senders.send(account, { channel: 'legacy', ...message }, 't'),
    sendSubscribe: () => senders.send(account, { channel: 'subscribe', ...message }, 't'),
    sendService: () => senders.send(account, { channel: 'service', ...message }, 't')
  }
  return { says, reads, deeds }
}

t.test('an answer that lacks what its call promises is none', async (t) => {
  const { says, reads, deeds } = await calls(t)
  const strange = ['{}', '{"errcode":null}', '{"hello":[1]}', '{"data":{},"list":7,"template_list":"","total":"x"}']
  for (const body of [...strange, '{"errcode":0,"errmsg":"ok"}']) {
    says.body = body
    const told = body.includes('ok') ? reads : { ...reads, ...deeds }
    for (const [name, call] of Object.entries(told)) {
      const result = await call()
      t.match(result, { kind: 'noAnswer', reason: /^answer without what it promises: / }, `${name} ${body}`)
      t.match(failureOf(result), { code: 'wechat.no-answer', status: 502, retryable: true })
    }
  }
})

t.test('a deed is done when its errcode says so', async (t) => {
  const { says, deeds } = await calls(t)
  for (const body of ['{"errcode":0,"errmsg":"ok"}', '{"errcode":"0"}']) {
    says.body = body
    for (const [name, call] of Object.entries(deeds)) t.match(await call(), { kind: 'answer', errcode: 0 }, name)
  }
})

t.test('a refusal needs nothing but its errcode', async (t) => {
  const { says, reads, deeds } = await calls(t)
  says.body = '{"errcode":48001,"errmsg":"api unauthorized"}'
  for (const [name, call] of Object.entries({ ...reads, ...deeds })) t.match(await call(), { errcode: 48001 }, name)
})

t.test('what WeChat writes in one way today and another tomorrow is one', async (t) => {
  const { says, reads } = await calls(t)
  says.body = '{"total":"2","count":2,"data":{"openid":["o1","o2"]},"next_openid":"o2","more":1}'
  t.match(await reads.userGet!(), { body: { total: 2, count: 2, more: 1 } })
  says.body = '{"total":0,"count":0,"next_openid":""}'
  t.match(await reads.userGet!(), { kind: 'answer', body: { total: 0, count: 0 } })
  says.body = '{"total":9,"count":3,"data":{"openid":["o1"]}}'
  t.match(await reads.userGet!(), { kind: 'noAnswer' }, 'fewer than it counts')
  says.body = '{"template_list":[{"template_id":"T","title":"x"}]}'
  t.match(await reads.getAllPrivateTemplate!(), { body: { template_list: [{ template_id: 'T', content: '' }] } })
  says.body = '{"template_list":[{"template_id":7,"title":"x"}]}'
  t.match(await reads.getAllPrivateTemplate!(), { kind: 'noAnswer' }, 'an id that is none')
})
