import type { Client } from '../client.js'

/** `chaos`: everything a network and a busy server do. `transient`: what passes when it is asked again. `none`. */
export type FaultsProfile = 'chaos' | 'transient' | 'none'
export const FAULTS: readonly FaultsProfile[] = ['chaos', 'transient', 'none']

/** Something WeChat is told to do wrong, under the name it is counted by. */
export type NamedRule = {
  name: string
  rule: { path: string; openid?: string; probability?: number; action: Record<string, unknown> }
}

const PATHS = {
  legacy: '/cgi-bin/message/wxopen/template/send',
  subscribe: '/cgi-bin/message/subscribe/send',
  service: '/cgi-bin/message/template/send'
}
const TOKENS = '/cgi-bin/token'
const TOKEN_SHARE = 0.05
const REFUSALS = [
  { name: 'errcode -1', action: { errcode: -1 } },
  { name: 'errcode 40001', action: { errcode: 40001 } },
  { name: 'errcode 45011', action: { errcode: 45011 } }
]
const SILENCES = [
  { name: 'HTTP 500', action: { http: 500 } },
  { name: 'HTTP 502', action: { http: 502 } },
  { name: 'reset before', action: { reset: 'before' } },
  { name: 'reset after', action: { reset: 'after' } },
  { name: 'hang before', action: { hang: 'before' } },
  { name: 'hang after', action: { hang: 'after' } },
  { name: 'cut off', action: { truncate: true } }
]

/**
 * The rules of a profile that strike `share` of the sends. A grant has no name to ask about again: without an answer it is
 * unknown, as it must be; so in `transient` the subscribe interface refuses only. Pure.
 */
export function rulesOf(profile: FaultsProfile, share: number): NamedRule[] {
  if (profile === 'none') return []
  const rules: NamedRule[] = []
  for (const [channel, path] of Object.entries(PATHS)) {
    const faults = profile === 'transient' && channel === 'subscribe' ? REFUSALS : [...REFUSALS, ...SILENCES]
    for (const { name, action } of faults)
      rules.push({ name, rule: { path, probability: share / faults.length, action } })
  }
  if (profile === 'chaos') {
    for (const { name, action } of [REFUSALS[0]!, SILENCES[2]!])
      rules.push({ name: `token: ${name}`, rule: { path: TOKENS, probability: TOKEN_SHARE, action } })
  }
  return rules
}

/** These people are answered this code by this channel, always: what asking again cannot mend. Pure. */
export function doomOf(openids: readonly string[], channel: keyof typeof PATHS, errcode: number): NamedRule[] {
  return openids.map((openid) => ({ name: openid, rule: { path: PATHS[channel], openid, action: { errcode } } }))
}

/** Sets the rules, in this order. The answer takes them off again and tells how often each struck. */
export async function letFail(
  sandbox: Client,
  rules: readonly NamedRule[]
): Promise<() => Promise<Record<string, number>>> {
  if (rules.length > 0) {
    await sandbox.post(
      '/sandbox/rules',
      rules.map(({ rule }) => rule)
    )
  }
  return async () => {
    const standing = await sandbox.get<{ fired: number }[]>('/sandbox/rules')
    await sandbox.remove('/sandbox/rules')
    const fired: Record<string, number> = {}
    rules.forEach(({ name }, i) => (fired[name] = (fired[name] ?? 0) + (standing[i]?.fired ?? 0)))
    return fired
  }
}
