import { randomBytes } from 'node:crypto'
import { Scope } from '../shared/operator.js'
import type { Client } from './client.js'

/** Who a server that is started with these settings knows from its beginning. */
export type Operator = {
  password: string
  settings: { HONGYAN_ADMIN_EMAIL: string; HONGYAN_ADMIN_PASSWORD: string }
  /** Signs in, and makes an API key of all scopes under this name. */
  makeKey(door: Client, name: string): Promise<string>
}

export function createOperator(email: string): Operator {
  const password = randomBytes(12).toString('base64url')
  return {
    password,
    settings: { HONGYAN_ADMIN_EMAIL: email, HONGYAN_ADMIN_PASSWORD: password },
    async makeKey(door, name) {
      const { token } = await door.post('/v1/auth/login', { email, password })
      const { key } = await door.as(token).post('/v1/api-keys', { name, scopes: Scope.options })
      return key
    }
  }
}
