import { words } from '../../words/language.js'

/** What a check's findings are called here; the server's own sentence, with its figures, stands beside. */
export const checkWords = words({
  zh: {
    findings: {
      'accounts.not-found': '账号已不在',
      'accounts.disabled': '账号现在不能发送',
      'accounts.paused': '账号已暂停，恢复前不会发送',
      'accounts.penalty': '微信正在处罚这个账号，需要等待',
      'breakers.open': '熔断打开着，先看失败原因',
      'templates.missing': '账号里没有这个模板',
      'templates.gone': '微信上已经没有这个模板',
      'templates.changed': '模板在微信上被改过，请再看一遍内容',
      'audiences.needed': '定时和重复的活动需要选一个人群',
      'audiences.not-found': '人群已不在',
      'audiences.empty': '人群里现在没有人',
      'audiences.unreachable': '人群里现在没有人可以触达',
      'audiences.recent-run': '同样的人群和模板，另一个活动刚发过或将要发',
      'trigger.past': '发送时间已经过去',
      'trigger.late': '发送时间刚过，会立即开始',
      'trigger.window': '等待时间超过了事件的保存期',
      'rights.expire-first': '有人的发送权会在发送前过期',
      'caps.full': '有人当天的次数已满',
      'caps.account-tighter': '账号的每人每天限制更严，以账号为准',
      'budget.over-day': '超过账号当天余量，剩下的等到零点',
      'budget.expires': '发送时间比消息寿命长，有些会过期',
      'content.missing-field': '有字段没填',
      'content.unknown-field': '模板里没有这个字段',
      'content.unknown-variable': '变量名不认识',
      'content.liquid': '变量写法有误',
      'content.placeholder': '内容里有 {{，微信不接受',
      'emphasis.ignored': '只有小程序模板能放大关键词',
      'emphasis.unknown-field': '放大的字段不在模板里',
      'scene.field-missing': '这个场景通常还要写一项内容',
      'words.marketing': '像营销内容，微信不允许用模板消息营销',
      'words.sensitive': '含敏感词，带它的消息不会发送',
      'ladder.test-missing': '这个账号要求先试发成功一次',
      'ladder.dry-run-missing': '这个账号要求先空跑一遍',
      'open.leading-slash': '页面路径不要以 / 开头'
    }
  },
  en: {
    findings: {
      'accounts.not-found': 'The account is gone',
      'accounts.disabled': 'The account cannot send now',
      'accounts.paused': 'The account is paused',
      'accounts.penalty': 'WeChat punishes the account: what needs it waits',
      'breakers.open': 'The breaker is open: look at the failures first',
      'templates.missing': 'The account has no such template',
      'templates.gone': 'WeChat does not have this template any more',
      'templates.changed': 'The template changed on WeChat: look at the content again',
      'audiences.needed': 'A campaign with a time needs an audience',
      'audiences.not-found': 'The audience is gone',
      'audiences.empty': 'Nobody is in the audience now',
      'audiences.unreachable': 'Nobody in the audience can be reached now',
      'audiences.recent-run': 'Another campaign sends the same to the same people',
      'trigger.past': 'Its time has passed',
      'trigger.late': 'Its time has just passed: it starts at once',
      'trigger.window': 'It waits longer than events are kept',
      'rights.expire-first': 'Some rights expire before it is sent',
      'caps.full': 'Some people have had their share of that day',
      'caps.account-tighter': 'The account’s own limit is tighter, and counts',
      'budget.over-day': 'More than the account sends that day: the rest waits for midnight',
      'budget.expires': 'Sending takes longer than messages live: some expire',
      'content.missing-field': 'A field is empty',
      'content.unknown-field': 'The template has no such field',
      'content.unknown-variable': 'A variable is not known',
      'content.liquid': 'A variable is not written right',
      'content.placeholder': 'It holds {{, which WeChat refuses',
      'emphasis.ignored': 'Only mini-program templates enlarge a keyword',
      'emphasis.unknown-field': 'The enlarged field is not in the template',
      'scene.field-missing': 'People expect one more thing in this scene',
      'words.marketing': 'It sounds like marketing, which WeChat forbids in templates',
      'words.sensitive': 'It holds a sensitive word: no message with it is sent',
      'ladder.test-missing': 'This account wants an accepted test send first',
      'ladder.dry-run-missing': 'This account wants a dry run first',
      'open.leading-slash': 'A page has no leading slash'
    }
  }
})

/** The name of a finding; null for one this console does not know. */
export const findingNamed = (code: string): string | null =>
  (checkWords.value.findings as Readonly<Record<string, string>>)[code] ?? null
