import type { AccountView } from '../../shared/account.js'

/** The hosts WeChat documents for its interfaces ("interface domains", service-account documentation). */
const WECHAT_HOSTS = new Set(['api', 'api2', 'sh.api', 'sz.api', 'hk.api'].map((name) => `${name}.weixin.qq.com`))

/**
 * Why an account may not name this apiBase, or null when it may. The server sends the secret there and shows what comes
 * back, so an account is no way into its network: in mode `live` it names WeChat over https, in mode `sandbox` this
 * machine, and in both the host this installation is configured for.
 */
export function apiBaseFault(mode: AccountView['mode'], wanted: string, configured: string): string | null {
  const url = new URL(wanted)
  if (!isHttp(url) || url.search !== '' || url.hash !== '') {
    return 'an apiBase is a http or https URL without user name, query and fragment'
  }
  const own = new URL(configured)
  if (url.origin === own.origin) return null
  if (mode === 'sandbox') {
    if (url.hostname === own.hostname || isLoopback(url.hostname)) return null
    return 'the apiBase of a sandbox account is on this machine, or on the host of HONGYAN_API_BASE'
  }
  if (url.protocol === 'https:' && url.port === '' && WECHAT_HOSTS.has(url.hostname)) return null
  return `the apiBase of a live account is https with one of: ${[...WECHAT_HOSTS].join(', ')}; use mode sandbox for others`
}

/** A URL that can be called over HTTP and carries no user name. */
export const isHttp = (url: URL): boolean =>
  /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''

/** URL has written every spelling of an IPv4 address as four numbers by now. */
const isLoopback = (hostname: string) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
