import { Conflict, NotAllowed, NotAuthenticated, NotFound } from '../platform/errors.js'

/** One answer for unknown addresses and wrong passwords alike. */
export class WrongPassword extends NotAuthenticated {
  constructor() {
    super('email or password is wrong', { code: 'auth.wrong-password' })
  }
}

/** The password was right; a code of the authenticator app is needed too. */
export class CodeNeeded extends NotAuthenticated {
  constructor() {
    super('a code of the authenticator app is needed: send it as `code`', { code: 'auth.code-needed' })
  }
}

export class WrongCode extends NotAuthenticated {
  constructor() {
    super('that code is wrong, or was used', { code: 'auth.wrong-code' })
  }
}

export class TotpNotBegun extends Conflict {
  constructor() {
    super('begin with POST /v1/me/totp', { code: 'auth.totp-not-begun' })
  }
}

export class SessionOver extends NotAuthenticated {
  constructor() {
    super('log in again', { code: 'auth.session-over' })
  }
}

export class SetupDone extends Conflict {
  constructor() {
    super('this installation is set up already; log in', { code: 'setup.done' })
  }
}

export class WrongSetupCode extends NotAllowed {
  constructor() {
    super('that is not the code the server printed', { code: 'setup.wrong-code' })
  }
}

export class OperatorExists extends Conflict {
  constructor() {
    super('there is an operator with this email', { code: 'operators.exists' })
  }
}

export class LastOwner extends Conflict {
  constructor() {
    super('the last owner has to stay one', { code: 'operators.last-owner' })
  }
}

export class NoSuchOperator extends NotFound {
  constructor() {
    super('no such operator', { code: 'operators.not-found' })
  }
}

export class NoSuchKey extends NotFound {
  constructor() {
    super('no such key', { code: 'api-keys.not-found' })
  }
}
