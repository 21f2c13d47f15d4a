import { AppError } from '../platform/errors.js'
import type { WechatApi } from '../wechat/api.js'
import type { WechatResult } from '../wechat/client.js'
import { failureOf } from '../wechat/expect-ok.js'
import type { Account, Accounts, Findings } from './accounts.js'
import { targetOf } from './target.js'

/** @throws NoSuchAccount; UpstreamFailure when WeChat cannot be asked now (the stored state then stays) */
export type VerifyAccount = (idOrAppId: string) => Promise<Account>

/** The appId, the secret or this server's address is not accepted, or the account is frozen: nothing will work. */
const CANNOT_LOG_IN = new Set([40001, 40002, 40013, 40125, 40164, 40243, 41002, 41004, 50002, 50004, 50007])
/** No right to this call, or the kind of account lacks it. */
const NOT_PERMITTED = new Set([48001, 48006, 50001, 61007])

/** Asks WeChat, with harmless reads, what this account can do; stores and returns what was found. */
export function createVerify({
  accounts,
  wechat,
  look
}: {
  accounts: Accounts
  wechat: WechatApi
  /** Reads anew what an account connected by QR granted; without it such an account is left as it is known. */
  look?: (appId: string) => Promise<Account | null>
}): VerifyAccount {
  return async (idOrAppId) => {
    let account = await accounts.get(idOrAppId)
    if (account.connectedBy === 'qr') {
      if (look === undefined) return account
      account = (await look(account.appId)) ?? (await accounts.get(account.id))
      if (account.state === 'disabled') return account
    }
    const { id: accountId, kind } = account
    const target = targetOf(account)
    const probes: [string, () => Promise<WechatResult<unknown>>][] =
      kind === 'service'
        ? [
            ['templates', () => wechat.service.getAllPrivateTemplate(target)],
            ['followers', () => wechat.users.get(target)]
          ]
        : [['templates', () => wechat.subscribe.getTemplate(target)]]

    const functions: Findings['functions'] = {}
    for (const [name, probe] of probes) {
      const failure = await outcome(probe)
      const code = failure?.facts.errcode
      if (failure === null) functions[name] = { ok: true, missing: [] }
      else if (typeof code === 'number' && CANNOT_LOG_IN.has(code)) {
        return accounts.settle(accountId, { state: 'disabled', disabledReason: failure.message, functions })
      } else if (typeof code === 'number' && NOT_PERMITTED.has(code)) {
        functions[name] = { ok: false, missing: [failure.message] }
      } else throw failure
    }
    const missing = Object.keys(functions).filter((name) => !functions[name]!.ok)
    return accounts.settle(accountId, {
      state: missing.length === 0 ? 'ready' : 'limited',
      disabledReason: missing.length === 0 ? null : `not permitted by WeChat: ${missing.join(', ')}`,
      functions
    })
  }
}

async function outcome(probe: () => Promise<WechatResult<unknown>>): Promise<AppError | null> {
  try {
    const result = await probe()
    return result.kind === 'answer' && result.errcode === 0 ? null : failureOf(result)
  } catch (error) {
    // The token centre throws what WeChat said to the secret.
    if (error instanceof AppError) return error
    throw error
  }
}
