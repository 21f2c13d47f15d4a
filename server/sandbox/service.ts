import { INDUSTRIES, SERVICE_LIBRARY, type ServiceTitle } from './library.js'
import type { Ledger } from './ledger.js'
import { templateIdFault } from './legacy.js'
import type { Pushes } from './pushes.js'
import { isObject, judgeData, placeholders } from './values.js'
import { OK, reply, userOf, type Answer, type App, type Call, type Template, type User, type World } from './world.js'

const TEMPLATE_ID_LENGTH = 43
const RECENT_KEPT = 8

/** Service-account template messages: industries, own templates, and the send. */
export function createService(world: World, ledger: Ledger, pushes: Pushes) {
  const { clock } = world

  const own = (app: App) => [...app.templates.values()].filter((template) => template.kind === 'service')

  /** The same content to the same person within a minute (40241), remembered by hash. */
  function repeats(user: User, templateId: string, data: unknown): boolean {
    const window = world.settings.sameContentMs
    if (window <= 0) return false
    const now = clock.now()
    const hash = hashOf(templateId + JSON.stringify(data))
    if (user.recent.some((earlier) => earlier.hash === hash && now - earlier.at < window)) return true
    user.recent.push({ hash, at: now })
    if (user.recent.length > RECENT_KEPT) user.recent.shift()
    return false
  }

  function pushResult(app: App, user: User, msgid: string) {
    if (!pushes.isHeard(app)) return
    const Status =
      user.block === 'drop' ? 'failed:user block' : user.block === 'fail' ? 'failed: system failed' : 'success'
    const event = { openid: user.openid, event: 'TEMPLATESENDJOBFINISH', fields: { MsgID: { raw: msgid }, Status } }
    pushes.send(app, event, pushes.isEarly())
  }

  return {
    /** POST /cgi-bin/template/api_set_industry: two different ones, once a calendar month; templates of a left industry go. */
    setIndustry({ app, body }: Call): Answer {
      const pair = [body.industry_id1, body.industry_id2].map((id) =>
        /^\d{1,2}$/.test(String(id)) ? Number(id) : 0
      ) as [number, number]
      if (pair.some((id) => id < 1 || id > INDUSTRIES.length) || pair[0] === pair[1]) return world.fault(40102)
      if (app.industriesMonth === clock.month()) return world.fault(43100)
      app.industries = pair
      app.industriesMonth = clock.month()
      for (const template of own(app)) {
        if (template.industry !== undefined && !pair.includes(template.industry))
          app.templates.delete(template.templateId)
      }
      return OK
    },

    /** GET /cgi-bin/template/get_industry: no errcode on success; 40102 before any was set. */
    getIndustry({ app }: Call): Answer {
      if (app.industries === undefined) return world.fault(40102)
      const [primary, secondary] = app.industries.map((id) => {
        const [first_class, second_class] = INDUSTRIES[id - 1]!
        return { first_class, second_class }
      })
      return reply({ primary_industry: primary, secondary_industry: secondary })
    },

    /** POST /cgi-bin/template/api_add_template: an industry template as it is, a category template from keyword names. */
    add({ app, body }: Call): Answer {
      const found = SERVICE_LIBRARY.find(({ id }) => id === String(body.template_id_short))
      if (found === undefined) return world.fault(40037)
      const names: unknown = body.keyword_name_list
      if (found.industry === undefined) {
        if (!Array.isArray(names) || names.length === 0 || new Set(names).size !== names.length)
          return world.fault(40246)
        if (names.some((name) => !found.keywords.some((keyword) => keyword.name === name))) return world.fault(40246)
      } else if (app.industries?.includes(found.industry) !== true) return world.fault(45027)
      if (own(app).length >= world.settings.templateLimit) return world.fault(45026)
      const template = serviceTemplate(world.chance.word(TEMPLATE_ID_LENGTH), found, (names ?? []) as string[])
      app.templates.set(template.templateId, template)
      return reply({ errcode: 0, errmsg: 'ok', template_id: template.templateId })
    },

    /** GET /cgi-bin/template/get_all_private_template: no errcode on success. */
    list({ app }: Call): Answer {
      const template_list = own(app).map(({ templateId, title, content, example, industry }) => {
        const [primary_industry, deputy_industry] = industry === undefined ? ['', ''] : INDUSTRIES[industry - 1]!
        return { template_id: templateId, title, primary_industry, deputy_industry, content, example }
      })
      return reply({ template_list })
    },

    /** POST /cgi-bin/template/del_private_template */
    remove({ app, body }: Call): Answer {
      if (app.templates.get(body.template_id)?.kind !== 'service') return world.fault(40037)
      app.templates.delete(body.template_id)
      return OK
    },

    /**
     * POST /cgi-bin/message/template/send. Order: touser, template, mini-program, follower, refusal, values, client_msg_id,
     * same content within a minute. Accepted means queued; the verdict comes as TEMPLATESENDJOBFINISH.
     */
    send({ app, body }: Call): Answer {
      if (body.touser === undefined || body.touser === '') return world.fault(41009)
      const user = userOf(app, body.touser)
      if (user === undefined) return world.fault(40003)
      const templateId: unknown = body.template_id
      if (typeof templateId !== 'string' || templateId.length !== TEMPLATE_ID_LENGTH)
        return world.fault(templateIdFault(templateId))
      const template = app.templates.get(templateId)
      if (template === undefined || template.kind !== 'service') return world.fault(40037)
      if (template.disabled) return world.fault(43116)
      if (body.miniprogram !== undefined && !linkedTo(world, app, body.miniprogram)) return world.fault(40013)
      if (!user.follows) return world.fault(43004)
      if (user.block === 'refuse') return world.fault(43101)
      if (!isObject(body.data)) return world.fault(47001)
      if (template.category) {
        const complaint = judgeData(template.keys, body.data)
        if (complaint !== null) return world.fault(47003, complaint)
      }
      const clientMsgId =
        typeof body.client_msg_id === 'string' && body.client_msg_id !== '' ? body.client_msg_id : undefined
      const row = {
        appid: app.appid,
        channel: 'service' as const,
        openid: user.openid,
        templateId,
        data: body.data,
        ...(clientMsgId === undefined ? {} : { clientMsgId }),
        ...(body.url ? { url: String(body.url) } : {}),
        ...(body.miniprogram === undefined ? {} : { miniprogram: body.miniprogram, page: body.miniprogram.pagepath })
      }
      const earlier =
        clientMsgId === undefined ? undefined : ledger.earlier(user.openid, clientMsgId, world.settings.clientMsgIdMs)
      if (earlier !== undefined) {
        ledger.accept({ ...row, msgid: earlier.msgid, duplicateOf: earlier.seq })
        const { duplicateAnswer } = world.settings
        return duplicateAnswer === 'first' ? accepted(earlier.msgid) : world.fault(duplicateAnswer)
      }
      if (repeats(user, templateId, body.data)) return world.fault(40241)
      const msgid = world.nextMsgid()
      ledger.accept({ ...row, msgid })
      pushResult(app, user, msgid)
      return accepted(msgid)
    }
  }
}

