import { escapeHtml, htmlPage } from './html.js'
import { PERMISSION_SETS } from './permission-sets.js'
import type { Platforms } from './platforms.js'
import type { Answer, App, Call, Platform, World } from './world.js'

/** Where the page's form goes; the sandbox's own address. */
export const CONFIRM_PATH = '/cgi-bin/componentloginpage/confirm'
const KINDS: Readonly<Record<string, readonly App['kind'][]>> = {
  1: ['service'],
  2: ['miniprogram'],
  3: ['service', 'miniprogram']
}
/** What the link says and the form says again. */
const CARRIED = [
  'component_appid',
  'pre_auth_code',
  'redirect_uri',
  'auth_type',
  'biz_appid',
  'category_id_list'
] as const

type Link = Partial<Record<(typeof CARRIED)[number], string>>

/**
 * The page an administrator meets behind the QR code: choose the account, tick what the platform may do, say yes. Here the person
 * in front of the browser is every account's administrator.
 */
export function createAuthorizationPage(world: World, platforms: Platforms) {
  const page = (code: number, body: string): Answer => ({
    code,
    type: 'text/html; charset=utf-8',
    text: htmlPage('授权', body)
  })
  const refused = (code: number, why: string) => page(code, `<h1>无法授权</h1><p class="bad">${escapeHtml(why)}</p>`)

  /** What a link asks for: the platform, the accounts it may be, the sets on offer; or the page that says what is wrong. */
  function read(link: Link) {
    const platform = world.platforms.get(link.component_appid ?? '')
    if (platform === undefined) return refused(61011, `component_appid ${link.component_appid ?? ''} is no platform`)
    const code = platform.preAuthCodes.get(link.pre_auth_code ?? '')
    if (code === undefined) return refused(61009, 'pre_auth_code is unknown')
    if (code.used) return refused(61009, 'pre_auth_code was used already: it is good for one authorisation')
    if (code.expiresAt <= world.clock.now()) return refused(61010, 'pre_auth_code has expired')
    const back = addressOf(link.redirect_uri)
    if (back === null) return refused(40048, 'redirect_uri is no web address')
    if (platform.domain !== undefined && back.hostname !== platform.domain)
      return refused(40048, `redirect_uri must lead to ${platform.domain}, the platform's authorisation domain`)
    const kinds = KINDS[link.auth_type || '3']
    if (kinds === undefined) return refused(40097, 'auth_type is 1, 2 or 3')
    const accounts = [...world.apps.values()].filter((app) =>
      link.biz_appid ? app.appid === link.biz_appid : kinds.includes(app.kind)
    )
    if (accounts.length === 0) return refused(40013, 'there is no account to choose')
    const ids = link.category_id_list ? link.category_id_list.split('|').map(Number) : platform.sets
    return { platform, code, back, accounts, ids }
  }

  const setsFor = (app: App, ids: readonly number[]) => ids.filter((id) => PERMISSION_SETS[app.kind].has(id))

  function accountChoice(platform: Platform, app: App, ids: readonly number[], checked: boolean) {
    const why = platforms.objection(platform, app)
    const held = platform.authorizations.get(app.appid)?.sets
    const boxes = setsFor(app, ids).map((id) => {
      const taken = platforms.heldElsewhere(platform, app.appid, id)
      const state = taken ? 'disabled' : 'checked'
      const note = taken ? ' <span class="no">已授权给其他平台</span>' : ''
      return `<label><input type="checkbox" name="${app.appid}" value="${id}" ${state}> ${id} ${PERMISSION_SETS[app.kind].get(id)!}${note}</label>`
    })
    const state = why !== null ? 'disabled' : checked ? 'checked' : ''
    const note = why !== null ? escapeHtml(why) : held === undefined ? '' : `已授权 ${[...held].join(' ')}`
    return `<fieldset><label><input type="radio" name="appid" value="${app.appid}" ${state}> <b>${escapeHtml(app.name)}</b> ${app.appid} <span class="no">${note}</span></label>${boxes.join('')}</fieldset>`
  }

  return {
    /** GET: the page. */
    show({ query }: Call): Answer {
      const link: Link = Object.fromEntries(CARRIED.map((name) => [name, query.get(name) ?? undefined]))
      const found = read(link)
      if ('text' in found) return found
      const { platform, accounts, ids } = found
      const hidden = CARRIED.filter((name) => link[name] !== undefined)
        .map((name) => `<input type="hidden" name="${name}" value="${escapeHtml(link[name])}">`)
        .join('')
      const first = accounts.find((app) => platforms.objection(platform, app) === null)
      const choices = accounts.map((app) => accountChoice(platform, app, ids, app === first)).join('')
      return page(
        0,
        `<h1>授权给「${escapeHtml(platform.name)}」</h1><p>请选择帐号和授权的权限集 · choose the account and what the platform may do</p><form method="post" action="${CONFIRM_PATH}">${hidden}${choices}<button name="answer" value="confirm">授权</button> <button name="answer" value="cancel">取消</button></form>`
      )
    },

    /** POST of its form: back to the platform with an auth_code, or without one when the administrator said no. */
    confirm({ body }: Call): Answer {
      const one = (name: string) => (typeof body[name] === 'string' ? (body[name] as string) : undefined)
      const link: Link = Object.fromEntries(CARRIED.map((name) => [name, one(name)]))
      const found = read(link)
      if ('text' in found) return found
      const { platform, code, back, accounts, ids } = found
      if (one('answer') === 'cancel') return page(0, '<h1>已取消授权</h1>')
      const app = accounts.find(({ appid }) => appid === body.appid)
      if (app === undefined) return refused(40013, 'no account was chosen')
      const why = platforms.objection(platform, app)
      if (why !== null) return refused(61028, why)
      const ticked = new Set([body[app.appid] ?? []].flat().map(Number))
      const sets = setsFor(app, ids).filter((id) => ticked.has(id) && !platforms.heldElsewhere(platform, app.appid, id))
      code.used = true
      const { authCode, expiresIn } = platforms.authorize(platform, app, sets, link.pre_auth_code)
      back.searchParams.set('auth_code', authCode)
      back.searchParams.set('expires_in', String(expiresIn))
      return { code: 0, text: '', redirect: back.href }
    }
  }
}

function addressOf(text: string | undefined): URL | null {
  if (text === undefined || !URL.canParse(text)) return null
  const url = new URL(text)
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : null
}
