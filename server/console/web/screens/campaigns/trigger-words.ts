import { words } from '../../words/language.js'

/** Of the sentence that says what a trigger does. */
export const triggerWords = words({
  zh: {
    listMark: '、',
    clauseMark: '；',
    weekdays: { 1: '周一', 2: '周二', 3: '周三', 4: '周四', 5: '周五', 6: '周六', 7: '周日' },
    onceAt: (at: string, zone: string) => `${at}（${zone}）发送一次`,
    everyDay: (times: string, zone: string) => `每天 ${times}（${zone}）`,
    everyWeek: (days: string, times: string, zone: string) => `每${days} ${times}（${zone}）`,
    everyMonth: (days: string, times: string, zone: string) => `每月 ${days} 日 ${times}（${zone}）`,
    since: (from: string) => `${from} 起`,
    between: (from: string, until: string) => `${from} 至 ${until}`,
    onEvent: (event: string) => `发生 ${event} 后立即`,
    afterEvent: (event: string, span: string) => `发生 ${event} 后 ${span}`,
    before: (event: string, property: string, span: string) => `${event} 的 ${property} 之前 ${span}`,
    notFollowed: (event: string, missing: string, span: string) => `发生 ${event} 后 ${span} 内没有 ${missing}`,
    onlyIf: (event: string, conditions: string) => `只限 ${event} 满足 ${conditions}`,
    unless: (event: string) => `发送前出现 ${event} 就不发`,
    unlessWhere: (event: string, conditions: string) => `发送前出现 ${event}（${conditions}）就不发`,
    eachKey: (key: string) => `每个 ${key} 各算各的`,
    onceEach: '每人只一次',
    onceInDays: (days: string) => `每人每 ${days} 天一次`
  },
  en: {
    listMark: ', ',
    clauseMark: '; ',
    weekdays: { 1: 'Mon', 2: 'Tue', 3: 'Wed', 4: 'Thu', 5: 'Fri', 6: 'Sat', 7: 'Sun' },
    onceAt: (at: string, zone: string) => `Once, ${at} (${zone})`,
    everyDay: (times: string, zone: string) => `Every day at ${times} (${zone})`,
    everyWeek: (days: string, times: string, zone: string) => `Every ${days} at ${times} (${zone})`,
    everyMonth: (days: string, times: string, zone: string) => `Every month on ${days} at ${times} (${zone})`,
    since: (from: string) => `from ${from}`,
    between: (from: string, until: string) => `from ${from} until ${until}`,
    onEvent: (event: string) => `At once after ${event}`,
    afterEvent: (event: string, span: string) => `${span} after ${event}`,
    before: (event: string, property: string, span: string) => `${span} before ${property} of ${event}`,
    notFollowed: (event: string, missing: string, span: string) => `${event} without ${missing} within ${span}`,
    onlyIf: (event: string, conditions: string) => `only ${event} where ${conditions}`,
    unless: (event: string) => `not if ${event} comes first`,
    unlessWhere: (event: string, conditions: string) => `not if ${event} (${conditions}) comes first`,
    eachKey: (key: string) => `each ${key} by itself`,
    onceEach: 'once a person',
    onceInDays: (days: string) => `once a person in ${days} days`
  }
})
