import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import type { Problem } from '../../shared/problem.js'
import { AppError, LimitReached, NotFound, pointerTo, type Fault } from './errors.js'
import { languageOf, type Language } from './language.js'

/** In English the names HTTP gives them. */
const CHINESE_TITLES: Record<number, string> = {
  400: '请求无法解析',
  401: '需要有效的令牌',
  403: '没有权限',
  404: '未找到',
  405: '不支持的方法',
  408: '请求超时',
  409: '与当前状态冲突',
  412: '内容已被修改',
  413: '请求体过大',
  414: '请求地址过长',
  415: '不支持的内容类型',
  417: '无法满足的期望',
  422: '请求内容不符合要求',
  429: '请求过于频繁',
  431: '请求头过大',
  500: '服务器内部错误',
  502: '上游服务失败',
  503: '服务暂不可用'
}

const chineseFaults = z.locales.zhCN().localeError

/** What Fastify itself refuses, under our codes. */
const FASTIFY_CODES: Record<string, { status: number; code: string; detail: string }> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, code: 'request.malformed', detail: 'the body is not JSON' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, code: 'request.malformed', detail: 'the body is empty' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { status: 400, code: 'request.malformed', detail: 'the body was cut off' },
  FST_ERR_CTP_BODY_TOO_LARGE: { status: 413, code: 'request.too-large', detail: 'the body is too large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { status: 415, code: 'request.media-type', detail: 'send application/json' },
  FST_ERR_BAD_URL: { status: 400, code: 'request.malformed', detail: 'the path is not a valid URL' },
  FST_ERR_MAX_PARAM_LENGTH: { status: 414, code: 'request.too-long', detail: 'a part of the path is too long' }
}

/** The driver's errors that mean "the store is away", as opposed to "we asked it nonsense". */
const STORE_AWAY =
  /^(MongoServerSelectionError|MongoNetworkError|MongoNetworkTimeoutError|MongoNotConnectedError|MongoTopologyClosedError|MongoPoolClearedError|MongooseServerSelectionError)$/

/** Answers every error, and every path nobody serves, as application/problem+json. */
export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler(answerError)
  app.setNotFoundHandler((request, reply) =>
    send(reply, problemOf(new NotFound(`nothing is served at ${request.method} ${pathOf(request)}`), request))
  )
}

/** Answers an error as the problem it is; what is nobody's fault but ours is logged whole. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, request)
  if (problem.status >= 500) request.log.error({ err: error }, 'a request failed')
  else request.log.debug({ code: problem.code, status: problem.status }, 'a request was refused')
  if (error instanceof LimitReached) void reply.header('retry-after', Math.ceil(error.retryAfterSeconds))
  if (problem.status === 503) void reply.header('retry-after', 2)
  return send(reply, problem)
}

function send(reply: FastifyReply, problem: Problem): FastifyReply {
  // A route's response schema describes its answers, not its problems.
  return reply
    .code(problem.status)
    .type('application/problem+json; charset=utf-8')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problem)
}

/** An error as the caller may see it. What is no AppError and no fault of the request is a bare 500. */
export function problemOf(error: unknown, request: Pick<FastifyRequest, 'id' | 'headers'>): Problem {
  const language = languageOf(request.headers['accept-language'])
  const build = (status: number, code: string, detail?: string, more?: Record<string, unknown>) =>
    problemDocument({ status, code, detail, requestId: request.id, language, more })

  if (error instanceof AppError) {
    return build(error.status, error.code, error.message, {
      ...(Object.keys(error.facts).length > 0 && { facts: error.facts }),
      ...(error.errors.length > 0 && { errors: error.errors })
    })
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const place = (error as FastifyError).validationContext ?? 'body'
    const errors = error.validation.flatMap((issue) => faultsOf(readIssue(issue), language))
    return build(422, 'request.invalid', `the ${place === 'querystring' ? 'query' : place} breaks its schema`, {
      errors
    })
  }
  const { name, code, statusCode } = (error ?? {}) as { name?: string; code?: string; statusCode?: number }
  const known = FASTIFY_CODES[code ?? '']
  if (known !== undefined) return build(known.status, known.code, known.detail)
  if (STORE_AWAY.test(name ?? '')) return build(503, 'store.unreachable', 'the store does not answer; try again')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return build(statusCode, 'request.refused', error instanceof Error ? error.message : undefined)
  }
  return build(500, 'internal')
}

/** The document itself; its title goes by status, so that a person reads their own language whatever the cause. */
export function problemDocument({
  status,
  code,
  detail,
  requestId,
  language,
  more
}: {
  status: number
  code: string
  detail?: string | undefined
  requestId: string
  language: Language
  more?: Record<string, unknown> | undefined
}): Problem {
  return {
    type: `urn:hongyan:problem:${code}`,
    title: (language === 'zh' ? CHINESE_TITLES[status] : undefined) ?? STATUS_CODES[status] ?? 'Error',
    status,
    ...(detail !== undefined && { detail }),
    code,
    requestId,
    ...more
  }
}

type Issue = { code: string; path: string[]; message: string; keys?: string[]; errors?: Issue[][] }

function readIssue({
  keyword,
  instancePath,
  message,
  params
}: {
  keyword: string
  instancePath: string
  message?: string
  params: object
}): Issue {
  const path = instancePath.split('/').slice(1)
  return { ...params, code: keyword, path: path.length === 1 && path[0] === '' ? [] : path, message: message ?? '' }
}

/** One zod issue as faults with JSON pointers; of a union's branches the one that went furthest speaks. */
function faultsOf(issue: Issue, language: Language, above: string[] = []): Fault[] {
  const path = [...above, ...issue.path.map(String)]
  if (issue.code === 'invalid_union' && issue.errors !== undefined && issue.errors.length > 0) {
    const depth = (branch: Issue[]) => Math.max(0, ...branch.map((inner) => inner.path.length))
    const [best] = [...issue.errors].sort((a, b) => depth(b) - depth(a) || a.length - b.length)
    if (best !== undefined && best.length > 0) return best.flatMap((inner) => faultsOf(inner, language, path))
  }
  const message = language === 'zh' ? chineseMessage(issue) : issue.message
  if (issue.code === 'unrecognized_keys' && issue.keys !== undefined) {
    return issue.keys.map((key) => ({ pointer: pointerTo([...path, key]), code: 'unknown_key', message }))
  }
  return [{ pointer: pointerTo(path), code: issue.code, message }]
}

function chineseMessage(issue: Issue): string {
  // A refinement's text is our own; zod has no translation of it.
  if (issue.code === 'custom') return issue.message
  const text = chineseFaults(issue as never)
  return (typeof text === 'string' ? text : text?.message) ?? issue.message
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}
