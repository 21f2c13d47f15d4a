import type { Ledger } from './ledger.js'
import type { Pushes } from './pushes.js'
import { isObject, judgeData } from './values.js'
import {
  pageIsReleased,
  userOf,
  type Answer,
  type App,
  type Call,
  type Template,
  type User,
  type World
} from './world.js'

const STATES = new Set(['developer', 'trial', 'formal'])
const LANGUAGES = new Set(['zh_CN', 'en_US', 'zh_HK', 'zh_TW'])

/** Sends of subscribe messages: of a mini-program, and of a service account (bizsend). */
export function createSubscribe(world: World, ledger: Ledger, pushes: Pushes) {
  /** Checks in WeChat's order and, when all is well, spends one grant. `busy` is left raised until the answer has gone. */
  function judge(app: App, body: Record<string, any>, withPage: boolean): Answer | { user: User; template: Template } {
    const user = userOf(app, body.touser)
    if (user === undefined) return world.fault(40003)
    if (user.sendsUnderWay > 0) return world.fault(43108)
    const template = typeof body.template_id === 'string' ? app.templates.get(body.template_id) : undefined
    if (template === undefined || template.kind !== 'subscribe') return world.fault(40037)
    if (body.miniprogram_state !== undefined && !STATES.has(body.miniprogram_state)) return world.fault(40097)
    if (body.lang !== undefined && !LANGUAGES.has(body.lang)) return world.fault(40097)
    const formal = body.miniprogram_state === undefined || body.miniprogram_state === 'formal'
    if (withPage && formal && !pageIsReleased(app, body.page)) return world.fault(41030)
    const data = body.data
    const complaint = judgeData(template.keys, isObject(data) ? data : {}, template.enumerations)
    if (complaint !== null) return world.fault(47003, complaint)
    if (template.keys.some((key) => world.settings.riskyWords.some((word) => String(data[key].value).includes(word))))
      return world.fault(45168)
    const left = user.grants.get(template.templateId) ?? 0
    if (left <= 0 || user.block === 'refuse') return world.fault(43101)
    user.grants.set(template.templateId, left - 1)
    user.sendsUnderWay++
    return { user, template }
  }

  function accept(app: App, body: Record<string, any>, user: User, template: Template): string {
    const msgid = world.nextMsgid()
    ledger.accept({
      appid: app.appid,
      channel: 'subscribe',
      openid: user.openid,
      templateId: template.templateId,
      credential: 'grant',
      msgid,
      data: body.data,
      ...(body.page ? { page: body.page } : {}),
      ...(body.miniprogram === undefined ? {} : { miniprogram: body.miniprogram })
    })
    if (pushes.isHeard(app)) {
      const [code, status] =
        user.block === 'drop'
          ? ['43101', 'user refuse to accept the msg']
          : user.block === 'fail'
            ? ['-1', 'system error']
            : ['0', 'success']
      pushes.send(
        app,
        {
          openid: user.openid,
          event: 'subscribe_msg_sent_event',
          subscribe: {
            wrapper: 'SubscribeMsgSentEvent',
            items: [
              { TemplateId: template.templateId, MsgID: { raw: msgid }, ErrorCode: { raw: code }, ErrorStatus: status }
            ]
          }
        },
        pushes.isEarly()
      )
    }
    return msgid
  }

  return {
    /** POST /cgi-bin/message/subscribe/send */
    send({ app, body }: Call): Answer {
      const verdict = judge(app, body, true)
      if ('code' in verdict) return verdict
      const msgid = accept(app, body, verdict.user, verdict.template)
      return {
        code: 0,
        text: `{"errcode":0,"errmsg":"ok","msgid":${msgid}}`,
        done: () => void verdict.user.sendsUnderWay--
      }
    },

    /** POST /cgi-bin/message/subscribe/bizsend: no msgid in the answer; `page` is a web address. */
    bizsend({ app, body }: Call): Answer {
      const verdict = judge(app, body, false)
      if ('code' in verdict) return verdict
      accept(app, body, verdict.user, verdict.template)
      return { code: 0, text: '{"errcode":0,"errmsg":"ok"}', done: () => void verdict.user.sendsUnderWay-- }
    }
  }
}
