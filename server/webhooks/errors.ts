import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'

export class NoSuchWebhook extends NotFound {
  constructor() {
    super('no such webhook', { code: 'webhooks.not-found' })
  }
}

/** The address is none we send to. */
export class UrlRefused extends InvalidInput {
  constructor(why: string) {
    const message = `the address ${why}`
    super(message, { code: 'url.refused', errors: [{ pointer: '/url', code: 'url.refused', message }] })
  }
}

export class TooManyWebhooks extends Conflict {
  constructor(most: number) {
    super(`there are ${most} webhooks already, which is as many as there may be`, { code: 'webhooks.too-many' })
  }
}
