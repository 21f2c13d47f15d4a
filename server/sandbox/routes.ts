import { CONFIRM_PATH, createAuthorizationPage } from './authorization-page.js'
import { createComponent } from './component.js'
import { createContentCheck } from './content-check.js'
import { createFollowers } from './followers.js'
import type { Ledger } from './ledger.js'
import { createLegacy } from './legacy.js'
import { createLogin } from './login.js'
import { createNewTemplates } from './newtmpl.js'
import { createOperations, type RidRecord } from './operations.js'
import { createOnce } from './once.js'
import type { Platforms } from './platforms.js'
import type { Pushes } from './pushes.js'
import { createService } from './service.js'
import { createSubscribe } from './subscribe.js'
import type { Tokens } from './tokens.js'
import type { Answer, Call, World } from './world.js'

/** One of WeChat's calls: what is checked before its handler sees it. */
export interface Route {
  method: 'GET' | 'POST' | 'any'
  /** Needs ?access_token=; `component`: a platform's own, also as ?component_access_token=. */
  token: boolean | 'component'
  /** none: not read. json: an object is required. form: urlencoded or JSON. loose: an object if there is one. */
  body: 'none' | 'json' | 'form' | 'loose'
  /** Kind of app that has this interface; others get `foreign`. */
  kind?: 'miniprogram' | 'service'
  foreign?: number
  /** Only a verified service account has it. */
  verified?: boolean
  /** Permission set that a platform needs to call this for a service account. */
  set?: number
  /** Fault of a wrong HTTP method when not the usual one. */
  wrongMethod?: number
  /** Closed together with legacy template messages. */
  legacy?: boolean
  /** A message send: counted in the sliding second. */
  sends?: boolean
  /** Counts against the day quota (token calls count for themselves). */
  quota: boolean
  handle(call: Call): Answer
}

interface Parts {
  world: World
  tokens: Tokens
  ledger: Ledger
  pushes: Pushes
  platforms: Platforms
  findRid: (rid: string) => RidRecord | undefined
}

