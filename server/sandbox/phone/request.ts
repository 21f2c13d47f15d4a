import type { PhoneRequestInput } from '../control-shapes.js'

/** What `wx.request` hands to its callbacks. */
export type PhoneAnswer =
  | { errMsg: 'request:ok'; statusCode: number; header: Record<string, string>; data: string }
  | { errMsg: string; errno: number }

const TIMEOUT_MS = 60_000
/** Longer answers are of no use to a phone, and the sandbox keeps them in memory. */
const LONGEST = 10 * 2 ** 20
/** Written by the platform, whatever the mini-program asks for. */
const OWN_HEADERS = new Set(['referer', 'host', 'content-length', 'connection', 'transfer-encoding', 'user-agent'])

/**
 * A call that a phone makes to a server of its mini-program. Only origins in `allowed` are called, redirects are not
 * followed, and whatever goes wrong is a value, in WeChat's words (errno of the documentation of wx.request).
 */
export async function phoneRequest(
  { appid, url, method = 'GET', header = {}, data, timeout = TIMEOUT_MS }: PhoneRequestInput,
  allowed: ReadonlySet<string>
): Promise<PhoneAnswer> {
  if (!URL.canParse(url)) return { errMsg: 'request:fail invalid url', errno: 600009 }
  if (!allowed.has(new URL(url).origin)) return { errMsg: 'request:fail url not in domain list', errno: 600002 }
  const headers = Object.fromEntries(Object.entries(header).filter(([name]) => !OWN_HEADERS.has(name.toLowerCase())))
  try {
    const answer = await fetch(url, {
      method,
      headers: {
        ...headers,
        Referer: `https://servicewechat.com/${appid}/0/page-frame.html`,
        'User-Agent': 'MicroMessenger MiniProgramEnv/sandbox'
      },
      ...(data === undefined || method === 'GET' || method === 'HEAD' ? {} : { body: data }),
      redirect: 'manual',
      signal: AbortSignal.timeout(Math.max(1, Math.round(Math.min(timeout, TIMEOUT_MS))))
    })
    const text = await readText(answer)
    if (text === null) return { errMsg: 'request:fail exceed max size', errno: 600001 }
    return {
      errMsg: 'request:ok',
      statusCode: answer.status,
      header: Object.fromEntries(answer.headers),
      data: text
    }
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return { errMsg: 'request:fail timeout', errno: 5 }
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message
    return { errMsg: `request:fail ${cause}`, errno: 600001 }
  }
}

/** The whole answer; null when it is too long. */
async function readText(answer: Response): Promise<string | null> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of answer.body ?? []) {
    size += part.length
    if (size > LONGEST) return null // leaving the loop closes the connection
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
