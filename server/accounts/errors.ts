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

/** No operator can make the server call places inside its network: see `api-base.ts` for what may be named. */
export class ApiBaseRefused extends InvalidInput {
  constructor(message: string) {
    super(message, faultAt('/apiBase', 'accounts.api-base', message))
  }
}

/** Pushes are passed on to somebody else, over HTTP, and where we send at all. */
export class RelayRefused extends InvalidInput {
  constructor(why: string) {
    const message = `relayTo ${why}`
    super(message, faultAt('/callback/relayTo', 'accounts.relay-to', message))
  }
}

/** Another host or mode would be sent the secret this one was trusted with: it has to be given anew. */
export class SecretNeeded extends InvalidInput {
  constructor() {
    const message = 'give the secret again when mode or apiBase changes: it is what will be sent there'
    super(message, faultAt('/secret', 'accounts.secret-needed', message))
  }
}

/** Encrypted pushes cannot be read without it: all of them would be lost. */
export class KeyNeeded extends InvalidInput {
  constructor() {
    const message = 'compatible and safe mode need the EncodingAESKey'
    super(message, faultAt('/callback/aesKey', 'accounts.key-needed', message))
  }
}

const faultAt = (pointer: string, code: string, message: string) => ({ code, errors: [{ pointer, code, message }] })
