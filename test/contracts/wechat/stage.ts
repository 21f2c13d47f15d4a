import { Agent, request } from 'undici'
import { CLINIC, MINI, SERVICE, UNVERIFIED, type AppName, type Ask, type Step } from './case.js'

/** What a call was answered. `json` is null when the text is none. */
export interface Answer {
  status: number
  contentType: string
  text: string
  json: any
}

const APPS: Readonly<Record<AppName, { appid: string; secret: string }>> = {
  mini: MINI,
  clinic: CLINIC,
  service: SERVICE,
  unverified: UNVERIFIED
}

/** Asks a WeChat at `base`, the sandbox or the real one; keeps the names that cases speak in. */
export function createStage(base: string, apps: Partial<Record<AppName, { appid: string; secret: string }>> = APPS) {
  const agent = new Agent({ connections: 4 })
  let names: Record<string, unknown> = {}
  let tokens: Partial<Record<AppName, string>> = {}

  async function ask(
    { method, path, query, body, text, type = 'application/json' }: Ask,
    token?: string
  ): Promise<Answer> {
    const search = new URLSearchParams(fill(query ?? {}, names) as Record<string, string>)
    if (token !== undefined) search.set('access_token', token)
    const sent =
      body === undefined
        ? text === undefined
          ? null
          : (fill(text, names) as string)
        : JSON.stringify(fill(body, names))
    const response = await request(`${base}${path}${search.size === 0 ? '' : `?${search}`}`, {
      dispatcher: agent,
      method: method as 'GET',
      headers: sent === null ? {} : { 'content-type': type },
      body: sent
    })
    const answer = await response.body.text()
    let json: unknown = null
    try {
      json = JSON.parse(answer)
    } catch {
      // an answer that is no JSON is judged by its text
    }
    return {
      status: response.statusCode,
      contentType: String(response.headers['content-type'] ?? ''),
      text: answer,
      json
    }
  }

  /** The app's stable token, fetched when first needed; a step may have named another one `token`. */
  async function tokenOf(name: AppName): Promise<string> {
    if (typeof names.token === 'string') return names.token
    const app = apps[name]
    if (app === undefined) throw new Error(`no credentials for ${name}`)
    const body = { grant_type: 'client_credential', ...app }
    const known = tokens[name]
    if (known !== undefined) return known
    const { json } = await ask({ method: 'POST', path: '/cgi-bin/stable_token', body })
    if (typeof json?.access_token !== 'string') throw new Error(`no token for ${name}: ${JSON.stringify(json)}`)
    return (tokens[name] = json.access_token)
  }

  async function act(step: Step) {
    for (let turn = 0; turn < (step.times ?? 1); turn++) {
      const token = step.as === undefined ? undefined : await tokenOf(step.as)
      const answer = await ask(step, token)
      if (step.path.startsWith('/sandbox/') && answer.status !== 200)
        throw new Error(`${step.path} answered ${answer.status}: ${answer.text}`)
      for (const [name, path] of Object.entries(step.keep ?? {})) names[name] = at(answer.json, path)
      if (typeof names.rid === 'string') names.rid = names.rid.split(' rid: ').at(-1)
    }
  }

  return {
    /** Forgets names and tokens; a case starts with these. */
    clear(first: Record<string, unknown>) {
      names = { ...first }
      tokens = {}
    },
    act,
    async put(question: Ask, as?: AppName): Promise<Answer> {
      return ask(question, as === undefined ? undefined : await tokenOf(as))
    },
    fill: <T>(value: T): T => fill(value, names) as T,
    close: () => agent.destroy()
  }
}

/** `{name}` alone becomes the value, inside a text its spelling; expressions are filled by their source. */
function fill(value: unknown, names: Record<string, unknown>): unknown {
  if (typeof value === 'string') {
    const whole = /^\{(\w+)\}$/.exec(value)
    if (whole !== null && whole[1]! in names) return names[whole[1]!]
    return value.replace(/\{(\w+)\}/g, (text, name: string) => (name in names ? String(names[name]) : text))
  }
  if (value instanceof RegExp) return new RegExp(String(fill(value.source, names)), value.flags)
  if (Array.isArray(value)) return value.map((item) => fill(item, names))
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, fill(item, names)]))
  return value
}

const at = (value: any, path: string) =>
  path === '' ? value : path.split('.').reduce((part, name) => part?.[name], value)
