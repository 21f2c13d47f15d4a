import type { Sender } from './sender.js'

/**
 * The mini-program template message of 2017 to 2020, paid with a formId or a prepay_id.
 * POST /cgi-bin/message/wxopen/template/send; its answer has no msgid and no receipt follows.
 */
export const legacySender: Sender = {
  channel: 'legacy',
  path: '/cgi-bin/message/wxopen/template/send',
  body: ({ openId, templateId, data, page, formId = '', emphasis }) => ({
    touser: openId,
    template_id: templateId,
    ...(page && { page }),
    form_id: bareCredential(formId),
    data,
    ...(emphasis && { emphasis_keyword: emphasis.endsWith('.DATA') ? emphasis : `${emphasis}.DATA` })
  })
}

/** What WeChat calls form_id: phones hand payments in as `prepay_id=...`, the call wants the bare id. */
function bareCredential(value: string): string {
  return value.startsWith('prepay_id=') ? value.slice('prepay_id='.length) : value
}
