import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { UNLIMITED, type RateLimits as RateLimitTable } from './platform/rate-limits.js'
import { isAllowable } from './webhooks/allow.js'

/** Everything a process is told from outside, with its defaults filled in. */
export type Config = {
  host: string
  port: number
  /** null: the embedded store in `dataDir`. */
  mongodbUri: string | null
  dataDir: string
  /** A key ring given in the environment; null: the file in `dataDir`. */
  keys: string | null
  adminEmail: string | null
  adminPassword: string | null
  /** How the outside reaches this server, without a slash at the end. */
  publicUrl: string
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  logPretty: boolean
  /** Where accounts without an apiBase of their own send. */
  apiBase: string
  /** Take the caller's address from X-Forwarded-For: only behind a proxy that sets it. */
  trustProxy: boolean
  /** Hosts, addresses and ranges webhooks may reach though they are not public. */
  webhookAllow: string[]
  /** Where /metrics is served by itself, without a token; null: beside the API alone, with one. */
  metrics: { host: string; port: number } | null
  /** Requests a minute of one caller, where others than the usual. */
  rateLimits: Partial<RateLimitTable>
}

/** One variable of the environment: what the tables of both READMEs and `--help` say of it. */
export type Variable = { name: string; default: string; meaning: string; chinese: string }

const Port = z
  .string()
  .regex(/^\d{1,5}$/, 'is a whole number from 0 to 65535')
  .transform(Number)
  .refine((port) => port <= 65_535, 'is a whole number from 0 to 65535')
const Url = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ''))
const Flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')

const Allowed = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .refine((parts) => parts.every(isAllowable), 'is a list of hosts, host:port, addresses or ranges like 10.0.0.0/8')

const Address = z
  .string()
  .regex(/^(\[[\da-fA-F:]+\]|[^\s:]+):\d{1,5}$/, 'is HOST:PORT')
  .transform((text) => {
    const colon = text.lastIndexOf(':')
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
  })
  .refine(({ port }) => port <= 65_535, 'has a port from 0 to 65535')

/** `off`, or limits of some kinds: `phone=600,key=120000`. */
const RateLimits = z.string().transform((text, context): Partial<RateLimitTable> => {
  if (text === 'off') return UNLIMITED
  const pairs = text.split(',').map((part) => /^\s*(phone|key|operator|address)=([1-9]\d{0,8})\s*$/.exec(part))
  if (pairs.every((pair) => pair !== null))
    return Object.fromEntries(pairs.map(([, kind, limit]) => [kind, Number(limit)]))
  context.addIssue('is off, or like phone=600,key=120000,operator=3000,address=12000')
  return z.NEVER
})

const Environment = z
  .object({
    HONGYAN_HOST: z.string().min(1).default('127.0.0.1'),
    HONGYAN_PORT: Port.prefault('8480'),
    MONGODB_URI: z
      .string()
      .regex(/^mongodb(\+srv)?:\/\//, 'starts with mongodb:// or mongodb+srv://')
      .optional(),
    HONGYAN_DATA: z.string().min(1).default('.hongyan'),
    HONGYAN_KEYS: z.string().optional(),
    HONGYAN_ADMIN_EMAIL: z.email().optional(),
    HONGYAN_ADMIN_PASSWORD: z.string().min(10, 'has at least 10 characters').optional(),
    HONGYAN_PUBLIC_URL: Url.optional(),
    HONGYAN_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    HONGYAN_LOG_PRETTY: Flag.optional(),
    HONGYAN_API_BASE: Url.default('https://api.weixin.qq.com'),
    HONGYAN_TRUST_PROXY: Flag.default(false),
    HONGYAN_WEBHOOK_ALLOW: Allowed.default([]),
    HONGYAN_METRICS: Address.optional(),
    HONGYAN_RATE_LIMITS: RateLimits.default({})
  })
  .refine((env) => (env.HONGYAN_ADMIN_EMAIL === undefined) === (env.HONGYAN_ADMIN_PASSWORD === undefined), {
    path: ['HONGYAN_ADMIN_PASSWORD'],
    message: 'HONGYAN_ADMIN_EMAIL and HONGYAN_ADMIN_PASSWORD are given together'
  })

/** The environment is wrong; the message lists every fault, one a line. */
export class ConfigFault extends Error {
  readonly faults: { name: string; message: string }[]
  constructor(faults: { name: string; message: string }[]) {
    super(`the environment is not right:\n${faults.map(({ name, message }) => `  ${name}: ${message}`).join('\n')}`)
    this.name = 'ConfigFault'
    this.faults = faults
  }
}

/**
 * Reads the settings; empty variables count as absent.
 * @throws ConfigFault naming all faults at once, and unknown HONGYAN_… names, which are most likely misspelt
 */
export function readConfig(
  environment: Record<string, string | undefined> = process.env,
  { terminal = process.stdout.isTTY === true }: { terminal?: boolean } = {}
): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== '')
  )
  const known = new Set(VARIABLES.map(({ name }) => name))
  const strangers = Object.keys(given).filter((name) => name.startsWith('HONGYAN_') && !known.has(name))
  const faults = strangers.map((name) => ({ name, message: 'is no setting of Hongyan; is it misspelt?' }))
  const parsed = Environment.safeParse(given)
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) faults.push({ name: String(path[0]), message })
  }
  if (!parsed.success || faults.length > 0) throw new ConfigFault(faults)

  const env = parsed.data
  return {
    host: env.HONGYAN_HOST,
    port: env.HONGYAN_PORT,
    mongodbUri: env.MONGODB_URI ?? null,
    dataDir: resolve(env.HONGYAN_DATA.replace(/^~(?=\/|$)/, homedir())),
    keys: env.HONGYAN_KEYS ?? null,
    adminEmail: env.HONGYAN_ADMIN_EMAIL ?? null,
    adminPassword: env.HONGYAN_ADMIN_PASSWORD ?? null,
    publicUrl: env.HONGYAN_PUBLIC_URL ?? `http://${urlHost(env.HONGYAN_HOST)}:${env.HONGYAN_PORT}`,
    logLevel: env.HONGYAN_LOG_LEVEL,
    logPretty: env.HONGYAN_LOG_PRETTY ?? terminal,
    apiBase: env.HONGYAN_API_BASE,
    trustProxy: env.HONGYAN_TRUST_PROXY,
    webhookAllow: env.HONGYAN_WEBHOOK_ALLOW,
    metrics: env.HONGYAN_METRICS ?? null,
    rateLimits: env.HONGYAN_RATE_LIMITS
  }
}

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

