import type { Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import { InvalidInput } from '../platform/errors.js'
import type { TemplateKind } from '../../shared/template.js'
import type { WechatApi } from '../wechat/api.js'
import { expectOk } from '../wechat/expect-ok.js'
import { kindsOf } from './read.js'

/** A title of WeChat's library, to be added with some of its keywords. */
export type LibraryTitle = {
  titleId: string
  title: string
  grantType: 'once' | 'longTerm' | null
  categoryId: string | null
}
export type LibraryKeyword = { id: number; name: string; example: string; rule: string | null; choices: string[] }
/** `byNumberOnly`: WeChat offers no list to read here; titles are looked up in its console and added by number. */
export type LibraryPage = { titles: LibraryTitle[]; total: number; byNumberOnly: boolean }

/** WeChat's libraries of titles and keywords, always read live. */
export function createLibrary({ wechat, accounts }: { wechat: WechatApi; accounts: Accounts }) {
  async function accountFor(idOrAppId: string, kind: TemplateKind) {
    const account = await accounts.get(idOrAppId)
    if (!kindsOf(account).includes(kind)) {
      const message = `this account can have templates of kind ${kindsOf(account).join(' or ')}`
      throw new InvalidInput(message, {
        code: 'templates.kind',
        errors: [{ pointer: '/kind', code: 'templates.kind', message }]
      })
    }
    return targetOf(account)
  }

  /** The categories the account serves; subscribe titles are offered by them. */
  async function categories(idOrAppId: string): Promise<{ id: number; name: string }[]> {
    const account = await accounts.get(idOrAppId)
    const { data } = expectOk(await wechat.subscribe.getCategory(targetOf(account)))
    return (data ?? []).map(({ id, name }) => ({ id: Number(id), name }))
  }

  return {
    categories,

    /** One page of titles. Without `categoryIds` those of all the account's categories. */
    async library(
      idOrAppId: string,
      {
        kind,
        categoryIds,
        offset = 0,
        count = 20
      }: { kind: TemplateKind; categoryIds?: string[] | undefined; offset?: number; count?: number }
    ): Promise<LibraryPage> {
      const target = await accountFor(idOrAppId, kind)
      if (kind === 'service') return { titles: [], total: 0, byNumberOnly: true }
      if (kind === 'legacy') {
        const { list, total_count } = expectOk(await wechat.legacy.libraryList(target, offset, Math.min(count, 20)))
        const titles = (list ?? []).map(({ id, title }) => ({ titleId: id, title, grantType: null, categoryId: null }))
        return { titles, total: total_count ?? titles.length, byNumberOnly: false }
      }
      const ids = categoryIds ?? (await categories(idOrAppId)).map(({ id }) => String(id))
      if (ids.length === 0) return { titles: [], total: 0, byNumberOnly: false }
      const page = expectOk(await wechat.subscribe.getPubTemplateTitles(target, ids, offset, Math.min(count, 30)))
      const titles = (page.data ?? []).map(({ tid, title, type, categoryId }) => ({
        titleId: String(tid),
        title,
        grantType: Number(type) === 3 ? ('longTerm' as const) : ('once' as const),
        categoryId: String(categoryId)
      }))
      return { titles, total: page.count ?? titles.length, byNumberOnly: false }
    },

    /** The keywords of one title; none where WeChat tells none (service accounts). */
    async keywords(
      idOrAppId: string,
      kind: TemplateKind,
      titleId: string
    ): Promise<{ titleId: string; title: string | null; keywords: LibraryKeyword[] }> {
      const target = await accountFor(idOrAppId, kind)
      if (kind === 'service') return { titleId, title: null, keywords: [] }
      if (kind === 'legacy') {
        const { title, keyword_list } = expectOk(await wechat.legacy.libraryGet(target, titleId))
        const keywords = (keyword_list ?? []).map(({ keyword_id, name, example }) => ({
          id: Number(keyword_id),
          name,
          example,
          rule: null,
          choices: []
        }))
        return { titleId, title, keywords }
      }
      const { data } = expectOk(await wechat.subscribe.getPubTemplateKeywords(target, titleId))
      const keywords = (data ?? []).map((each) => ({
        id: Number(each.kid),
        name: each.name,
        example: each.example,
        rule: each.rule ?? null,
        choices: (each as { enumValueList?: string[] }).enumValueList ?? []
      }))
      return { titleId, title: null, keywords }
    }
  }
}
