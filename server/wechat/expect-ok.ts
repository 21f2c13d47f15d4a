import { InvalidInput, UpstreamFailure, type AppError } from '../platform/errors.js'
import { errcodeRow } from './errcodes.js'
import type { WechatResult } from './client.js'

/**
 * The body of an answer with errcode 0, for callers that answer a person.
 * @throws InvalidInput when WeChat names something the caller can change (a template id, a keyword, an openid)
 * @throws UpstreamFailure otherwise; `facts` hold errcode, errmsg and rid, for 40164 also `ip`. Codes: `wechat.<errcode>`,
 * `wechat.ip-not-allowed`, `wechat.not-reached`, `wechat.turned-away`, `wechat.no-answer`
 */
export function expectOk<Body>(result: WechatResult<Body>): Body {
  if (result.kind === 'answer' && result.errcode === 0) return result.body
  throw failureOf(result)
}

/** The error that says what went wrong with a call. */
export function failureOf(result: WechatResult): AppError {
  if (result.kind === 'notSent') {
    return new UpstreamFailure(`WeChat could not be reached: ${result.reason}`, true, { code: 'wechat.not-reached' })
  }
  if (result.kind === 'refused') {
    const facts = { httpStatus: result.httpStatus }
    const text = `the API address turned the call away with HTTP ${result.httpStatus}`
    return new UpstreamFailure(text, false, { code: 'wechat.turned-away', facts })
  }
  if (result.kind === 'noAnswer') {
    const facts = { ...(result.httpStatus !== undefined && { httpStatus: result.httpStatus }) }
    const text = `WeChat gave no usable answer: ${result.reason}`
    return new UpstreamFailure(text, true, { code: 'wechat.no-answer', facts })
  }

  const { errcode, errmsg, rid } = result
  const facts: Record<string, unknown> = { errcode, errmsg, rid }
  if (errcode === 40164) {
    const ip = refusedIp(errmsg)
    const text = `WeChat does not accept calls from ${ip ?? 'this server'}: add the address to the account's IP white list`
    return new UpstreamFailure(text, false, { code: 'wechat.ip-not-allowed', facts: { ...facts, ip } })
  }
  const row = errcodeRow(errcode)
  const text = row ? `WeChat: ${row.meaning} (${errcode}); ${row.advice}` : `WeChat answered ${errcode} ${errmsg}`
  const code = `wechat.${errcode}`
  const callersFault =
    row !== undefined &&
    ((row.scope === 'management' && row.retry !== 'later') ||
      row.scope === 'message' ||
      row.scope === 'person' ||
      row.scope === 'template' ||
      row.scope === 'login')
  if (callersFault) return new InvalidInput(text, { code, facts })
  const retryable = row !== undefined && (row.retry === 'later' || row.retry === 'token')
  return new UpstreamFailure(text, retryable, { code, facts })
}

/** The caller's address in `invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist`; null when it names none. */
export function refusedIp(errmsg: string): string | null {
  return /invalid ip ([0-9a-fA-F.:]+)/.exec(errmsg)?.[1] ?? null
}
