import type { Problem as Body } from '../../../../shared/problem.js'

/** The server said no; or, with `status` 0, did not answer at all. */
export class Refused extends Error {
  readonly status: number
  readonly body: Body | null
  constructor(status: number, body: Body | null) {
    super(body?.detail ?? body?.title ?? `HTTP ${status}`)
    this.name = 'Refused'
    this.status = status
    this.body = body
  }
  get code(): string {
    return this.body?.code ?? (this.status === 0 ? 'offline' : 'unknown')
  }
  /** What the server says of the field at this JSON pointer, or of anything below it; null: nothing. */
  faultAt(pointer: string): string | null {
    const found = this.body?.errors?.find(
      (fault) => fault.pointer === pointer || fault.pointer.startsWith(`${pointer}/`)
    )
    return found?.message ?? null
  }
}

/** Whatever was thrown as something a page can show. */
export const asRefused = (error: unknown): Refused => (error instanceof Refused ? error : new Refused(0, null))