export const VARIABLES: readonly Variable[] = [
  { name: 'HONGYAN_HOST', default: '127.0.0.1', meaning: 'address to listen on', chinese: '监听地址' },
  {
    name: 'HONGYAN_PORT',
    default: '8480',
    meaning: 'port to listen on; 0 picks a free one',
    chinese: '监听端口；0 表示任选一个空闲端口'
  },
  {
    name: 'MONGODB_URI',
    default: 'none',
    meaning: 'the MongoDB to use; without it the embedded store starts',
    chinese: '使用哪个 MongoDB；不填则启动内置存储'
  },
  {
    name: 'HONGYAN_DATA',
    default: '.hongyan',
    meaning: 'directory of the embedded store and of keys.json',
    chinese: '内置存储与 keys.json 所在目录'
  },
  {
    name: 'HONGYAN_KEYS',
    default: 'none',
    meaning: 'the key ring (see `hongyan keys new`), instead of keys.json',
    chinese: '密钥环（见 `hongyan keys new`），代替 keys.json'
  },
  {
    name: 'HONGYAN_ADMIN_EMAIL',
    default: 'none',
    meaning: 'first owner, made at start (with the password)',
    chinese: '首位所有者，启动时创建（与密码一同给出）'
  },
  { name: 'HONGYAN_ADMIN_PASSWORD', default: 'none', meaning: 'password of that owner', chinese: '该所有者的密码' },
  {
    name: 'HONGYAN_PUBLIC_URL',
    default: 'http://HOST:PORT',
    meaning: 'how the outside reaches this server',
    chinese: '外部访问本服务的地址'
  },
  {
    name: 'HONGYAN_LOG_LEVEL',
    default: 'info',
    meaning: 'trace, debug, info, warn, error or silent',
    chinese: 'trace、debug、info、warn、error 或 silent'
  },
  {
    name: 'HONGYAN_LOG_PRETTY',
    default: 'true on a terminal',
    meaning: 'lines for people instead of JSON',
    chinese: '输出给人看的行，而不是 JSON'
  },
  {
    name: 'HONGYAN_API_BASE',
    default: 'https://api.weixin.qq.com',
    meaning: 'where accounts send by default',
    chinese: '账号默认向哪里发送'
  },
  {
    name: 'HONGYAN_TRUST_PROXY',
    default: 'false',
    meaning: 'believe X-Forwarded-For of the proxy in front',
    chinese: '采信前置代理给出的 X-Forwarded-For'
  },
  {
    name: 'HONGYAN_WEBHOOK_ALLOW',
    default: 'none',
    meaning: 'inner hosts and ranges webhooks may reach, comma-separated',
    chinese: 'webhook 可访问的内网主机与网段，以逗号分隔'
  },
  {
    name: 'HONGYAN_METRICS',
    default: 'none',
    meaning: 'HOST:PORT for /metrics alone, without a token',
    chinese: '单独提供 /metrics 的 HOST:PORT，不需令牌'
  },
  {
    name: 'HONGYAN_RATE_LIMITS',
    default: 'built in',
    meaning: 'requests a minute: phone=600,key=120000,… or off',
    chinese: '每分钟请求上限：phone=600,key=120000,… 或 off'
  }
]
