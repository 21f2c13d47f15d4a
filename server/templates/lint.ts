import { LEGACY_KEYWORDS } from '../../shared/limits.js'
import { pointerTo } from '../platform/errors.js'
import type { Language } from '../platform/language.js'
import type { ListedWord } from '../../shared/words.js'
import { createFinder } from '../words/finder.js'
import { BUILT_IN } from '../words/built-in.js'
import * as words from './lint-words.js'

/** A template as its author writes it. `example` null: none is known, and nothing is said about it. */
export type LintInput = {
  title: string
  keywords: readonly { name: string; example: string | null }[]
  /** Titles that are taken already: the account's own, say. */
  otherTitles?: readonly string[] | undefined
  /** Texts to be sent with it, by field. */
  content?: Readonly<Record<string, string>> | undefined
  /** The words of marketing; the built-in list when not said. */
  marketing?: readonly ListedWord[] | undefined
}

export type LintSeverity = 'error' | 'warning'

/** `part`: the words at fault. `why`: what the message says about them beyond the rule itself. */
type Finding = { pointer: string; part: string; why?: Record<Language, string> }

export type LintRule = {
  id: string
  /** error: the audit refuses it; warning: it may, or people will be annoyed. */
  severity: LintSeverity
  /** The paragraph of the customer's audit rules (`1.3`), or `limit`, `violation`. */
  from: string
  /** What is wrong; `{part}` stands for the words at fault, `{why}` for the finding's own remark. */
  message: Record<Language, string>
  find(input: LintInput): Finding[]
}

export type LintProblem = { rule: string; severity: LintSeverity; pointer: string; part: string; message: string }

const TITLE = '/title'
/** An article on service accounts gives it; WeChat's own documents name no number. */
const TITLE_LENGTH = 20
const ENDING = /(提醒|通知)$/
const NUMERAL = /[\d０-９零〇一二两三四五六七八九十百千万半]/

const plain = (text: string) => text.normalize('NFKC').replace(/\s+/g, '')
const titleFinding = (part: string, why?: Finding['why']): Finding[] =>
  part === '' ? [] : [{ pointer: TITLE, part, ...(why !== undefined && { why }) }]

/**
 * The audit rules of WeChat's mini-program template messages, as the customer's document gives them, one row each. What a
 * program cannot judge (is this sent too often, was the form a pretext?) is left to caps, breakers and people.
 */
