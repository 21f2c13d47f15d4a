/** One thing wrong with a request: where (a JSON pointer into its body), which rule it breaks, and what to say of it. */
export type Fault = { pointer: string; code: string; message: string }

/** The JSON pointer (RFC 6901) of a way into a body. */
export function pointerTo(path: string[]): string {
  return path.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Options every error takes: stable facts for the caller, and the cause for the log. */
export type ErrorOptions = {
  code?: string
  facts?: Record<string, unknown>
  errors?: Fault[]
  cause?: unknown
}

/** The root of all errors a caller can do something about; anything else is a bug and answered as a bare 500. */
export abstract class AppError extends Error {
  abstract readonly status: number
  readonly code: string
  readonly facts: Record<string, unknown>
  readonly errors: Fault[]

  constructor(fallbackCode: string, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = new.target.name
    this.code = options.code ?? fallbackCode
    this.facts = options.facts ?? {}
    this.errors = options.errors ?? []
  }
}

/** The caller sent something that breaks a rule; `errors` names field and rule. */
export class InvalidInput extends AppError {
  readonly status = 422
  constructor(message: string, options?: ErrorOptions) {
    super('request.invalid', message, options)
  }
}

/** No token, or a bad one. */
export class NotAuthenticated extends AppError {
  readonly status = 401
  constructor(message = 'a valid token is needed', options?: ErrorOptions) {
    super('auth.unauthenticated', message, options)
  }
}

/** The caller is known and may not do this. */
export class NotAllowed extends AppError {
  readonly status = 403
  constructor(message = 'this token may not do that', options?: ErrorOptions) {
    super('auth.not-allowed', message, options)
  }
}

/** It does not exist, or the caller may not know that it does. */
export class NotFound extends AppError {
  readonly status = 404
  constructor(message = 'not found', options?: ErrorOptions) {
    super('request.not-found', message, options)
  }
}

/** The thing is in a state that does not allow this now. */
export class Conflict extends AppError {
  readonly status = 409
  constructor(message: string, options?: ErrorOptions) {
    super('request.conflict', message, options)
  }
}

/** If-Match did not match. */
export class PreconditionFailed extends AppError {
  readonly status = 412
  constructor(message = 'it was changed meanwhile', options?: ErrorOptions) {
    super('request.changed', message, options)
  }
}

/** Too much, too often; `retryAfterSeconds` says when to come back. */
export class LimitReached extends AppError {
  readonly status = 429
  readonly retryAfterSeconds: number
  constructor(message: string, retryAfterSeconds: number, options?: ErrorOptions) {
    super('request.too-many', message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** WeChat (or another server) did not do its part. `retryable` says whether the same call may help later. */
export class UpstreamFailure extends AppError {
  readonly status = 502
  readonly retryable: boolean
  constructor(message: string, retryable: boolean, options?: ErrorOptions) {
    super('upstream.failed', message, options)
    this.retryable = retryable
  }
}
