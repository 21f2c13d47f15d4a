import type { Sender } from './sender.js'

/**
 * The mini-program subscribe message, paid with one grant of its template.
 * POST /cgi-bin/message/subscribe/send; answers a msgid, the result is pushed as subscribe_msg_sent_event.
 */
export const subscribeSender: Sender = {
  channel: 'subscribe',
  path: '/cgi-bin/message/subscribe/send',
  body: ({ openId, templateId, data, page, lang = 'zh_CN', miniprogramState = 'formal' }) => ({
    touser: openId,
    template_id: templateId,
    ...(page && { page }),
    data: valuesOnly(data),
    miniprogram_state: miniprogramState,
    lang
  })
}

/** The fields without colours, which this kind of message does not have. */
export function valuesOnly(data: Record<string, { value: string }>): Record<string, { value: string }> {
  const values: Record<string, { value: string }> = {}
  for (const key in data) values[key] = { value: data[key]!.value }
  return values
}
