import { Conflict, InvalidInput, NotAllowed } from '../platform/errors.js'

const fault = (pointer: string, code: string, message: string) => ({ pointer, code, message })

/** The platform cannot be used: it has no settings yet. */
export class NoPlatform extends Conflict {
  constructor() {
    super('there is no third-party platform here yet: PATCH /v1/platform with appId, secret, token and aesKey', {
      code: 'platform.not-set-up'
    })
  }
}

/** WeChat has not pushed a ticket lately, and without one it hands out no token. */
export class NoTicket extends Conflict {
  constructor(eventUrl: string) {
    super(`WeChat has not pushed a ticket in the last 12 hours: is ${eventUrl} the platform's event address?`, {
      code: 'platform.no-ticket',
      facts: { eventUrl }
    })
  }
}

/** The first settings are given whole. */
export class PlatformIncomplete extends InvalidInput {
  constructor(missing: string[]) {
    super('a platform is set up with appId, secret, token and aesKey at once', {
      code: 'platform.incomplete',
      errors: missing.map((name) => fault(`/${name}`, 'platform.incomplete', 'this is needed, too'))
    })
  }
}

/** A secret belongs to one platform at one host: another one is not sent it. */
export class PlatformSecretNeeded extends InvalidInput {
  constructor() {
    const message = 'give the secret again when appId, mode or apiBase changes: it is what will be sent there'
    super(message, {
      code: 'platform.secret-needed',
      errors: [fault('/secret', 'platform.secret-needed', message)]
    })
  }
}

/** Only accounts connected by QR have permissions to update. */
export class NotByQr extends Conflict {
  constructor() {
    super('this account is connected by its secret; ask for a link without accountId to connect it by QR', {
      code: 'platform.not-by-qr'
    })
  }
}

/** Whoever comes back was not sent by a link of this installation, or too long ago. */
export class BadState extends NotAllowed {
  constructor() {
    super('this authorisation was not begun here, or it is over: ask for a new link', { code: 'platform.bad-state' })
  }
}

/** The administrator consented for another account than the one whose permissions were to be updated. */
export class OtherAccount extends Conflict {
  constructor(wanted: string, got: string) {
    super(`the authorisation was for ${wanted}, but ${got} was authorised`, {
      code: 'platform.other-account',
      facts: { wanted, got }
    })
  }
}