/** Every path the sandbox answers as WeChat, with its route. */
export function createRoutes({ world, tokens, ledger, pushes, platforms, findRid }: Parts): Map<string, Route> {
  const routes = new Map<string, Route>()
  const login = createLogin(world)
  const component = createComponent(world, tokens, platforms.startTickets)
  const authorization = createAuthorizationPage(world, platforms)
  const legacy = createLegacy(world, ledger)
  const subscribe = createSubscribe(world, ledger, pushes)
  const templates = createNewTemplates(world)
  const service = createService(world, ledger, pushes)
  const once = createOnce(world, ledger)
  const followers = createFollowers(world)
  const contentCheck = createContentCheck(world)
  const operations = createOperations(world, findRid, (path) => routes.has(path))

  const get = (path: string, handle: Route['handle'], rest: Partial<Route> = {}) =>
    routes.set(path, { method: 'GET', token: true, body: 'none', quota: true, handle, ...rest })
  const post = (path: string, handle: Route['handle'], rest: Partial<Route> = {}) =>
    routes.set(path, { method: 'POST', token: true, body: 'json', quota: true, handle, ...rest })

  const open = { token: false, quota: false }
  get('/cgi-bin/token', tokens.classic, open)
  post('/cgi-bin/stable_token', tokens.stable, open)
  get('/sns/jscode2session', login.code2session, open)

  const mini = { kind: 'miniprogram' } as const
  get('/wxa/checksession', login.checkSession, mini)
  get('/wxa/resetusersessionkey', login.resetSession, mini)
  post('/wxa/msg_sec_check', contentCheck, { ...mini, wrongMethod: 43302 })

  const old = { ...mini, legacy: true }
  post('/cgi-bin/wxopen/template/library/list', legacy.libraryList, old)
  post('/cgi-bin/wxopen/template/library/get', legacy.libraryGet, old)
  post('/cgi-bin/wxopen/template/add', legacy.add, old)
  post('/cgi-bin/wxopen/template/list', legacy.list, mini)
  post('/cgi-bin/wxopen/template/del', legacy.remove, old)
  post('/cgi-bin/message/wxopen/template/send', legacy.send, { ...old, sends: true })
  post('/cgi-bin/message/wxopen/template/uniform_send', () => world.fault(45109), mini)

  post('/cgi-bin/message/subscribe/send', subscribe.send, { ...mini, sends: true })
  const notices = { set: 89 }
  get('/wxaapi/newtmpl/getcategory', templates.categories, notices)
  get('/wxaapi/newtmpl/getpubtemplatetitles', templates.titles, notices)
  get('/wxaapi/newtmpl/getpubtemplatekeywords', templates.keywords, notices)
  post('/wxaapi/newtmpl/addtemplate', templates.add, { ...notices, body: 'form' })
  get('/wxaapi/newtmpl/gettemplate', templates.list, notices)
  post('/wxaapi/newtmpl/deltemplate', templates.remove, { ...notices, body: 'form' })

  const account = { kind: 'service', verified: true, set: 7 } as const
  post('/cgi-bin/template/api_set_industry', service.setIndustry, account)
  // two of these reads are called with POST by some SDKs; whether WeChat means to allow it is unconfirmed
  get('/cgi-bin/template/get_industry', service.getIndustry, { ...account, method: 'any' })
  get('/cgi-bin/template/get_all_private_template', service.list, { ...account, method: 'any' })
  post('/cgi-bin/template/api_add_template', service.add, account)
  post('/cgi-bin/template/del_private_template', service.remove, account)
  post('/cgi-bin/message/template/send', service.send, { ...account, foreign: 45103, sends: true })
  post('/cgi-bin/message/subscribe/bizsend', subscribe.bizsend, { ...account, ...notices, sends: true })
  post('/cgi-bin/message/template/subscribe', once.send, { ...account, sends: true })

  const follow = { kind: 'service', set: 2 } as const
  get('/cgi-bin/user/get', followers.get, follow)
  get('/cgi-bin/user/info', followers.info, follow)
  post('/cgi-bin/user/info/batchget', followers.batchGet, follow)
  post('/cgi-bin/tags/create', followers.createTag, follow)
  get('/cgi-bin/tags/get', followers.tags, follow)
  post('/cgi-bin/user/tag/get', followers.tagged, follow)
  post('/cgi-bin/tags/getidlist', followers.tagsOf, follow)
  post('/cgi-bin/tags/members/batchtagging', followers.tagging, follow)
  post('/cgi-bin/tags/members/batchuntagging', followers.tagging, follow)
  post('/cgi-bin/tags/members/getblacklist', followers.blacklist, follow)

  const free = { quota: false }
  get('/cgi-bin/get_api_domain_ip', operations.addresses)
  get('/cgi-bin/getcallbackip', operations.addresses)
  post('/cgi-bin/clear_quota', operations.clearQuota, free)
  post('/cgi-bin/clear_quota/v2', operations.clearQuotaBySecret, { ...open, body: 'loose' })
  post('/cgi-bin/openapi/quota/get', operations.quota, free)
  post('/cgi-bin/openapi/quota/clear', operations.clearOne, free)
  post('/cgi-bin/openapi/rid/get', operations.rid, free)

  const platform = { token: 'component', quota: false } as const
  post('/cgi-bin/component/api_start_push_ticket', component.startTicket, open)
  post('/cgi-bin/component/api_component_token', component.token, open)
  post('/cgi-bin/component/api_create_preauthcode', component.preAuthCode, platform)
  post('/cgi-bin/component/api_query_auth', component.queryAuth, platform)
  post('/cgi-bin/component/api_authorizer_token', component.authorizerToken, platform)
  post('/cgi-bin/component/api_get_authorizer_info', component.authorizerInfo, platform)
  post('/cgi-bin/component/api_get_authorizer_list', component.authorizers, platform)
  post('/cgi-bin/component/api_get_authorizer_option', component.option, platform)
  post('/cgi-bin/component/api_set_authorizer_option', component.setOption, platform)
  get('/sns/component/jscode2session', login.componentSession, platform)
  for (const path of ['/cgi-bin/componentloginpage', '/wxaopen/safe/bindcomponent', '/safe/bindcomponent'])
    get(path, authorization.show, open)
  post(CONFIRM_PATH, authorization.confirm, { ...open, body: 'form' })
  return routes
}
