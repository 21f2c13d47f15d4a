import type { SendInput } from '../../../server/senders/sender.js'
import type { WechatResult } from '../../../server/wechat/client.js'
import { answer, noAnswer, notSent } from '../../support/ledger.js'

/** One message WeChat took. `key`: what it takes only once (the message, for service accounts with its round). */
export type Delivery = { m: string; key: string; openId: string; at: Date; msgid: string }

const SAME_ID_MS = 10 * 60_000

/**
 * A WeChat with a ledger of its own: forms are good once, payments three times, grants as often as tapped, and a
 * service account's client_msg_id once in ten minutes. Some calls get lost on the way there, some on the way back, some
 * arrive when nobody waits any more. The message's id travels as its first value.
 */
export function createSmallWechat(chance: () => number, now: () => Date) {
  const values = new Map<string, number>()
  const grants = new Map<string, number>()
  const deliveries: Delivery[] = []
  const clientIds = new Map<string, Delivery>()
  const late: (() => void)[] = []
  let msgid = 4_000_000_000_000_000_000n
  let faults = 0.35

  function deliver(input: SendInput, key: string): WechatResult {
    const m = input.data.keyword1!.value
    deliveries.push({ m, key, openId: input.openId, at: now(), msgid: String(msgid++) })
    return accepted(deliveries.at(-1)!, input)
  }

  const accepted = (delivery: Delivery, input: SendInput) =>
    answer(0, input.channel === 'legacy' ? {} : { msgid: delivery.msgid })

  function judge(input: SendInput): WechatResult {
    const m = input.data.keyword1!.value
    if (input.data.bad !== undefined) return answer(47003)
    if (input.channel === 'legacy') {
      const left = values.get(input.formId ?? '')
      if (left === undefined) return answer(41028)
      if (left === 0) return answer(41029)
      values.set(input.formId!, left - 1)
      return deliver(input, m)
    }
    if (input.channel === 'subscribe') {
      const name = `${input.openId} ${input.templateId}`
      const left = grants.get(name) ?? 0
      if (left === 0) return answer(43101)
      grants.set(name, left - 1)
      return deliver(input, m)
    }
    const before = clientIds.get(input.clientMsgId!)
    if (before !== undefined && now().getTime() - before.at.getTime() < SAME_ID_MS) return accepted(before, input)
    const result = deliver(input, input.clientMsgId!)
    clientIds.set(input.clientMsgId!, deliveries.at(-1)!)
    return result
  }

  return {
    deliveries,
    /** What is left of a form or payment, by its value. */
    left: (value: string) => values.get(value) ?? 0,
    grantsOf: (openId: string, templateId: string) => grants.get(`${openId} ${templateId}`) ?? 0,
    addValue: (value: string, uses: number) => void values.set(value, uses),
    addGrant(openId: string, templateId: string): void {
      grants.set(`${openId} ${templateId}`, this.grantsOf(openId, templateId) + 1)
    },
    /** The person switched the subscription off: every grant is gone. */
    withdraw: (openId: string, templateId: string) => void grants.delete(`${openId} ${templateId}`),
    calm: () => void (faults = 0),
    stormy: () => void (faults = 0.35),

    /** Calls that were lost on the way arrive after all; their answers go nowhere. */
    arriveLate(): void {
      for (const call of late.splice(0)) call()
    },

    async call(input: SendInput): Promise<WechatResult> {
      const kind = chance() < faults ? Math.floor(chance() * 7) : -1
      await Promise.resolve()
      switch (kind) {
        case 0:
          return noAnswer() // lost on the way there
        case 1:
          judge(input) // lost on the way back, or a 5xx after the deed
          return noAnswer()
        case 2:
          // those with receipts come soon or never: a receipt is matched by time when nothing else is known
          if (input.channel !== 'service') late.push(() => judge(input))
          return noAnswer()
        case 3:
          return answer(-1)
        case 4:
          return notSent()
        case 5:
          return answer(45011)
        case 6:
          return { kind: 'refused', reason: 'status 412', httpStatus: 412, ms: 1 }
        default:
          return judge(input)
      }
    }
  }
}
export type SmallWechat = ReturnType<typeof createSmallWechat>
