import type { TokenCentre } from '../wechat/access-token.js'
import type { WechatAccount } from '../wechat/account.js'
import type { WechatClient, WechatResult } from '../wechat/client.js'
import { Said } from '../wechat/shapes.js'
import { withToken } from '../wechat/with-token.js'
import { legacySender } from './legacy.js'
import type { Channel, Sender, SendInput } from './sender.js'
import { serviceSender } from './service.js'
import { subscribeSender } from './subscribe.js'

/** The sender of each channel. */
export const SENDERS: Readonly<Record<Channel, Sender>> = {
  legacy: legacySender,
  subscribe: subscribeSender,
  service: serviceSender
}

/** Turns messages into calls. */
export type Senders = {
  /** One POST with the token given, never repeated: what its answer means is the caller's to settle. */
  send(account: WechatAccount, input: SendInput, token: string): Promise<WechatResult>
  /**
   * One message outside the ledger (a test send): fetches the token itself and, when WeChat refuses that, sends once
   * more with a newer one. @throws UpstreamFailure when there is no token to be had
   */
  deliver(account: WechatAccount, input: SendInput): Promise<WechatResult>
}

export function createSenders({ client, tokens }: { client: WechatClient; tokens: TokenCentre }): Senders {
  function send(account: WechatAccount, input: SendInput, token: string): Promise<WechatResult> {
    const sender = SENDERS[input.channel]
    const query = { access_token: token }
    return client.call({
      base: account.apiBase,
      method: 'POST',
      path: sender.path,
      query,
      json: sender.body(input),
      shape: Said
    })
  }
  return {
    send,
    deliver: (account, input) => withToken(tokens, account, (token) => send(account, input, token))
  }
}

/** The message's number at WeChat, all 19 digits; null when the call was not accepted or names none (legacy). */
export function msgidOf(result: WechatResult): string | null {
  if (result.kind !== 'answer' || result.errcode !== 0) return null
  const msgid: unknown = result.body.msgid
  return typeof msgid === 'string' || typeof msgid === 'number' ? String(msgid) : null
}
