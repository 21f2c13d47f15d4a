import type { Account } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import { parseTemplateContent } from '../senders/values.js'
import type { TemplateKind } from '../../shared/template.js'
import type { WechatAccount } from '../wechat/account.js'
import type { WechatApi } from '../wechat/api.js'
import { expectOk } from '../wechat/expect-ok.js'
import type { TemplateRow } from './model.js'

/** What WeChat says of one template; the mirror adds when it was read. */
export type ReadTemplate = Pick<
  TemplateRow,
  'templateId' | 'kind' | 'title' | 'fields' | 'content' | 'example' | 'grantType' | 'choices'
>

/** Legacy templates come in pages of this size; what is deleted between two pages hides another one. */
export const LEGACY_PAGE = 20
/** Far more than the 25 (today 50) templates an account may have. */
const LEGACY_PAGES = 25

/** All templates of one kind. @throws UpstreamFailure and InvalidInput as `expectOk` */
export async function readTemplates(wechat: WechatApi, account: Account, kind: TemplateKind): Promise<ReadTemplate[]> {
  const target = targetOf(account)
  if (kind === 'legacy') return readLegacy(wechat, target)
  if (kind === 'subscribe') {
    const { data } = expectOk(await wechat.subscribe.getTemplate(target))
    return data.map((each) => ({
      templateId: each.priTmplId,
      kind,
      title: each.title,
      ...readContent(each.content, each.example),
      // type 2: one accept, one send; 3: until withdrawn (documentation of gettemplate)
      grantType: each.type === 3 ? 'longTerm' : 'once',
      choices: choicesOf(each.keywordEnumValueList)
    }))
  }
  const { template_list } = expectOk(await wechat.service.getAllPrivateTemplate(target))
  return template_list.map((each) => ({
    templateId: each.template_id,
    kind,
    title: each.title,
    ...readContent(each.content, each.example),
    grantType: null,
    choices: {}
  }))
}

async function readLegacy(wechat: WechatApi, target: WechatAccount): Promise<ReadTemplate[]> {
  const found = new Map<string, ReadTemplate>()
  for (let page = 0; page < LEGACY_PAGES; page++) {
    const { list } = expectOk(await wechat.legacy.list(target, page * LEGACY_PAGE, LEGACY_PAGE))
    for (const each of list) {
      found.set(each.template_id, {
        templateId: each.template_id,
        kind: 'legacy',
        title: each.title,
        ...readContent(each.content, each.example),
        grantType: null,
        choices: {}
      })
    }
    if (list.length < LEGACY_PAGE) break
  }
  return [...found.values()]
}

const readContent = (content: string, example: string) => ({
  fields: parseTemplateContent(content),
  content,
  example
})

/** `keywordCode` comes as `phrase3` or as `phrase3.DATA`. */
function choicesOf(
  list: { keywordCode: string; enumValueList: string[] }[] | null | undefined
): Record<string, string[]> {
  const choices: Record<string, string[]> = {}
  for (const { keywordCode, enumValueList } of list ?? []) {
    if (enumValueList.length > 0) choices[keywordCode.replace(/\.DATA$/, '')] = enumValueList
  }
  return choices
}
