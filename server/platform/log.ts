import { pino, type DestinationStream, type Logger } from 'pino'

export type Log = Logger

/** Fields whose values never reach a log, at the top and one or two levels down. */
const SECRET_FIELDS = [
  'openId',
  'openid',
  'openIds',
  'touser',
  'unionId',
  'unionid',
  'secret',
  'password',
  'token',
  'accessToken',
  'access_token',
  'refreshToken',
  'aesKey',
  'authorization',
  'cookie',
  'sessionKey',
  'session_key',
  'prepayId',
  'formId',
  'key',
  'sealed'
]

const REDACTED = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`])

/**
 * The one log of a process: JSON lines, or coloured lines for people when `pretty`.
 * Requests are logged by path alone, since a query may hold signatures and tokens.
 */
export function createLog(options: { level: string; pretty?: boolean; destination?: DestinationStream }): Log {
  const settings = {
    level: options.level,
    base: null,
    redact: { paths: REDACTED, censor: '***' },
    serializers: {
      req: (request: { method?: string; url?: string }) => ({
        method: request.method,
        path: request.url?.split('?', 1)[0]
      })
    }
  }
  if (options.destination !== undefined) return pino(settings, options.destination)
  if (!options.pretty) return pino(settings)
  return pino({
    ...settings,
    transport: { target: 'pino-pretty', options: { translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname,reqId' } }
  })
}

/** A log that keeps its peace. */
export const silentLog = (): Log => pino({ level: 'silent' })
