import { createAccounts, type Account } from '../accounts/accounts.js'
import type { AccountRow } from '../accounts/model.js'
import { createVerify } from '../accounts/verify.js'
import { knock } from '../callbacks/knock.js'
import type { Config } from '../config.js'
import { createTokenCentre } from '../wechat/access-token.js'
import { createWechatApi } from '../wechat/api.js'
import { createWechatClient } from '../wechat/client.js'
import { bySecret } from '../wechat/token-calls.js'
import type { Io } from './command.js'
import { cureOf, cureOfAccount, Trouble, type Check } from './doctor-cures.js'
import type { Ground } from './ground.js'

const KNOCK_MS = 3_000
const FROM_WECHAT =
  "token, mode and EncodingAESKey must be the same here and in WeChat's console (设置与开发 › 基本配置 › 服务器配置)"

/** Asks WeChat what each account may do, and whether its pushes come in. `offline`: nobody is asked. */
export async function lookAtAccounts(parts: {
  config: Config
  ground: Ground
  offline: boolean
  check: Check
  io: Io
}): Promise<void> {
  const { config, ground, offline, check, io } = parts
  const { db, clock, sealer } = ground
  const accounts = createAccounts({ ...ground, apiBase: config.apiBase, publicUrl: config.publicUrl })
  const all = await accounts.list()
  if (all.length === 0) {
    io.out('· accounts: none yet; `hongyan account add` or POST /v1/accounts connects one')
    return
  }
  const client = createWechatClient()
  const tokens = createTokenCentre({
    db,
    clock,
    fetcher: bySecret({ client, secretOf: accounts.secretOf }),
    seal: sealer,
    random: Math.random
  })
  const verify = createVerify({ accounts, wechat: createWechatApi({ client, tokens }) })
  const rows = db.collection<AccountRow>('accounts')
  /** Asks WeChat; a cure names this very account. */
  async function ask({ id, appId }: Account): Promise<Account> {
    try {
      const seen = await verify(id)
      if (seen.state !== 'disabled') return seen
      const reason = seen.disabledReason ?? 'disabled'
      throw new Trouble(reason, cureOfAccount(reason) ?? 'read the notices in WeChat’s console')
    } catch (error) {
      const cure = cureOf(error)
      if (cure === null) throw error
      throw new Trouble((error as Error).message, cure.replaceAll('{id}', appId), error)
    }
  }
  try {
    for (const account of all) {
      const { appId, name, apiBase } = account
      if (offline) io.out(`· account ${appId} "${name}": not asked (--offline)`)
      else {
        await check(`account ${appId} "${name}"`, async () => {
          const { state, disabledReason } = await ask(account)
          return [null, `${apiBase} answers, ${state}${disabledReason === null ? '' : ` (${disabledReason})`}`]
        })
      }
      if (account.callback.token === null) continue
      const row = await rows.findOne({ _id: account.id })
      await lookAtCallback({ account, row, now: clock.now(), offline, check, io })
    }
  } finally {
    await client.close()
  }
}

/** Were WeChat's last pushes turned away? And does somebody answer at the address, with this very token? */
async function lookAtCallback(parts: {
  account: Account
  row: AccountRow | null
  now: Date
  offline: boolean
  check: Check
  io: Io
}): Promise<void> {
  const { account, row, now, offline, check, io } = parts
  const name = `callback ${account.appId}`
  const { lastRefusedAt: refused, lastReceivedAt: received } = row?.callback ?? {}
  if (refused !== undefined && (received == null || refused > received)) {
    const since = received == null ? 'and none was ever accepted' : `the last good one came ${received.toISOString()}`
    await check(name, async () => {
      throw new Trouble(
        `a push was turned away at ${refused.toISOString()}: it was signed with another token (${since})`,
        `${FROM_WECHAT}: copy callback.token of GET /v1/accounts/${account.appId} there, or PATCH /v1/accounts/${account.appId} {"callback":{"token":"…"}} here`
      )
    })
    return
  }
  if (offline) return
  const { ok, status } = await knock(account.callback.url, account.callback.token!, now, KNOCK_MS)
  if (status === null) {
    io.out(
      `· ${name}: nothing answers at ${account.callback.url}; is the server running, and HONGYAN_PUBLIC_URL right?`
    )
    return
  }
  await check(name, async () => {
    if (ok) {
      const last = received == null ? 'no push came yet' : `the last push came ${received.toISOString()}`
      return [null, `${account.callback.url} answers with this token; ${last}`]
    }
    throw new Trouble(
      `${account.callback.url} answers ${status} to a check signed with this account's token`,
      status === 403
        ? 'a server with another store, or an older token, stands there: point HONGYAN_PUBLIC_URL at this installation'
        : 'the proxy in front must hand /callback/ through, query and all'
    )
  })
}
