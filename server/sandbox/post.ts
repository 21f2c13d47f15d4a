import { Agent, request as requestHttp } from 'node:http'
import { Agent as SecureAgent, request as requestHttps } from 'node:https'

const CONNECTIONS = 32
const ANSWER_MAX = 200

/**
 * A small poster of pushes over kept connections. node:http by itself: a client library would take longer to load than the rest of
 * the sandbox together.
 */
export function createPoster() {
  const agents = {
    http: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }),
    https: new SecureAgent({ keepAlive: true, maxSockets: CONNECTIONS })
  }

  /** The status and the head of the answer. @throws Error when none came within `timeoutMs` */
  function post(url: URL, body: string, type: string, timeoutMs: number): Promise<{ status: number; answer: string }> {
    const secure = url.protocol === 'https:'
    return new Promise((resolve, reject) => {
      const call = (secure ? requestHttps : requestHttp)(url, {
        agent: secure ? agents.https : agents.http,
        method: 'POST',
        headers: { 'content-type': type, 'content-length': Buffer.byteLength(body), 'user-agent': 'Mozilla/4.0' },
        signal: AbortSignal.timeout(timeoutMs)
      })
      call.on('error', (error: NodeJS.ErrnoException) => {
        // the other side closed an idle connection just when it was taken up again: nothing was read there
        if (call.reusedSocket && error.code === 'ECONNRESET') resolve(post(url, body, type, timeoutMs))
        else reject(error)
      })
      call.on('response', (response) => {
        let answer = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          if (answer.length < ANSWER_MAX) answer += part
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: answer.slice(0, ANSWER_MAX) }))
      })
      call.end(body)
    })
  }

  return {
    post,
    /** Cuts every connection. */
    close() {
      agents.http.destroy()
      agents.https.destroy()
    }
  }
}
