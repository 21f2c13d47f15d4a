import { byId, el, toggle } from './elements.mjs'
import type { Memory } from './memory.mjs'
import { queryOf, sandbox, type PhoneState } from './sandbox.mjs'
import type { Wx } from './wx.mjs'

/** The name a visitor goes by on the page. */
export const nameOf = (index: number): string => `访客 ${index + 1}`

/** Opens another phone: person, app and server are what the address says. */
export function go(query: { appid?: string; openid?: string; server?: string; page?: string }): void {
  location.assign(`${location.pathname}?${queryOf(query)}`)
}

function picker(
  label: string,
  options: [value: string, text: string][],
  value: string,
  change: (value: string) => void
) {
  const select = document.createElement('select')
  select.append(...options.map(([each, text]) => new Option(text, each, false, each === value)))
  select.setAttribute('aria-label', label)
  select.addEventListener('change', () => change(select.value))
  return el('div', 'cell', [el('span', 'cell-label', label), select])
}

const NEW = 'new'

/** The page of the phone's owner: who they are, which app, which server, and WeChat's own settings. */
export function showMe(parts: { state: PhoneState; openid: string; server: string; memory: Memory; phone: Wx }): void {
  const { state, openid, server, memory, phone } = parts
  const { app, apps, appids, people, person, requestDomains } = state
  const again = { appid: app.appid, openid, server }

  async function become(choice: string) {
    go({ ...again, openid: choice === NEW ? await sandbox.newPerson(appids, app.appid) : choice })
  }
  async function openApp(appid: string) {
    const there = apps.find((one) => one.appid === appid)?.openid
    go({ ...again, appid, openid: there ?? undefined })
  }

  const address = document.createElement('input')
  address.value = server
  address.placeholder = 'http://127.0.0.1:8080'
  address.spellcheck = false
  address.setAttribute('aria-label', '鸿雁服务器')
  address.setAttribute('list', 'domains')
  address.addEventListener('change', () => go({ ...again, server: address.value.trim() }))
  const domains = el(
    'datalist',
    '',
    requestDomains.map((domain) => new Option(domain, domain))
  )
  domains.id = 'domains'

  const listed = URL.canParse(server) && requestDomains.includes(new URL(server).origin)
  const hint = listed
    ? null
    : el('p', 'hint warn', [
        server === '' ? '还没有服务器。' : '这个地址不在 request 合法域名里，请求会失败。',
        '启动沙盒时加 ',
        el('code', '', '--request-domain 地址'),
        '，或用 ',
        el('code', '', 'POST /sandbox/request-domains'),
        ' 加入。'
      ])

  byId('me').replaceChildren(
    el('div', 'owner', [
      el('span', 'face large', '访'),
      el('div', '', [el('strong', '', nameOf(person!.index)), el('code', 'openid', openid)])
    ]),
    el('div', 'cells', [
      picker(
        '访客',
        [
          ...people.shown.map((one): [string, string] => [
            one.openid,
            `${nameOf(one.index)}（…${one.openid.slice(-4)}）`
          ]),
          [NEW, '换一个新人']
        ],
        openid,
        (choice) => void become(choice)
      ),
      picker(
        '小程序',
        apps.map((one) => [one.appid, one.name]),
        app.appid,
        (choice) => void openApp(choice)
      ),
      el('div', 'cell', [el('span', 'cell-label', '鸿雁服务器'), address, domains])
    ]),
    hint ?? el('p', 'hint', '小程序把接住的发送权交给这个服务器。'),
    el('div', 'cells', [
      toggle('网络', phone.isOnline(), (on) => phone.setOnline(on)),
      toggle('订阅消息总开关', memory.settings().mainSwitch, (mainSwitch) => memory.change({ mainSwitch })),
      el('button', 'cell plain', '忘记“总是保持”的选择', () => memory.change({ kept: {} })),
      el('button', 'cell plain', '清空小程序存储并重新打开', () => {
        memory.clear()
        go(again)
      })
    ])
  )
}