export const LINT_RULES: readonly LintRule[] = [
  {
    id: 'title.duplicate',
    severity: 'error',
    from: '1.1',
    message: { zh: '标题「{part}」已存在，标题不能相同', en: 'the title "{part}" is taken; titles have to differ' },
    find: ({ title, otherTitles = [] }) =>
      titleFinding(otherTitles.find((other) => plain(other) === plain(title)) ?? '')
  },
  {
    id: 'title.too-similar',
    severity: 'warning',
    from: '1.2',
    message: { zh: '标题与「{part}」意思过于相似', en: 'the title means nearly the same as "{part}"' },
    find: ({ title, otherTitles = [] }) =>
      titleFinding(otherTitles.find((other) => plain(other) !== plain(title) && meansTheSame(title, other)) ?? '')
  },
  {
    id: 'title.ending',
    severity: 'error',
    from: '1.3',
    message: {
      zh: '标题须以「提醒」或「通知」结尾，现以「{part}」结尾',
      en: 'a title ends with 提醒 or 通知, not with "{part}"'
    },
    find: ({ title }) => {
      const bare = title.trim()
      return ENDING.test(bare) ? [] : [{ pointer: TITLE, part: [...bare].slice(-2).join('') }]
    }
  },
  {
    id: 'title.symbols',
    severity: 'error',
    from: '1.4',
    message: { zh: '标题不能带特殊符号：{part}', en: 'a title has no symbols: {part}' },
    find: ({ title }) => titleFinding(symbolsIn(title.trim()))
  },
  {
    id: 'title.personal',
    severity: 'error',
    from: '1.4',
    message: { zh: '标题不能带个性化字词「{part}」，须具有行业通用性', en: 'a title has no personal words: "{part}"' },
    find: ({ title }) => wordsIn(title, words.PERSONAL).flatMap((part) => titleFinding(part))
  },
  {
    id: 'title.no-scene',
    severity: 'error',
    from: '1.5',
    message: {
      zh: '标题须体现具体服务场景，「{part}」过于笼统',
      en: 'a title names a concrete service; "{part}" does not'
    },
    find: ({ title }) => {
      const stem = plain(title).replace(ENDING, '')
      return leftOf(stem, words.SCENELESS) === '' ? titleFinding(plain(title) || ' ') : []
    }
  },
  {
    id: 'title.marketing',
    severity: 'error',
    from: '1.6',
    message: {
      zh: '标题不能涉及营销内容：「{part}」（{why}类）',
      en: 'a title has nothing to do with marketing: "{part}" ({why})'
    },
    find: ({ title, marketing }) =>
      marketingIn(marketing, title, true).flatMap(({ part, why }) => titleFinding(part, why))
  },
  {
    id: 'title.too-long',
    severity: 'warning',
    from: 'limit',
    message: {
      zh: `标题超过 ${TITLE_LENGTH} 个字，多出「{part}」`,
      en: `a title has at most ${TITLE_LENGTH} characters; too much: "{part}"`
    },
    find: ({ title }) => titleFinding([...title.trim()].slice(TITLE_LENGTH).join(''))
  },
  {
    id: 'keyword.count',
    severity: 'error',
    from: 'limit',
    message: {
      zh: `关键词须为 ${LEGACY_KEYWORDS.min} 至 ${LEGACY_KEYWORDS.max} 个，现有 {part} 个`,
      en: `a template has ${LEGACY_KEYWORDS.min} to ${LEGACY_KEYWORDS.max} keywords, this one {part}`
    },
    find: ({ keywords: { length } }) =>
      length < LEGACY_KEYWORDS.min || length > LEGACY_KEYWORDS.max
        ? [{ pointer: '/keywords', part: String(length) }]
        : []
  },
  {
    id: 'keyword.duplicate',
    severity: 'error',
    from: '2.1',
    message: { zh: '关键词「{part}」重复', en: 'the keyword "{part}" is there twice' },
    find: ({ keywords }) =>
      names(keywords, (name, i) =>
        keywords.slice(0, i).some((other) => plain(other.name) === plain(name)) ? [name.trim()] : []
      )
  },
  {
    id: 'keyword.too-similar',
    severity: 'warning',
    from: '2.2',
    message: { zh: '关键词「{part}」与「{why}」过于相似', en: 'the keyword "{part}" means nearly the same as "{why}"' },
    find: ({ keywords }) =>
      keywords.flatMap(({ name }, i) => {
        const other = keywords
          .slice(0, i)
          .find((each) => plain(each.name) !== plain(name) && canonical(each.name) === canonical(name))
        if (other === undefined) return []
        return [{ pointer: `/keywords/${i}/name`, part: name.trim(), why: { zh: other.name, en: other.name } }]
      })
  },
  {
    id: 'keyword.symbols',
    severity: 'error',
    from: '2.3',
    message: { zh: '关键词不能带特殊符号：{part}', en: 'a keyword has no symbols: {part}' },
    find: ({ keywords }) => names(keywords, (name) => [symbolsIn(name.trim())].filter((part) => part !== ''))
  },
  {
    id: 'keyword.personal',
    severity: 'error',
    from: '2.3',
    message: { zh: '关键词不能带个性化字词「{part}」', en: 'a keyword has no personal words: "{part}"' },
    find: ({ keywords }) => names(keywords, (name) => wordsIn(name, words.PERSONAL))
  },
  {
    id: 'keyword.example-missing',
    severity: 'error',
    from: '2.4',
    message: { zh: '关键词「{part}」缺少内容示例', en: 'the keyword "{part}" has no example' },
    find: ({ keywords }) =>
      keywords.flatMap(({ name, example }, i) =>
        example !== null && example.trim() === '' ? [{ pointer: `/keywords/${i}/example`, part: name.trim() }] : []
      )
  },
  {
    id: 'keyword.example-mismatch',
    severity: 'error',
    from: '2.4',
    message: { zh: '示例「{part}」与关键词不匹配：{why}', en: 'the example "{part}" does not fit its keyword: {why}' },
    find: ({ keywords }) =>
      keywords.flatMap(({ name, example }, i) => {
        const bare = example?.trim() ?? ''
        const why = bare === '' ? null : misfit(plain(name), bare)
        return why === null ? [] : [{ pointer: `/keywords/${i}/example`, part: bare, why }]
      })
  },
  {
    id: 'keyword.too-broad',
    severity: 'error',
    from: '2.5',
    message: { zh: '关键词「{part}」太过宽泛，须具有限制性', en: 'the keyword "{part}" is too broad' },
    find: ({ keywords }) => names(keywords, (name) => (words.BROAD_KEYWORDS.includes(plain(name)) ? [plain(name)] : []))
  },
  {
    id: 'keyword.loose',
    severity: 'warning',
    from: '2.5',
    message: {
      zh: '关键词「{part}」最好写明是什么的{part}',
      en: 'the keyword "{part}" is clearer with what it belongs to'
    },
    find: ({ keywords }) => names(keywords, (name) => (words.LOOSE_KEYWORDS.includes(plain(name)) ? [plain(name)] : []))
  },
  {
    id: 'keyword.marketing',
    severity: 'warning',
    from: 'violation',
    message: { zh: '关键词有营销倾向：「{part}」（{why}类）', en: 'the keyword smells of marketing: "{part}" ({why})' },
    find: ({ keywords, marketing }) =>
      keywords.flatMap(({ name }, i) =>
        marketingIn(marketing, name, false).map((hit) => ({ pointer: `/keywords/${i}/name`, ...hit }))
      )
  },
  {
    id: 'content.marketing',
    severity: 'error',
    from: 'violation',
    message: {
      zh: '内容不允许营销：「{part}」（{why}类）',
      en: 'messages may not be used for marketing: "{part}" ({why})'
    },
    find: ({ content = {}, marketing }) => texts(content, (text) => marketingIn(marketing, text, false))
  },
  {
    id: 'content.lure',
    severity: 'error',
    from: 'violation',
    message: { zh: '内容不允许诱导操作：「{part}」', en: 'messages may not lure people into taps: "{part}"' },
    find: ({ content = {} }) => texts(content, (text) => wordsIn(text, words.LURES).map((part) => ({ part })))
  }
]

