import { randomBytes } from 'node:crypto'
import type { Model } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { CodeNeeded, TotpNotBegun, WrongCode } from './errors.js'
import type { OperatorRow } from './model.js'
import { matchedStep, otpauthUri, toBase32 } from './totp.js'

const SECRET_BYTES = 20
const RECOVERY_CODES = 10

/** Codes of an authenticator app as the second half of a login, for operators who want it. */
export function createSecondFactor({
  model,
  clock,
  sealer
}: {
  model: Model<OperatorRow>
  clock: Clock
  sealer: Sealer
}) {
  const hashOf = (id: string, code: string) =>
    sealer.hash('recovery code', id, code.replaceAll(/[\s-]/g, '').toUpperCase())
  const secretOf = (sealed: string) => Buffer.from(sealer.open(sealed), 'base64url')

  return {
    /** A new secret, to be confirmed by a code before it counts. */
    async begin({ _id, email }: OperatorRow): Promise<{ secret: string; uri: string }> {
      const bytes = randomBytes(SECRET_BYTES)
      await model.updateOne({ _id }, { $set: { 'totp.sealedNext': sealer.seal(bytes.toString('base64url')) } })
      const secret = toBase32(bytes)
      return { secret, uri: otpauthUri(secret, email) }
    },

    /** From now on logins ask for a code. The recovery codes are told this once. @throws TotpNotBegun, WrongCode */
    async confirm({ _id, totp }: OperatorRow, code: string): Promise<string[]> {
      if (totp?.sealedNext == null) throw new TotpNotBegun()
      const step = matchedStep(secretOf(totp.sealedNext), code, clock.now(), 0)
      if (step === null) throw new WrongCode()
      // 50 bits each: beyond guessing at a door that slows down.
      const codes = Array.from({ length: RECOVERY_CODES }, () => toBase32(randomBytes(7)).slice(0, 10))
      const fresh = { sealed: totp.sealedNext, lastStep: step, recovery: codes.map((each) => hashOf(_id, each)) }
      const { modifiedCount } = await model.updateOne(
        { _id, 'totp.sealedNext': totp.sealedNext },
        { $set: { totp: { ...fresh, enabledAt: clock.now() } } }
      )
      if (modifiedCount === 0) throw new TotpNotBegun()
      return codes.map((each) => `${each.slice(0, 5)}-${each.slice(5)}`)
    },

    /** Whoever has none needs none. A code is good once, a recovery code too. @throws CodeNeeded, WrongCode */
    async mustMatch({ _id, totp }: OperatorRow, code: string | undefined): Promise<void> {
      if (totp?.sealed == null) return
      if (code === undefined || code === '') throw new CodeNeeded()
      const step = matchedStep(secretOf(totp.sealed), code, clock.now(), totp.lastStep ?? 0)
      if (step !== null) {
        // Of two logins with one code the first is let in.
        const used = await model.updateOne({ _id, 'totp.lastStep': { $lt: step } }, { $set: { 'totp.lastStep': step } })
        if (used.modifiedCount === 1) return
        throw new WrongCode()
      }
      const recovery = hashOf(_id, code)
      const used = await model.updateOne({ _id, 'totp.recovery': recovery }, { $pull: { 'totp.recovery': recovery } })
      if (used.modifiedCount === 0) throw new WrongCode()
    },

    /** Logins ask for no code any more. */
    async remove(id: string): Promise<void> {
      await model.updateOne({ _id: id }, { $unset: { totp: 1 } })
    }
  }
}
