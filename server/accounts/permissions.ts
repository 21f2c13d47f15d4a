import type { AccountKind, AccountView } from '../../shared/account.js'

/** What WeChat says of an account connected by QR, as far as it decides what the account can do. */
export type Authorizer = {
  /** 0 and 1: subscription account, 2: service account; null for mini-programs. */
  serviceType: number | null
  verified: boolean
  /** 1 normal, 14 closed, 16 banned, 18 warned, 19 frozen; null when WeChat did not say. */
  status: number | null
  authorizedAt: Date
  /** null while the authorisation stands. */
  withdrawnAt: Date | null
}

/** A permission set something of ours needs. */
type Need = { id: number; name: string; for: string; compulsory: boolean }

/** What the sets granted amount to. `halted`: nothing may be sent. */
export type Standing = {
  halted: boolean
  disabledReason: string | null
  /** Why it is only limited, when nothing disables it. */
  limitedReason: string | null
  functions: AccountView['functions']
  missing: { id: number; name: string; for: string }[]
}

/** Numbers and names: service-account documentation, permission set ids. */
const SERVICE_NEEDS: readonly Need[] = [
  { id: 2, name: '用户管理', for: 'followers', compulsory: true },
  { id: 7, name: '群发与通知', for: 'templates', compulsory: true },
  { id: 3, name: '帐号服务', for: 'account', compulsory: true }
]
const MESSAGES = { id: 1, name: '消息管理', for: 'events' }
/** The host's own backend may log phones in and the templates' set is not confirmed by any document: told, not enforced. */
const MINI_NEEDS: readonly Need[] = [
  { id: 18, name: '开发与数据', for: 'templates', compulsory: false },
  { id: 20, name: '登录', for: 'login', compulsory: false }
]
const OUT_OF_ORDER: Readonly<Record<number, string>> = { 14: 'closed', 16: 'banned', 19: 'frozen' }

/**
 * What an account connected by QR may do: sets 2, 7 and 3 are compulsory for service accounts, and 1 where a recent
 * interaction is demanded, since without it none is ever heard of. Pure.
 */
export function standingOf(
  kind: AccountKind,
  sets: readonly number[],
  authorizer: Authorizer,
  serviceWindow: AccountView['serviceWindow']
): Standing {
  const windows = serviceWindow.bulk || serviceWindow.transactional
  const needs = kind === 'service' ? [...SERVICE_NEEDS, { ...MESSAGES, compulsory: windows }] : MINI_NEEDS
  const lacking = needs.filter(({ id }) => !sets.includes(id))
  const functions: Standing['functions'] = {}
  for (const need of needs) {
    const missing = lacking
      .filter((each) => each.for === need.for)
      .map(({ id, name }) => `permission set ${id} ${name}`)
    functions[need.for] = { ok: missing.length === 0, missing }
  }
  const hard = lacking.filter(({ compulsory }) => compulsory)
  const soft = lacking.filter(({ compulsory }) => !compulsory)
  const disabledReason = outOfOrder(kind, authorizer) ?? (hard.length === 0 ? null : lacks(hard))
  return {
    halted: disabledReason !== null,
    disabledReason,
    limitedReason: soft.length === 0 ? null : lacks(soft),
    functions,
    missing: lacking.map(({ id, name, for: what }) => ({ id, name, for: what }))
  }
}

function outOfOrder(kind: AccountKind, { serviceType, verified, status, withdrawnAt }: Authorizer): string | null {
  if (withdrawnAt !== null) return "the account's administrator took the authorisation back: authorise it again"
  if (status !== null && OUT_OF_ORDER[status] !== undefined) return `WeChat says the account is ${OUT_OF_ORDER[status]}`
  if (kind === 'miniprogram') return null
  if (serviceType !== null && serviceType !== 2) return 'a subscription account cannot send template messages'
  return verified ? null : 'the account is not verified by WeChat, so it cannot send template messages'
}

const lacks = (needs: readonly Need[]) =>
  `permission set${needs.length === 1 ? '' : 's'} not granted: ${needs
    .map(({ id, name, for: what }) => `${id} ${name} (${what})`)
    .join(', ')}; update the authorisation`

/** What an account shows for itself: what its authorisation forbids comes before what a probe found. Pure. */
export function underStanding(
  found: Pick<AccountView, 'state' | 'disabledReason' | 'functions'>,
  standing: Standing | null
): Pick<AccountView, 'state' | 'disabledReason' | 'functions'> {
  const { state, disabledReason } = found
  const functions = { ...found.functions }
  for (const [name, told] of Object.entries(standing?.functions ?? {})) {
    if (!told.ok || functions[name] === undefined) functions[name] = told
  }
  if (standing?.halted === true) return { state: 'disabled', disabledReason: standing.disabledReason, functions }
  if (state === 'ready' && standing !== null && standing.limitedReason !== null) {
    return { state: 'limited', disabledReason: standing.limitedReason, functions }
  }
  return { state, disabledReason, functions }
}
