import { Agent, request, type Dispatcher } from 'undici'

/** Calls one server, JSON in and JSON out. */
export type Client = {
  url: string
  get<T = any>(path: string): Promise<T>
  post<T = any>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T>
  patch<T = any>(path: string, body: unknown): Promise<T>
  remove(path: string): Promise<void>
  /** The lines of an answer in NDJSON, parsed. */
  lines<T = any>(path: string): Promise<T[]>
  /** All things of a paged list. */
  all<T = any>(path: string): Promise<T[]>
  /** The same server under another bearer. */
  as(bearer: string): Client
  close(): Promise<void>
}

/** The server said no, with what it said. */
export class Refused extends Error {
  readonly status: number
  readonly body: unknown
  constructor(what: string, status: number, body: unknown) {
    super(`${what} was answered ${status}: ${typeof body === 'string' ? body.slice(0, 300) : JSON.stringify(body)}`)
    this.name = 'Refused'
    this.status = status
    this.body = body
  }
}

/** Answers other than 2xx are thrown as {@link Refused}; a server that does not answer within 30 s as undici's errors. */
export function createClient(url: string, bearer?: string, pool?: Dispatcher): Client {
  const dispatcher = pool ?? new Agent({ connections: 32, headersTimeout: 30_000, bodyTimeout: 30_000 })

  async function text(method: Dispatcher.HttpMethod, path: string, body?: unknown, more: Record<string, string> = {}) {
    const headers: Record<string, string> = { ...more }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
    const { statusCode, body: answer } = await request(url + path, {
      dispatcher,
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body)
    })
    const said = await answer.text()
    if (statusCode < 200 || statusCode > 299) throw new Refused(`${method} ${path}`, statusCode, read(said))
    return said
  }

  const client: Client = {
    url,
    get: async (path) => read(await text('GET', path)) as any,
    post: async (path, body, headers) => read(await text('POST', path, body, headers)) as any,
    patch: async (path, body) => read(await text('PATCH', path, body)) as any,
    remove: async (path) => void (await text('DELETE', path)),
    async lines(path) {
      const said = await text('GET', path)
      return said.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
    },
    async all(path) {
      const found: any[] = []
      const mark = path.includes('?') ? '&' : '?'
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: { data: any[]; page: { nextCursor: string | null } } = await client.get(
          `${path}${mark}limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
        )
        found.push(...page.data)
        cursor = page.page.nextCursor
      }
      return found
    },
    as: (other) => createClient(url, other, dispatcher),
    close: () => dispatcher.close()
  }
  return client
}

function read(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
