import { may, type Me } from '../api/session.js'
import { common } from '../words/common.js'

/** Why a control stays disabled: the role it needs; undefined for whoever has it. */
export const denied = (role: Me['role']): string | undefined =>
  may(role) ? undefined : common.value.needsRole(common.value.roles[role])
