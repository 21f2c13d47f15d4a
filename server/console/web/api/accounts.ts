import type { z } from 'zod'
import { ref, shallowRef, computed } from 'vue'
import type { AccountCreate, AccountPatch, AccountView } from '../../../../shared/account.js'
import type { AuthorizationLink, AuthorizationPost, PlatformPatch, PlatformView } from '../../../../shared/platform.js'
import { api } from './http.js'
import type { Page } from './pages.js'

export type Account = z.input<typeof AccountView>
export type NewAccount = z.input<typeof AccountCreate>
export type Platform = z.input<typeof PlatformView>
export type Link = z.input<typeof AuthorizationLink>

const KEY = 'hongyan.account'

/** Every account whoever is signed in may see, once read. */
export const accounts = shallowRef<Account[]>([])
const chosenId = ref(localStorage.getItem(KEY))

/** The account the console looks at; null: all of them. */
export const chosen = computed<Account | null>(() => accounts.value.find(({ id }) => id === chosenId.value) ?? null)
export function choose(id: string | null): void {
  chosenId.value = id
  if (id === null) localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, id)
}
/** For screens that are about one account: the chosen one, else the first; null: none is connected. */
export const focus = computed<Account | null>(() => chosen.value ?? accounts.value[0] ?? null)
export const accountNamed = (id: string | null): Account | null => accounts.value.find((each) => each.id === id) ?? null

/** Reads them all, a hundred at a time. @throws Refused */
export async function readAccounts(): Promise<void> {
  const found: Account[] = []
  for (let cursor: string | null = null; ;) {
    const { data, page }: Page<Account> = await api.get('/v1/accounts', { limit: 100, sort: 'createdAt', cursor })
    found.push(...data)
    cursor = page.nextCursor
    if (cursor === null) break
  }
  accounts.value = found
}

const changed = async (asked: Promise<Account>): Promise<Account> => {
  const account = await asked
  await readAccounts()
  return account
}

/** Accounts; each verb throws Refused. */
export const accountsApi = {
  create: (body: NewAccount) => changed(api.post<Account>('/v1/accounts', body)),
  patch: (id: string, body: z.input<typeof AccountPatch>, etag: string | null) =>
    changed(api.patch<Account>(`/v1/accounts/${id}`, body, etag)),
  /** Asks WeChat once more what the account may do. */
  verify: (id: string) => changed(api.post<Account>(`/v1/accounts/${id}/verify`)),
  /** Does our own push address answer as WeChat wants it to? */
  knock: (id: string) =>
    api.post<{ ok: boolean; url: string; status: number | null; detail: string | null }>(
      `/v1/accounts/${id}/callback/test`
    ),
  pause: (id: string) => changed(api.post<Account>(`/v1/accounts/${id}/pause`)),
  resume: (id: string) => changed(api.post<Account>(`/v1/accounts/${id}/resume`)),
  async remove(id: string): Promise<void> {
    await api.remove(`/v1/accounts/${id}`)
    await readAccounts()
  },
  platform: () => api.getVersioned<Platform>('/v1/platform'),
  setPlatform: (body: z.input<typeof PlatformPatch>, etag: string | null) =>
    api.patch<Platform>('/v1/platform', body, etag),
  /** A link by which an administrator connects an account, or updates one's permissions. */
  link: (body: z.input<typeof AuthorizationPost>) => api.post<Link>('/v1/platform/authorizations', body)
}
