import { byId, el } from './elements.mjs'
import { sandbox, SandboxSaysNo, type Notice } from './sandbox.mjs'

const POLL_MS = 1000
const BANNER_MS = 4000

const two = (n: number) => String(n).padStart(2, '0')

/** A moment as chats write it: the time alone for today. */
export function momentText(at: number, now: Date): string {
  const date = new Date(at)
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`
  if (date.toDateString() === now.toDateString()) return time
  const year = date.getFullYear() === now.getFullYear() ? '' : `${date.getFullYear()}年`
  return `${year}${date.getMonth() + 1}月${date.getDate()}日 ${time}`
}

/** One message, drawn as a card: who, what, when, the fields, where it leads. */
export function card(notice: Notice, open: (notice: Notice) => void): HTMLElement {
  const { from, title, fields, opens } = notice
  const field = ({ label, value, large }: Notice['fields'][number]) =>
    el('div', large ? 'field large' : label ? 'field' : 'field alone', [
      label ? el('dt', '', label) : null,
      el('dd', '', value)
    ])
  const made = el('article', 'notice', [
    el('header', 'notice-from', [el('span', `face ${from.kind}`, from.name.slice(0, 1)), el('span', '', from.name)]),
    el('h2', 'notice-title', title),
    el(
      'dl',
      'notice-fields',
      [...fields.filter(({ large }) => large), ...fields.filter(({ large }) => !large)].map(field)
    ),
    opens === null
      ? null
      : el('button', 'notice-open', 'url' in opens ? '查看详情' : '进入小程序查看', () => open(notice))
  ])
  made.dataset.seq = String(notice.seq)
  return made
}

/**
 * Keeps the list of what the person received up to date. `unread` hears how many came while the list was not looked at;
 * those that came while the page was open also slide in from above.
 */
export function watchNotices(parts: {
  appid: string
  openid: string
  isLookedAt: () => boolean
  unread: (count: number) => void
  open: (notice: Notice) => void
  look: () => void
}) {
  const { appid, openid, isLookedAt, open } = parts
  const list = byId('notices')
  let newest = 0
  let fresh = 0
  let first = true
  let banner = 0

  function slideIn(notice: Notice) {
    const node = byId('banner')
    const words = notice.fields[0] ? `${notice.fields[0].label} ${notice.fields[0].value}` : ''
    node.replaceChildren(
      el('span', `face ${notice.from.kind}`, notice.from.name.slice(0, 1)),
      el('span', 'banner-text', [el('strong', '', notice.title), el('span', '', `${notice.from.name} · ${words}`)])
    )
    node.hidden = false
    clearTimeout(banner)
    banner = setTimeout(() => (node.hidden = true), BANNER_MS)
  }
  byId('banner').addEventListener('click', () => {
    byId('banner').hidden = true
    parts.look()
  })

  async function ask() {
    const found = await sandbox.notices({ appid, openid, after: newest })
    for (const notice of found) {
      newest = notice.seq
      list.append(el('time', 'notice-time', momentText(notice.at, new Date())), card(notice, open))
      if (!isLookedAt()) {
        fresh++
        if (!first) slideIn(notice)
      }
    }
    if (found.length > 0) {
      byId('no-notices').hidden = true
      list.scrollTop = list.scrollHeight
    }
    if (!first || !isLookedAt()) parts.unread(fresh)
    first = false
  }

  async function round() {
    try {
      if (!document.hidden) await ask()
      byId('trouble').hidden = true
    } catch (error) {
      const gone = error instanceof SandboxSaysNo && error.status === 404
      byId('trouble').textContent = gone ? '沙盒里已经没有这个人，请重新打开' : '沙盒没有应答'
      byId('trouble').hidden = false
    }
    setTimeout(round, POLL_MS)
  }
  void round()

  return {
    /** The person looks at the list now. */
    seen() {
      fresh = 0
      byId('banner').hidden = true
      parts.unread(0)
      list.scrollTop = list.scrollHeight
    }
  }
}
