import type { AlertKind } from '../../shared/alert.js'
import type { Language } from '../platform/language.js'

type About = { kind: AlertKind; subject: string; facts: Record<string, unknown> }

/** What is wrong, in a line, in the words of people who run campaigns. */
export function titleOf({ kind, subject, facts }: About, language: Language): string {
  const zh = language === 'zh'
  const number = (name: string) => (typeof facts[name] === 'number' ? (facts[name] as number) : 0)
  const text = (name: string) => (typeof facts[name] === 'string' ? (facts[name] as string) : '')
  switch (kind) {
    case 'failures': {
      const share = `${Math.round(number('share') * 100)}%`
      const [bad, all, within] = [number('failed'), number('decided'), number('windowMinutes')]
      return zh
        ? `最近 ${within} 分钟有 ${share} 的消息发送失败（${bad}/${all}）`
        : `${share} of the messages of the last ${within} minutes failed (${bad} of ${all})`
    }
    case 'credentials': {
      const days = Math.round(number('daysLeft') * 10) / 10
      const what =
        subject === 'forms' ? (zh ? '表单与支付凭证' : 'forms and payments') : `${zh ? '模板 ' : ''}${subject}`
      return zh ? `${what}的发送凭证只够用 ${days} 天` : `rights to send (${what}) last ${days} more days at this pace`
    }
    case 'queue': {
      const minutes = Math.round(number('behindMs') / 6_000) / 10
      return zh ? `待发消息已延迟 ${minutes} 分钟` : `messages are ${minutes} min late and do not go out`
    }
    case 'breaker': {
      const reason = text('reason')
      return zh
        ? `熔断已触发，发送已暂停${reason && `：${reason}`}`
        : `a breaker stopped sending${reason && `: ${reason}`}`
    }
    case 'webhook': {
      const reason = text('reason')
      return zh ? `回调地址已停用：${reason}` : `a webhook was switched off: ${reason}`
    }
    case 'account':
      return problemOf(subject, facts, zh)
  }
}

/** A problem of an account by its name: what is stored of it, or what an answer said. */
function problemOf(subject: string, facts: Record<string, unknown>, zh: boolean): string {
  const reason = typeof facts.reason === 'string' ? facts.reason : ''
  const number = / (-?\d+)$/.exec(subject)?.[1]
  const shut = /^blocked:(.+)$/.exec(subject)?.[1]
  if (shut !== undefined)
    return zh ? `微信已关闭接口 ${shut}：${reason}` : `WeChat shut the interface ${shut}: ${reason}`
  if (number !== undefined && subject.startsWith('unknown'))
    return zh ? `微信返回了未知错误码 ${number}` : `WeChat answered with a code nobody knows: ${number}`
  if (number !== undefined) return zh ? `微信返回错误码 ${number}` : `WeChat answered with errcode ${number}`
  switch (subject) {
    case 'state':
      return zh ? `账号不可用或受限：${reason}` : `the account cannot do all it should: ${reason}`
    case 'platform ticket':
      return zh
        ? '第三方平台没有收到微信推送的有效 component_verify_ticket'
        : 'the platform has no valid ticket from WeChat; accounts connected by QR cannot send'
    case 'penalty':
      return zh ? '账号正在受微信处罚' : 'WeChat punishes the account'
    case 'formIds spent elsewhere':
      return zh ? '有其他系统在使用本账号的 formId' : "somebody else spends this account's formIds"
    case 'templates':
      return zh
        ? `${Number(facts.drifted)} 个消息模板在微信侧发生了变化`
        : `${Number(facts.drifted)} templates were changed on WeChat`
    case 'tokens refused':
      if (facts.forcesSpent === true)
        return zh
          ? '微信拒绝本账号的 access_token，今日强制刷新次数已用完，恢复前无法发送'
          : 'WeChat refuses the access token and lets it be replaced no more today; nothing can be sent until it does'
      return zh
        ? '微信接连拒绝本账号的 access_token，可能有其他系统在刷新它'
        : 'WeChat refuses access tokens one after the other; perhaps another system replaces them'
    case 'relay':
      return zh ? `微信推送无法转发到 relayTo：${reason}` : `pushes cannot be passed on to relayTo: ${reason}`
    case 'source punished':
      return zh ? '微信因违规停用了一类发送凭证' : 'WeChat punished a source of rights; it is not used for a while'
    case 'refusals in a burst':
      return zh ? '短时间内大量用户拒收' : 'many people refuse messages within a short time'
    default:
      return subject
  }
}

/** The message of a group robot: a coloured head, what it is about, when. Times are those of Asia/Shanghai. */
export function markdownOf(
  alert: About & { accountId: string | null; accountName: string | null; what: 'fired' | 'cleared'; at: Date },
  language: Language
): string {
  const zh = language === 'zh'
  const head =
    alert.what === 'fired'
      ? `<font color="warning">${zh ? '鸿雁告警' : 'Hongyan alert'}</font>`
      : `<font color="info">${zh ? '鸿雁告警恢复' : 'Hongyan: over'}</font>`
  const lines = [`${head} **${plain(titleOf(alert, language))}**`]
  if (alert.accountId !== null) {
    lines.push(`> ${zh ? '账号' : 'account'}: ${plain(alert.accountName ?? alert.accountId)}`)
  }
  lines.push(`> ${zh ? '时间' : 'at'}: ${SHANGHAI.format(alert.at)}`)
  return lines.join('\n')
}

/** What a robot says when the test button is pressed. */
export const testMarkdown = (language: Language): string =>
  language === 'zh' ? '<font color="info">鸿雁</font> 告警通知测试' : '<font color="info">Hongyan</font> test of alerts'

const SHANGHAI = new Intl.DateTimeFormat('sv-SE', {
  timeZone: 'Asia/Shanghai',
  dateStyle: 'short',
  timeStyle: 'medium'
})

/** Names and reasons come from outside: no markup of theirs, and one line. */
const plain = (text: string): string =>
  text
    .replace(/[\r\n]+/g, ' ')
    .replace(/[<>*`[\]]/g, '')
    .slice(0, 300)
