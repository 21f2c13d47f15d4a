import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Is this something the list of inner hosts may hold: `host`, `host:port`, an address, or a range `10.0.0.0/8`? */
export function isAllowable(entry: string): boolean {
  if (entry.includes('/')) return ipaddr.isValidCIDR(entry)
  return isIP(entry) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/i.test(entry)
}

/** May anybody be connected to there? Not what loops back, is private, or leads to one of those by another name. */
export function isPublic(address: string): boolean {
  const parsed = ipaddr.process(address)
  // Of IPv6 only this block has been given out (IANA); old forms like ::7f00:1 lie outside it and count as unicast.
  const given = parsed.kind() === 'ipv4' || (parsed as ipaddr.IPv6).match(GLOBAL_UNICAST, 3)
  return given && parsed.range() === 'unicast'
}

const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::')

/** Is this address within one of the ranges? */
export function within(address: string, ranges: readonly string[]): boolean {
  const parsed = ipaddr.process(address)
  return ranges.some((range) => {
    const [base, bits] = ipaddr.parseCIDR(range)
    return base.kind() === parsed.kind() && parsed.match(base as never, bits)
  })
}
