import { LEGACY_LIBRARY } from './library.js'
import type { Ledger } from './ledger.js'
import { isObject } from './values.js'
import {
  OK,
  pageIsReleased,
  reply,
  userOf,
  type Answer,
  type App,
  type Call,
  type Template,
  type World
} from './world.js'

const PAGE_MAX = 20
const KEYWORDS_MAX = 10
const TEMPLATE_ID_LENGTH = 43
const DAY_MS = 86_400_000

/** Legacy mini-program template messages: library, own templates, and the send that spends formIds and prepay_ids. */
export function createLegacy(world: World, ledger: Ledger) {
  const { clock } = world

  const own = (app: App) => [...app.templates.values()].filter((template) => template.kind === 'legacy')

  /** `offset` and `count` of a list; what is beyond the limits is clamped (the real answer is unconfirmed). */
  function page({ offset, count }: Record<string, unknown>): [from: number, to: number] | null {
    const from = offset ?? 0
    const size = count ?? PAGE_MAX
    if (!Number.isInteger(from) || !Number.isInteger(size)) return null
    const start = Math.max(0, from as number)
    return [start, start + Math.min(PAGE_MAX, Math.max(0, size as number))]
  }

  /** Takes one use off a credential, or says why not: 41028 whatever is wrong with it, 41029 when it is used up. */
  function judge(app: App, openid: string, formId: unknown): number | (() => void) {
    const id = typeof formId === 'string' || typeof formId === 'number' ? String(formId) : ''
    const now = clock.now()
    const life = world.settings.credentialDays * DAY_MS
    const form = world.formIds.get(id)
    if (form !== undefined) {
      if (form.appid !== app.appid || form.openid !== openid || now >= form.createdAt + life) return 41028
      if (form.blocked === true) return 41031
      if (app.penalty.formIds !== undefined) return app.penalty.formIds
      return form.usesLeft <= 0 ? 41029 : () => void form.usesLeft--
    }
    const prepay = world.prepays.get(id)
    if (prepay === undefined || prepay.appid !== app.appid || prepay.openid !== openid) return 41028
    if (prepay.paidAt === undefined || now < prepay.visibleAt! || now >= prepay.paidAt + life) return 41028
    if (app.penalty.prepayIds !== undefined) return app.penalty.prepayIds
    return prepay.usesLeft <= 0 ? 41029 : () => void prepay.usesLeft--
  }

  return {
    /** POST /cgi-bin/wxopen/template/library/list */
    libraryList({ body }: Call): Answer {
      const range = page(body)
      if (range === null) return world.fault(47001)
      const list = LEGACY_LIBRARY.slice(...range).map(({ id, title }) => ({ id, title }))
      return reply({ errcode: 0, errmsg: 'ok', list, total_count: LEGACY_LIBRARY.length })
    },

    /** POST /cgi-bin/wxopen/template/library/get */
    libraryGet({ body }: Call): Answer {
      const found = LEGACY_LIBRARY.find(({ id }) => id === body.id)
      if (found === undefined) return world.fault(40037)
      return reply({ errcode: 0, errmsg: 'ok', id: found.id, title: found.title, keyword_list: found.keywords })
    },

    /** POST /cgi-bin/wxopen/template/add: the n-th keyword of the list becomes `keyword{n}`. */
    add({ app, body }: Call): Answer {
      const found = LEGACY_LIBRARY.find(({ id }) => id === body.id)
      if (found === undefined) return world.fault(40037)
      const ids: unknown = body.keyword_id_list
      if (!Array.isArray(ids) || ids.length === 0 || ids.length > KEYWORDS_MAX) return world.fault(45100)
      const keywords = ids.map((id) => found.keywords.find((keyword) => keyword.keyword_id === id))
      if (keywords.includes(undefined) || new Set(ids).size !== ids.length) return world.fault(45075)
      if (own(app).length >= world.settings.templateLimit) return world.fault(45026)
      const template: Template = {
        templateId: world.chance.word(TEMPLATE_ID_LENGTH),
        kind: 'legacy',
        title: found.title,
        content: keywords.map((keyword, i) => `${keyword!.name}{{keyword${i + 1}.DATA}}\n`).join(''),
        example: keywords.map((keyword) => `${keyword!.name}:${keyword!.example}\n`).join(''),
        keys: keywords.map((_, i) => `keyword${i + 1}`)
      }
      app.templates.set(template.templateId, template)
      return reply({ errcode: 0, errmsg: 'ok', template_id: template.templateId })
    },

    /** POST /cgi-bin/wxopen/template/list: no total_count; past the end an empty list. */
    list({ app, body }: Call): Answer {
      const range = page(body)
      if (range === null) return world.fault(47001)
      const list = own(app)
        .slice(...range)
        .map(({ templateId, title, content, example }) => ({ template_id: templateId, title, content, example }))
      return reply({ errcode: 0, errmsg: 'ok', list })
    },

    /** POST /cgi-bin/wxopen/template/del */
    remove({ app, body }: Call): Answer {
      if (app.templates.get(body.template_id)?.kind !== 'legacy') return world.fault(40037)
      app.templates.delete(body.template_id)
      return OK
    },

    /** POST /cgi-bin/message/wxopen/template/send. Order: openid, template, page, credential; only success spends. */
    send({ app, body }: Call): Answer {
      if (body.data !== undefined && !isObject(body.data)) return world.fault(47001)
      const user = userOf(app, body.touser)
      if (user === undefined) return world.fault(40003)
      const templateId: unknown = body.template_id
      if (typeof templateId !== 'string' || templateId.length !== TEMPLATE_ID_LENGTH)
        return world.fault(templateIdFault(templateId))
      const template = app.templates.get(templateId)
      if (template === undefined || template.kind !== 'legacy') return world.fault(40037)
      if (template.disabled) return world.fault(48011)
      const formId: unknown = body.form_id
      const built = world.formIds.get(String(formId))?.build
      // a card made in a develop or trial build opens that build, where unreleased pages exist
      if ((built === undefined || built === 'release') && !pageIsReleased(app, body.page)) return world.fault(41030)
      const spend = judge(app, user.openid, formId)
      if (typeof spend === 'number') return world.fault(spend)
      spend()
      ledger.accept({
        appid: app.appid,
        channel: 'legacy',
        openid: user.openid,
        templateId,
        credential: String(formId),
        data: body.data ?? {},
        ...(typeof body.emphasis_keyword === 'string' && { emphasis: body.emphasis_keyword.replace(/\.DATA$/, '') }),
        ...(body.page ? { page: body.page } : {})
      })
      return OK
    }
  }
}

/** 40037 for none at all, 40036 for one of the wrong length. */
export const templateIdFault = (templateId: unknown): 40036 | 40037 =>
  typeof templateId === 'string' && templateId !== '' ? 40036 : 40037
