/** What the sandbox says about this phone. */
export interface PhoneState {
  app: { appid: string; name: string }
  person: { openid: string; index: number } | null
  apps: { appid: string; name: string; openid: string | null }[]
  people: { total: number; shown: { openid: string; index: number }[] }
  appids: string[]
  templates: { templateId: string; title: string; type?: 2 | 3; disabled: boolean }[]
  requestDomains: string[]
  url: string
}

export interface Notice {
  seq: number
  at: number
  from: { appid: string; name: string; kind: 'miniprogram' | 'service' }
  title: string
  fields: { label: string; value: string; large?: true }[]
  opens: { appid: string; page: string } | { url: string } | null
}

export interface Order {
  prepayId: string
  openid: string
  orderId: string
  paid: boolean
  amount: number | null
  description: string | null
}

/** What became of a wx.request. */
export type Answered =
  | { errMsg: 'request:ok'; statusCode: number; header: Record<string, string>; data: string }
  | { errMsg: string; errno: number }

/** The sandbox said no; `message` is its reason. */
export class SandboxSaysNo extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(path, init)
  const body = await answer.json()
  if (!answer.ok) throw new SandboxSaysNo(answer.status, body.error ?? String(answer.status))
  return body
}
type Query = Record<string, string | number | undefined>
const get = <T,>(path: string, query: Query) => call<T>(`${path}?${queryOf(query)}`)
const post = <T,>(path: string, body: unknown) =>
  call<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** A query string; undefined ones are left out. */
export function queryOf(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}

/** The sandbox's control API, as far as a phone needs it. @throws SandboxSaysNo */
export const sandbox = {
  phone: (query: Query): Promise<PhoneState> => get('/sandbox/phone', query),
  newPerson: async (appids: string[], appid: string): Promise<string> =>
    (await post<{ openids: Record<string, string> }[]>('/sandbox/users', { appids }))[0]!.openids[appid]!,
  notices: async (query: Query): Promise<Notice[]> =>
    (await get<{ notices: Notice[] }>('/sandbox/phone/notices', query)).notices,
  code: async (appid: string, openid: string): Promise<string> =>
    (await post<{ code: string }>('/sandbox/codes', { appid, openid })).code,
  formId: async (appid: string, openid: string): Promise<string> =>
    (await post<{ formIds: string[] }>('/sandbox/formids', { appid, openid })).formIds[0]!,
  order: (prepayId: string): Promise<Order> => get('/sandbox/orders', { prepayId }),
  pay: (prepayId: string) => post('/sandbox/orders/pay', { prepayId }),
  grant: (body: { appid: string; openid: string; templateId: string; result: 'accept' | 'reject' }) =>
    post('/sandbox/grants', body),
  request: (body: unknown): Promise<Answered> => post('/sandbox/phone/request', body)
}
