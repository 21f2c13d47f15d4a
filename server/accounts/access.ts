import { mayUseAccount, type Caller } from '../platform/auth.js'
import type { Account, Accounts } from './accounts.js'

/** The account a caller names by our id or the appId. One it may not use does not exist for it. @throws NoSuchAccount */
export async function accountFor(accounts: Pick<Accounts, 'get'>, caller: Caller, idOrAppId: string): Promise<Account> {
  const account = await accounts.get(idOrAppId)
  mayUseAccount(caller, account.id)
  return account
}
