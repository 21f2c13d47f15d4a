import { CATEGORIES, SUBSCRIBE_LIBRARY, WHOLE_TITLES, type SubscribeTitle } from './library.js'
import { typeOf } from './values.js'
import { reply, OK, type Answer, type App, type Call, type Template, type World } from './world.js'

const TITLES_MAX = 30
const KIDS_MIN = 2
const KIDS_MAX = 5
const SCENE_MAX = 15

/** `/wxaapi/newtmpl/*`: the library of subscribe messages and the account's own choice from it. */
export function createNewTemplates(world: World) {
  const own = (app: App) => [...app.templates.values()].filter((template) => template.kind === 'subscribe')

  return {
    /** GET getcategory */
    categories: (): Answer => reply({ errcode: 0, errmsg: 'ok', data: CATEGORIES }),

    /** GET getpubtemplatetitles?ids=&start=&limit= */
    titles({ query }: Call): Answer {
      const ids = query.get('ids')
      if (ids === null || ids === '') return world.fault(200018)
      if (!/^\d+(,\d+)*$/.test(ids)) return world.fault(200019)
      const wanted = ids.split(',').map(Number)
      if (wanted.some((id) => !CATEGORIES.some((category) => category.id === id))) return world.fault(200019)
      const start = wholeNumber(query.get('start'))
      if (start === null) return world.fault(200016)
      const limit = wholeNumber(query.get('limit'))
      if (limit === null || limit < 1 || limit > TITLES_MAX) return world.fault(200017)
      const found = SUBSCRIBE_LIBRARY.filter((title) => wanted.includes(title.categoryId))
      const data = found
        .slice(start, start + limit)
        .map(({ tid, title, type, categoryId }) => ({ tid, title, type, categoryId: String(categoryId) }))
      return reply({ errcode: 0, errmsg: 'ok', count: found.length, data })
    },

    /** GET getpubtemplatekeywords?tid= */
    keywords({ query }: Call): Answer {
      const tid = query.get('tid')
      if (tid === null || tid === '') return world.fault(200014, 'missing parameter tid')
      const found = SUBSCRIBE_LIBRARY.find((title) => String(title.tid) === tid)
      if (found === undefined) return world.fault(200014, 'tid does not exist')
      const data = found.keywords.map(({ kid, key, name, example, values }) => ({
        kid,
        name,
        example,
        rule: typeOf(key),
        enumValueList: values ?? []
      }))
      return reply({ errcode: 0, errmsg: 'ok', count: data.length, data })
    },

    /** POST addtemplate, form or JSON. */
    add({ app, body }: Call): Answer {
      const { tid, kidList, sceneDesc } = body
      if (tid === undefined || tid === '') return world.fault(200014, 'missing parameter tid')
      const found = SUBSCRIBE_LIBRARY.find((title) => String(title.tid) === String(tid))
      if (found === undefined) return world.fault(200014, 'tid does not exist')
      const keywords = chosen(found, kidList)
      if (keywords === null) return world.fault(200020)
      if (sceneDesc !== undefined && (typeof sceneDesc !== 'string' || [...sceneDesc].length > SCENE_MAX))
        return world.fault(200021)
      if (own(app).length >= world.settings.subscribeTemplateLimit) return world.fault(200012)
      const template = subscribeTemplate(world.chance.word(43), found, keywords)
      app.templates.set(template.templateId, template)
      return reply({ errcode: 0, errmsg: 'ok', priTmplId: template.templateId })
    },

    /** GET gettemplate */
    list({ app }: Call): Answer {
      const data = own(app).map(({ templateId, title, content, example, type, enumerations }) => ({
        priTmplId: templateId,
        title,
        content,
        example,
        type,
        ...(enumerations === undefined
          ? {}
          : {
              keywordEnumValueList: [...enumerations].map(([key, enumValueList]) => ({
                keywordCode: `${key}.DATA`,
                enumValueList
              }))
            })
      }))
      return reply({ errcode: 0, errmsg: 'ok', data })
    },

    /** POST deltemplate, form or JSON. */
    remove({ app, body }: Call): Answer {
      const id: unknown = body.priTmplId
      if (typeof id !== 'string' || id === '') return world.fault(200002, 'missing parameter priTmplId')
      if (app.templates.get(id)?.kind !== 'subscribe') return world.fault(40037)
      app.templates.delete(id)
      for (const user of app.userList) user.grants.delete(id)
      return OK
    }
  }
}

/** The keywords that a list of kids picks, in its order: two to five of the title's own; null when the list is wrong. */
function chosen(title: SubscribeTitle, kids: unknown): SubscribeTitle['keywords'] | null {
  if (title.tid >= WHOLE_TITLES.from && title.tid < WHOLE_TITLES.below)
    return kids === undefined || (Array.isArray(kids) && kids.length === 0) ? title.keywords : null
  if (!Array.isArray(kids) || kids.length < KIDS_MIN || kids.length > KIDS_MAX) return null
  const picked = kids.flatMap((kid) => title.keywords.filter((keyword) => String(keyword.kid) === String(kid)))
  return picked.length === kids.length && new Set(picked).size === picked.length ? picked : null
}

/** An account's template made of some keywords of a library title, in the order given. */
export function subscribeTemplate(
  templateId: string,
  title: SubscribeTitle,
  keywords: SubscribeTitle['keywords']
): Template {
  const enumerations = new Map(
    keywords.flatMap(({ key, values }) => (values === undefined ? [] : [[key, values] as const]))
  )
  return {
    templateId,
    kind: 'subscribe',
    title: title.title,
    content: keywords.map(({ name, key }) => `${name}:{{${key}.DATA}}\n`).join(''),
    example: keywords.map(({ name, example }) => `${name}:${example}\n`).join(''),
    keys: keywords.map(({ key }) => key),
    type: title.type,
    ...(enumerations.size === 0 ? {} : { enumerations })
  }
}

const wholeNumber = (text: string | null) => (text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null)
