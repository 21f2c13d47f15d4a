import { CHANNELS } from '../../shared/channels.js'
import type { Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import { InvalidInput } from '../platform/errors.js'
import type { TemplateKind } from '../../shared/template.js'
import type { WechatApi } from '../wechat/api.js'
import type { WechatResult } from '../wechat/client.js'
import { expectOk } from '../wechat/expect-ok.js'
import { namingField, namingTitle } from './refusals.js'

/** A title of WeChat's library, to be added with some of its keywords. */
export type LibraryTitle = {
  titleId: string
  title: string
  grantType: 'once' | 'longTerm' | null
  categoryId: string | null
}
export type LibraryKeyword = { id: number; name: string; example: string; rule: string | null; choices: string[] }
/**
 * `nextOffset`: where the next page begins, null on the last. `byNumberOnly`: WeChat offers no list to read here; titles
 * are looked up in its console and added by number.
 */
export type LibraryPage = { titles: LibraryTitle[]; total: number; nextOffset: number | null; byNumberOnly: boolean }

/** Titles of one page at most (documentation of library/list and getpubtemplatetitles). */
const PAGE = { legacy: 20, subscribe: 30 } as const

export type Library = ReturnType<typeof createLibrary>

/** WeChat's libraries of titles and keywords, always read live. */
export function createLibrary({ wechat, accounts }: { wechat: WechatApi; accounts: Accounts }) {
  async function accountFor(idOrAppId: string, kind: TemplateKind) {
    const account = await accounts.get(idOrAppId)
    if (!CHANNELS[account.kind].includes(kind)) {
      const message = `this account can have templates of kind ${CHANNELS[account.kind].join(' or ')}`
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
    return data.map(({ id, name }) => ({ id, name }))
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
      const none = { titles: [], total: 0, nextOffset: null }
      if (kind === 'service') return { ...none, byNumberOnly: true }
      if (kind === 'legacy') {
        const answer = await wechat.legacy.libraryList(target, offset, Math.min(count, PAGE.legacy))
        const { list, total_count } = expectOk(answer)
        const titles = list.map(({ id, title }) => ({ titleId: id, title, grantType: null, categoryId: null }))
        return pageOf(titles, offset, total_count)
      }
      const ids = categoryIds ?? (await categories(idOrAppId)).map(({ id }) => String(id))
      if (ids.length === 0) return { ...none, byNumberOnly: false }
      const page = naming(
        await wechat.subscribe.getPubTemplateTitles(target, ids, offset, Math.min(count, PAGE.subscribe)),
        namingField
      )
      const titles = page.data.map(({ tid, title, type, categoryId }) => ({
        titleId: String(tid),
        title,
        grantType: type === 3 ? ('longTerm' as const) : ('once' as const),
        categoryId
      }))
      return pageOf(titles, offset, page.count)
    },

    /** The keywords of one title; none where WeChat tells none (service accounts). @throws NotFound templates.title-unknown */
    async keywords(
      idOrAppId: string,
      kind: TemplateKind,
      titleId: string
    ): Promise<{ titleId: string; title: string | null; keywords: LibraryKeyword[] }> {
      const target = await accountFor(idOrAppId, kind)
      const unknown = (error: unknown) => namingTitle(error, kind, titleId)
      if (kind === 'service') return { titleId, title: null, keywords: [] }
      if (kind === 'legacy') {
        const { title, keyword_list } = naming(await wechat.legacy.libraryGet(target, titleId), unknown)
        const keywords = keyword_list.map(({ keyword_id, name, example }) => ({
          id: keyword_id,
          name,
          example,
          rule: null,
          choices: []
        }))
        return { titleId, title, keywords }
      }
      const { data } = naming(await wechat.subscribe.getPubTemplateKeywords(target, titleId), unknown)
      const keywords = data.map((each) => ({
        id: each.kid,
        name: each.name,
        example: each.example,
        rule: each.rule ?? null,
        choices: each.enumValueList ?? []
      }))
      return { titleId, title: null, keywords }
    }
  }
}

function pageOf(titles: LibraryTitle[], offset: number, total: number): LibraryPage {
  const end = offset + titles.length
  return { titles, total, nextOffset: titles.length > 0 && end < total ? end : null, byNumberOnly: false }
}

/** As `expectOk`, with the error told in other words. */
function naming<Body>(answer: WechatResult<Body>, tell: (error: unknown) => unknown): Body {
  try {
    return expectOk(answer)
  } catch (error) {
    throw tell(error)
  }
}
