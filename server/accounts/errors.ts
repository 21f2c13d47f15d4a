import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'

export class NoSuchAccount extends NotFound {
  constructor() {
    super('no such account', { code: 'accounts.not-found' })
  }
}

export class AccountExists extends Conflict {
  constructor(appId: string) {
    super(`the account ${appId} is connected already`, { code: 'accounts.exists', facts: { appId } })
  }
}

/** A live account talks to WeChat only, so that no operator can make the server call places inside its network. */
export class ApiBaseRefused extends InvalidInput {
  constructor() {
    const message = 'the apiBase of a live account is a https host of weixin.qq.com; use mode sandbox for others'
    super(message, {
      code: 'accounts.api-base',
      errors: [{ pointer: '/apiBase', code: 'accounts.api-base', message }]
    })
  }
}

/** Another host or mode would be sent the secret this one was trusted with: it has to be given anew. */
export class SecretNeeded extends InvalidInput {
  constructor() {
    const message = 'give the secret again when mode or apiBase changes: it is what will be sent there'
    super(message, {
      code: 'accounts.secret-needed',
      errors: [{ pointer: '/secret', code: 'accounts.secret-needed', message }]
    })
  }
}
