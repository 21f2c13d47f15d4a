import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf, type Caller } from '../platform/auth.js'

/** The account named, or all the caller may use. @throws NoSuchAccount */
export async function accountIdsFor(
  accounts: Pick<Accounts, 'get' | 'list'>,
  caller: Caller,
  named: string | undefined
): Promise<string[]> {
  if (named !== undefined) return [(await accountFor(accounts, caller, named)).id]
  return accountsOf(caller) ?? (await accounts.list()).map(({ id }) => id)
}
