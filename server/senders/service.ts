import type { Sender } from './sender.js'
import { valuesOnly } from './subscribe.js'

/**
 * The service-account template message to a follower. POST /cgi-bin/message/template/send; answers a msgid, the result
 * is pushed as TEMPLATESENDJOBFINISH. WeChat ignores colours since 2023-05-04.
 */
export const serviceSender: Sender = {
  channel: 'service',
  path: '/cgi-bin/message/template/send',
  body: ({ openId, templateId, data, url, miniprogram, clientMsgId }) => ({
    touser: openId,
    template_id: templateId,
    ...(url && { url }),
    ...(miniprogram && {
      miniprogram: { appid: miniprogram.appId, ...(miniprogram.page && { pagepath: miniprogram.page }) }
    }),
    ...(clientMsgId && { client_msg_id: clientMsgId }),
    data: valuesOnly(data)
  })
}
