import type { AuthorizationReturn } from '../../shared/platform.js'

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escaped = (text: string) => text.replace(/[&<>"']/g, (letter) => ESCAPES[letter]!)

/** What an administrator sees who comes back from WeChat's consent page. */
export function returnPage(account: AuthorizationReturn): string {
  const { name, appId, state, disabledReason } = account
  const title = state === 'disabled' ? '已连接,但暂不可用 · Connected, but disabled' : '授权成功 · Connected'
  return page(
    title,
    `<p><b>${escaped(name)}</b> <code>${escaped(appId)}</code></p>${disabledReason === null ? '' : `<p>${escaped(disabledReason)}</p>`}<p><a href="/">鸿雁 Hongyan</a></p>`
  )
}

/** What they see when it came to nothing. */
export function failurePage(message: string): string {
  return page('授权未完成 · Not connected', `<p>${escaped(message)}</p><p><a href="/">鸿雁 Hongyan</a></p>`)
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><body style="font:16px/1.6 system-ui;max-width:40em;margin:4em auto;padding:0 1em"><h1 style="font-size:1.3em">${title}</h1>${body}</body></html>`
}