/** What the audit would find, in the rules' order; empty: nothing. */
export function lintTemplate(input: LintInput, language: Language = 'en'): LintProblem[] {
  return LINT_RULES.flatMap(({ id, severity, message, find }) =>
    find(input).map(({ pointer, part, why }) => ({
      rule: id,
      severity,
      pointer,
      part,
      message: message[language].replaceAll('{part}', () => part).replaceAll('{why}', () => why?.[language] ?? '')
    }))
  )
}

/** Do two titles differ by ending, order, fillers or synonyms only? */
function meansTheSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((title) => [...canonical(title.trim().replace(ENDING, ''))].sort().join(''))
  return a !== '' && a === b
}

const SYNONYMS = words.SAME.flatMap(([first = '', ...others]) => others.map((other) => [other, first] as const)).sort(
  ([a], [b]) => b.length - a.length
)

/** A text with every word in place of its synonyms, and without what says nothing. */
function canonical(text: string): string {
  return SYNONYMS.reduce((left, [word, first]) => left.replaceAll(word, first), plain(text))
}

/** Letters of any script and digits are fine; what else there is, each once. */
function symbolsIn(text: string): string {
  return [...new Set(text.replace(/[\p{L}\p{N}]/gu, ''))].join('').replaceAll(' ', '␠')
}

/** The words of a list that a text holds, longest first, none inside another. */
function wordsIn(text: string, list: readonly string[]): string[] {
  const found: string[] = []
  let left = plain(text)
  for (const word of [...list].sort((a, b) => b.length - a.length)) {
    if (!left.includes(word)) continue
    found.push(word)
    left = left.replaceAll(word, '\n')
  }
  return found
}