/** An account's template made from a library title; `names` picks and orders the keywords of a category template. */
export function serviceTemplate(templateId: string, found: ServiceTitle, names: readonly string[]): Template {
  const base = { templateId, kind: 'service' as const, title: found.title }
  if (found.industry !== undefined) {
    const content = found.content!
    return { ...base, content, example: found.example!, keys: placeholders(content), industry: found.industry }
  }
  const keywords = names.map((name) => found.keywords.find((keyword) => keyword.name === name)!)
  return {
    ...base,
    content: keywords.map(({ name, key }) => `${name}:{{${key}.DATA}}`).join('\n'),
    example: keywords.map(({ name, example }) => `${name}:${example}`).join('\n'),
    keys: keywords.map(({ key }) => key),
    category: true
  }
}

const accepted = (msgid: string): Answer => ({ code: 0, text: `{"errcode":0,"errmsg":"ok","msgid":${msgid}}` })

/** Linked by the app's own list, else any mini-program this sandbox has. */
function linkedTo(world: World, app: App, miniprogram: unknown): boolean {
  const appid = isObject(miniprogram) ? miniprogram.appid : undefined
  if (typeof appid !== 'string') return false
  return app.linked === undefined ? world.apps.get(appid)?.kind === 'miniprogram' : app.linked.has(appid)
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
