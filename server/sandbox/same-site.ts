import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/**
 * Does a browser make this call for a page that is not the sandbox's own? The control API has no password and can call
 * servers of the developer's network, so a page from elsewhere must not reach it: neither by a plain form post nor under a
 * name of its own that it lets point here (DNS rebinding). Callers that are no browsers send neither header and are free.
 */
export function isForeignPage(headers: IncomingHttpHeaders, ownHost: string): boolean {
  const { origin, host = '' } = headers
  const site = headers['sec-fetch-site']
  if (origin === undefined && site === undefined) return false
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  // A name without a dot is of this machine or its network; nobody outside can have it.
  const near = isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost') || name === ownHost
  if (!near) return true
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) return true
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}
