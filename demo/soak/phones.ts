import { SHOP } from '../accounts.js'
import type { Stubborn } from '../chaos/stubborn.js'
import { pause } from '../chaos/trouble.js'
import type { Client } from '../client.js'
import type { DemoAccount } from '../ledgers.js'
import type { CaughtRight } from '../verify.js'

const ITEMS = 5
const TURN_MS = 200

/** Phones in people's hands: each in its turn hands in the forms that were submitted on it, until told to stop. */
export async function createPhones({
  api,
  sandbox,
  shop,
  count,
  stubbornAs
}: {
  api: Client
  sandbox: Client
  shop: DemoAccount
  count: number
  stubbornAs: (bearer: string) => Stubborn
}) {
  const users = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', {
    count,
    appids: [SHOP.appid]
  })
  const phones = await Promise.all(
    users.map(async ({ openids }) => {
      const openId = openids[SHOP.appid]!
      const { token } = await api.post('/v1/capture/sessions', { accountId: shop.id, openId })
      return { openId, server: stubbornAs(token) }
    })
  )
  let handedIn = 0

  async function submit({ openId, server }: (typeof phones)[number], caught: CaughtRight[]): Promise<void> {
    const asked = Array.from({ length: ITEMS }, () => ({ appid: SHOP.appid, openid: openId }))
    const made = await sandbox.post<{ formIds: [string] }[]>('/sandbox/formids', asked)
    const sentAt = new Date().toISOString()
    const values = made.map(({ formIds }) => formIds[0])
    const items = values.map((value) => ({ id: value.slice(0, 64), source: 'form', value, caughtAt: sentAt }))
    const { items: verdicts } = await server.post('/v1/capture/credentials', { sentAt, items })
    verdicts.forEach(({ verdict, reason }: { verdict: string; reason?: string }, i: number) => {
      if (verdict === 'refused') throw new Error(`a right of a phone was refused: ${reason}`)
      caught.push({ kind: 'formId', id: values[i]!, appid: SHOP.appid, openid: openId })
    })
    handedIn += values.length
  }

  return {
    handedIn: () => handedIn,
    /** What the server said yes to is added to `caught`. */
    async run(caught: CaughtRight[], over: AbortSignal): Promise<void> {
      for (let turn = 0; !over.aborted; turn++) {
        await submit(phones[turn % phones.length]!, caught)
        await pause(TURN_MS, over)
      }
    }
  }
}