const leftOf = (text: string, list: readonly string[]) =>
  [...list].sort((a, b) => b.length - a.length).reduce((left, word) => left.replaceAll(word, ''), text)

/** Finders by list, so that a list is read once and not once per text. */
const finders = new WeakMap<readonly ListedWord[], ReturnType<typeof createFinder>>()

function marketingIn(
  list: readonly ListedWord[] = BUILT_IN.marketing,
  text: string,
  title: boolean
): { part: string; why: Record<Language, string> }[] {
  let finder = finders.get(list)
  if (finder === undefined) finders.set(list, (finder = createFinder(list)))
  return finder.all(text, title).map(({ word, kind }) => {
    const known = words.MARKETING.find(({ zh }) => zh === kind)
    return { part: word, why: { zh: kind, en: known?.en ?? kind } }
  })
}

function names(keywords: LintInput['keywords'], find: (name: string, i: number) => string[]): Finding[] {
  return keywords.flatMap(({ name }, i) => find(name, i).map((part) => ({ pointer: `/keywords/${i}/name`, part })))
}

function texts(
  content: Readonly<Record<string, string>>,
  find: (text: string) => Omit<Finding, 'pointer'>[]
): Finding[] {
  return Object.entries(content).flatMap(([key, text]) =>
    find(text).map((hit) => ({ pointer: pointerTo(['content', key]), ...hit }))
  )
}

type Expectation = { names: RegExp; holds(example: string): boolean; why: Record<Language, string> }

/** What an example has to hold, by what its keyword is called; the first that knows the name decides. */
const EXPECTATIONS: readonly Expectation[] = [
  {
    names: /(时间|日期|时刻|期限|截止日|到期日)$/,
    holds: (example) => NUMERAL.test(example) || /[今明后昨]天|[今明后]日|周|星期/.test(example),
    why: { zh: '应为时间或日期', en: 'a time or a date is expected' }
  },
  {
    names: /(金额|价格|单价|总价|费用|余额|押金|运费|租金|房租)$/,
    holds: (example) => NUMERAL.test(example) || example === '免费',
    why: { zh: '应为金额', en: 'an amount is expected' }
  },
  {
    names: /(电话|手机|热线|手机号|手机号码|电话号码)$/,
    holds: (example) => (example.match(/\d/g) ?? []).length >= 3,
    why: { zh: '应为电话号码', en: 'a telephone number is expected' }
  },
  {
    names: /(编号|单号|号码|订单号|流水号|卡号|账号|户号|车牌号|取件码|取货码|验证码|核销码)$/,
    holds: (example) => /[\dA-Za-z*]/.test(example),
    why: { zh: '应为编号', en: 'a number or a code is expected' }
  },
  {
    names: /(数量|人数|次数|件数|天数|份数)$/,
    holds: (example) => NUMERAL.test(example),
    why: { zh: '应为数量', en: 'a count is expected' }
  },
  {
    names: /邮箱$/,
    holds: (example) => /\S@\S/.test(example),
    why: { zh: '应为邮箱地址', en: 'an e-mail address is expected' }
  },
  {
    names: /(姓名|联系人|收货人|预约人|就诊人|申请人|报名人|医生|老师)$/,
    holds: (example) => /\p{L}/u.test(example) && !/\d{3}/.test(example),
    why: { zh: '应为人名', en: 'a name is expected' }
  },
  {
    names: /(地址|地点|位置|门店|店名)$/,
    holds: (example) => /\p{L}/u.test(example) && !isMoment(example),
    why: { zh: '应为地点', en: 'a place is expected' }
  },
  {
    names: /(名称|品名|物品|商品)$/,
    holds: (example) => /\p{L}/u.test(example) && !isMoment(example),
    why: { zh: '应为名称', en: 'a name of a thing is expected' }
  }
]

const isMoment = (text: string) => /^[\d\s:.年月日时分秒点/-]+$/.test(text)

function misfit(name: string, example: string): Record<Language, string> | null {
  if (plain(example) === name) return { zh: '示例只是重复了关键词', en: 'it only repeats the keyword' }
  const expected = EXPECTATIONS.find((each) => each.names.test(name))
  return expected === undefined || expected.holds(example) ? null : expected.why
}
