import { SERVICE, SHOP } from '../demo/accounts.js'
import { createClient, type Client } from '../demo/client.js'
import { finished } from '../demo/stage.js'
import type { Ground } from './ground.js'

type App = typeof SHOP | typeof SERVICE

/** What a campaign says, and where a tap on it leads. */
export type Message = { templateId: string; content: Record<string, string>; open: object }

export const SHOP_MESSAGE: Message = {
  templateId: SHOP.legacy,
  content: { keyword1: '1', keyword2: '2', keyword3: '3', keyword4: '4' },
  open: { page: 'pages/bench' }
}

/** A sandbox that takes so long for an answer (ms), and `serve` that sends there. */
export async function serving({ processes, serve }: Ground, latency = '0-0') {
  const wechat = await processes.start('sandbox', ['sandbox', '--port', '0', '--latency', latency], { by: 'line' })
  return { sandbox: createClient(wechat.facts.url!), ...(await serve(wechat.facts.url)) }
}

/** An account of this app, its templates not read: WeChat need not be there. @returns its id */
export async function addAccount(api: Client, app: App, more: object = {}): Promise<string> {
  const { kind, appid: appId, secret } = app
  return (await api.post('/v1/accounts', { kind, appId, secret, name: 'bench', ...more })).id
}

/** An account of this app, its templates read. @returns its id */
export async function connect(api: Client, app: App, more: object = {}): Promise<string> {
  const accountId = await addAccount(api, app, more)
  await finished(api, await api.post('/v1/templates/sync', { accountId }))
  return accountId
}

/** A campaign, online. @returns its id */
export async function launch(
  api: Client,
  accountId: string,
  name: string,
  message: Message,
  more: object
): Promise<string> {
  const { id } = await api.post('/v1/campaigns', { name, accountId, ...message, ...more })
  await api.post(`/v1/campaigns/${id}/activate`)
  return id
}

/** A campaign of the shop's to everybody it knows, now. @returns its id */
export async function launchToAll(api: Client, accountId: string): Promise<string> {
  const { id: audienceId } = await api.post('/v1/audiences', { name: 'all', rule: { all: [] } })
  const trigger = { kind: 'once', at: new Date().toISOString() }
  return launch(api, accountId, 'bench', SHOP_MESSAGE, { audienceId, trigger })
}

const BATCH = 500

/** People of the sandbox who submitted a form in the shop, each handed in to its account. */
export async function handInForms(api: Client, sandbox: Client, accountId: string, people: number): Promise<void> {
  const { appid } = SHOP
  const wish = { count: people, appids: [appid] }
  const users = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', wish)
  const caughtAt = new Date().toISOString()
  for (let from = 0; from < people; from += BATCH) {
    const part = users.slice(from, from + BATCH).map(({ openids }) => openids[appid]!)
    const asked = part.map((openid) => ({ appid, openid }))
    const made = await sandbox.post<{ formIds: string[] }[]>('/sandbox/formids', asked)
    const items = part.map((openId, i) => ({
      id: openId,
      openId,
      source: 'form',
      value: made[i]!.formIds[0],
      caughtAt
    }))
    await api.post('/v1/credentials', { accountId, items })
  }
}
