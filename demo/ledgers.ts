import type { Client } from './client.js'
import type { KeptRight } from './phones-verdict.js'
import type { CaughtRight, Ledgers, OurCredential, OurMessage, SandboxCredential, SandboxRow } from './verify.js'

const READERS = 16

/** An account of ours and the app it is at WeChat. */
export type DemoAccount = { id: string; appId: string }

/** Both ledgers as they stand now, read over REST and the sandbox's control API. */
export async function readLedgers({
  api,
  sandbox,
  accounts,
  caught,
  expected
}: {
  api: Client
  sandbox: Client
  accounts: readonly DemoAccount[]
  caught: readonly CaughtRight[]
  expected: Readonly<Record<string, number>>
}): Promise<Ledgers> {
  const appidOf = new Map(accounts.map(({ id, appId }) => [id, appId]))
  const openids = await openIdsByRecipient(api)
  const openIdOf = (recipientId: string | null) => (recipientId === null ? null : (openids.get(recipientId) ?? null))

  const credentials: OurCredential[] = []
  for (const { id, appId } of accounts) {
    for (const row of await api.all(`/v1/credentials?accountId=${id}`)) {
      const { id: credentialId, source, templateId, value, state, sendsLeft, held, unlimited } = row
      const mine = { id: credentialId, appid: appId, openid: openIdOf(row.recipientId) }
      credentials.push({ ...mine, source, templateId, value, state, sendsLeft, held, unlimited })
    }
  }
  const messages: OurMessage[] = []
  for (const row of await api.lines('/v1/messages/export')) {
    const { id, campaignId, state, reason, code, by } = row
    const message: OurMessage = {
      id,
      appid: appidOf.get(row.accountId) ?? row.accountId,
      openid: openIdOf(row.recipientId),
      campaignId,
      state,
      reason,
      code,
      by
    }
    if (state === 'unknown') message.credentialId = (await api.get(`/v1/messages/${id}`)).credential?.id ?? null
    messages.push(message)
  }
  const ledger = await sandbox.get<{ rows: SandboxRow[] }>('/sandbox/ledger')
  const sandboxCredentials = await sandbox.get<SandboxCredential[]>('/sandbox/credentials')
  return { messages, sandboxRows: ledger.rows, credentials, sandboxCredentials, caught, expected }
}

/** All rights an account keeps, asked for person by person; what is handed in and belongs to nobody known is left out. */
export async function readKeptRights(api: Client, { id: accountId }: DemoAccount): Promise<KeptRight[]> {
  const kept: KeptRight[] = []
  const people = (await openIdsByRecipient(api)).entries()
  const lane = async () => {
    for (const [recipientId, openid] of people) {
      for (const row of await api.all(`/v1/credentials?accountId=${accountId}&recipientId=${recipientId}`)) {
        const { id, source, place, value, sendsLeft } = row
        kept.push({ id, openid, source, place, value, sendsLeft })
      }
    }
  }
  await Promise.all(Array.from({ length: READERS }, lane))
  return kept
}

async function openIdsByRecipient(api: Client): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { recipients } of await api.all('/v1/people')) {
    for (const { id, openId } of recipients) if (openId !== undefined) found.set(id, openId)
  }
  return found
}

/** How many there are of each name. */
export function countBy<T>(items: readonly T[], nameOf: (item: T) => string | null): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) {
    const name = nameOf(item)
    if (name !== null) counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
