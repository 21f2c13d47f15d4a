import type { z } from 'zod'
import { computed, ref, shallowRef } from 'vue'
import type { LoginAnswer, OperatorView, Role } from '../../../../shared/operator.js'
import { Refused } from './problem.js'
import { callAsAnybody } from './send.js'

export type Me = z.input<typeof OperatorView>
type Answer = z.input<typeof LoginAnswer>

/** The demo's own operator: the only one a link can sign in, and only where there is one. */
const DEMO = 'demo@example.com'
/** A token about to end is renewed before it is used. */
const EARLY_MS = 20_000
const RANK: Record<Role, number> = { viewer: 0, editor: 1, operator: 2, owner: 3 }

/** In memory alone: what stays in the browser is a cookie no script can read. `endsAt` by this page's own clock. */
let token: { text: string; endsAt: number } | null = null
let renewing: Promise<boolean> | null = null
let waiting: (() => void)[] = []

/** The demo's link brings its secret behind #. Taken out of the address before the router reads that, and kept nowhere. */
const invitation = /^#demo=([\w-]+)$/.exec(location.hash)?.[1]
if (invitation !== undefined) history.replaceState(null, '', location.pathname + location.search)

/** Who is signed in; null: nobody. */
export const me = shallowRef<Me | null>(null)
/** Is somebody asked to sign in again, over the page they are on? */
export const askedAgain = ref(false)
export const isDemo = computed(() => me.value?.email === DEMO)

/** May whoever is signed in do what needs this role? */
export const may = (role: Role): boolean => me.value !== null && RANK[me.value.role] >= RANK[role]

/** What to show first: the first-run wizard, the sign-in page, or the console. */
export type Beginning = 'set-up' | 'sign-in' | 'signed-in'

/** Looks at how things stand, once, when the page is opened. */
export async function begin(): Promise<Beginning> {
  if (invitation !== undefined) {
    await signIn(DEMO, invitation).catch(() => {})
    if (me.value !== null) return 'signed-in'
  }
  const response = await callAsAnybody('GET', '/v1/auth/state')
  const { setUp, session } = (await response.json()) as { setUp: boolean; session: boolean }
  if (!setUp) return 'set-up'
  if (session && (await renew(null))) {
    await know()
    return 'signed-in'
  }
  return 'sign-in'
}

/** `code`: of the authenticator app, or a recovery code, of who has set one up. @throws Refused */
export async function signIn(email: string, password: string, code?: string): Promise<void> {
  const body = { email, password, ...(code !== undefined && { code }) }
  await keep(await callAsAnybody('POST', '/v1/auth/login', { body }))
  await entered()
}

/** The first run: makes the owner with the code the server printed. @throws Refused */
export async function setUp(code: string, email: string, password: string): Promise<void> {
  await keep(await callAsAnybody('POST', '/v1/setup', { body: { code, email, password } }))
  await entered()
}

/** Ends the session here and on the server. */
export async function signOut(): Promise<void> {
  await callAsAnybody('POST', '/v1/auth/logout').catch(() => {})
  token = null
  me.value = null
}

/** The token to call with; null when there is none. */
export async function bearer(): Promise<string | null> {
  if (token === null || performance.now() > token.endsAt - EARLY_MS) await renew(token?.text ?? null)
  return token?.text ?? null
}

/** Trades the cookie for a fresh token, once for all who ask meanwhile; false: the session is over. */
export function renew(old: string | null): Promise<boolean> {
  if (token !== null && token.text !== old) return Promise.resolve(true)
  renewing ??= trade().finally(() => (renewing = null))
  return renewing
}

/** Resolves when somebody has signed in again in the dialog. */
export function signInAgain(): Promise<void> {
  askedAgain.value = true
  return new Promise((resolve) => waiting.push(resolve))
}

async function trade(): Promise<boolean> {
  try {
    await keep(await callAsAnybody('POST', '/v1/auth/refresh'))
    return true
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      token = null
      return false
    }
    throw error
  }
}

async function keep(response: Response): Promise<void> {
  const { token: text, expiresAt } = (await response.json()) as Answer
  const now = Date.parse(response.headers.get('date') ?? '') || Date.now()
  token = { text, endsAt: performance.now() + Date.parse(expiresAt) - now }
}

async function entered(): Promise<void> {
  await know()
  askedAgain.value = false
  const all = waiting
  waiting = []
  all.forEach((resolve) => resolve())
}

/** Reads who is signed in anew: something about them was changed. */
export async function know(): Promise<void> {
  const response = await callAsAnybody('GET', '/v1/me', { headers: { authorization: `Bearer ${token?.text}` } })
  me.value = (await response.json()) as Me
}
