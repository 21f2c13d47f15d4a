import { byId, el } from './elements.mjs'
import { createMemory } from './memory.mjs'
import { go, nameOf, showMe } from './me.mjs'
import { watchNotices } from './notices.mjs'
import { program } from './program.mjs'
import { runProgram, type Launch, type Running } from './run.mjs'
import { queryOf, sandbox, type Notice, type PhoneState } from './sandbox.mjs'
import { askModal, toast } from './sheets.mjs'
import { createWx } from './wx.mjs'

/** Scenes of WeChat's list: found by itself, a template message, a subscribe message. */
const SCENES = { plain: 1001, service: 1014, miniprogram: 1107 }
const SUBSCRIBE_AT_MOST = 3
type View = 'program' | 'notices' | 'me'

/** `pages/order?id=1` taken apart; a page the mini-program does not have becomes its first one, as it is said then. */
function launchOf(target: string, scene: number): Launch & { missing: boolean } {
  const [path = '', query = ''] = target.split('?')
  const first = program.app.pages[0]!
  const missing = path !== '' && !program.app.pages.includes(path)
  return {
    path: missing || path === '' ? first : path,
    query: Object.fromEntries(new URLSearchParams(query)),
    scene,
    missing
  }
}

async function findPerson(params: URLSearchParams): Promise<{ state: PhoneState; openid: string }> {
  const asked = {
    appid: params.get('appid') ?? undefined,
    openid: params.get('openid') ?? undefined,
    user: params.get('user') ?? undefined
  }
  let state = await sandbox.phone(asked)
  if (state.person === null) {
    const openid = await sandbox.newPerson(state.appids, state.app.appid)
    state = await sandbox.phone({ appid: state.app.appid, openid })
  }
  return { state, openid: state.person!.openid }
}

async function start() {
  const params = new URLSearchParams(location.search)
  const { state, openid } = await findPerson(params)
  const { appid, name } = state.app
  const server = params.get('server') ?? state.requestDomains[0] ?? ''
  // the address names the person from now on, and a reload opens no message a second time
  history.replaceState(null, '', `${location.pathname}?${queryOf({ appid, openid, server: server || undefined })}`)
  document.title = `${name} · 沙盒手机`
  byId('person').textContent = nameOf(state.person!.index)
  byId('title').textContent = program.app.window?.navigationBarTitleText ?? name

  const memory = createMemory(appid, openid)
  const launch = launchOf(params.get('page') ?? '', params.has('page') ? SCENES.miniprogram : SCENES.plain)
  const phone = createWx({
    state,
    openid,
    memory,
    launch,
    ext: {
      ...(server === '' ? {} : { server }),
      templateIds: state.templates
        .filter(({ type, disabled }) => type === 2 && !disabled)
        .slice(0, SUBSCRIBE_AT_MOST)
        .map(({ templateId }) => templateId),
      checkout: `${state.url}/sandbox/phone/checkout?${queryOf({ appid, openid })}`
    }
  })
  Object.assign(globalThis, { wx: phone.wx })
  const running: Running = runProgram(byId('program'), phone, launch)
  if (launch.missing) toast('小程序没有这一页，打开了首页')

  let view: View | null = null
  function look(next: View, options: Launch = launchOf('', SCENES.plain)) {
    if (view === next) return
    const before = view
    view = next
    for (const tab of document.querySelectorAll<HTMLElement>('[data-view]')) {
      tab.setAttribute('aria-selected', String(tab.dataset.view === next))
    }
    for (const each of ['program', 'notices', 'me'] as const) byId(`view-${each}`).hidden = each !== next
    if (next === 'notices') notices.seen()
    if (next === 'me') showMe({ state, openid, server, memory, phone })
    if (before === 'program') {
      running.hide()
      phone.hide()
    } else if (next === 'program' && before !== null) {
      phone.show(options)
      running.show()
    }
  }

  function open({ opens, from }: Notice) {
    if (opens === null) return
    if ('url' in opens) return void askModal({ title: '网页', content: opens.url, showCancel: false })
    if (opens.appid !== appid) {
      const there = state.apps.find((one) => one.appid === opens.appid)?.openid
      return go({ appid: opens.appid, openid: there ?? undefined, server, page: opens.page })
    }
    const to = launchOf(opens.page, SCENES[from.kind])
    look('program', to)
    if (to.missing) toast('小程序没有这一页，打开了首页')
  }

  const notices = watchNotices({
    appid,
    openid,
    isLookedAt: () => view === 'notices' && !document.hidden,
    unread: (count) => {
      byId('badge').textContent = count > 99 ? '99+' : String(count)
      byId('badge').hidden = count === 0
    },
    open,
    look: () => look('notices')
  })
  for (const tab of document.querySelectorAll<HTMLElement>('[data-view]')) {
    tab.addEventListener('click', () => look(tab.dataset.view as View))
  }
  byId('capsule').addEventListener('click', () => look('me'))
  look(server === '' ? 'me' : 'program')
  byId('phone').dataset.ready = 'true'
}

start().catch((error: unknown) => {
  const why = error instanceof Error ? error.message : String(error)
  byId('program').replaceChildren(el('p', 'hint warn', `手机打不开：${why}`), el('a', 'hint', '重新打开'))
  byId('program').querySelector('a')!.setAttribute('href', location.pathname)
})
