import { z } from 'zod'
import { number, text } from './shapes.js'

const object = z.looseObject

/* What the answers of a third-party platform's calls must hold, as `shapes.ts` says of the others. */

export const PlatformToken = object({ component_access_token: text, expires_in: number })
export const PreAuthCode = object({ pre_auth_code: text, expires_in: number })

/** What an account granted: `funcscope_category.id` is the number of a permission set. */
const FuncInfo = z.array(object({ funcscope_category: object({ id: number }) }))
/** A traded code; its tokens were seen empty for accounts that may not use them. */
export const Consent = object({
  authorization_info: object({ authorizer_appid: text, authorizer_refresh_token: z.string().optional() })
})
export const AuthorizerInfo = object({
  nick_name: z.string().optional(),
  /** 0 and 1: subscription account, 2: service account. */
  service_type_info: object({ id: number }).optional(),
  /** -1: not verified, 0: verified by WeChat. */
  verify_type_info: object({ id: number }).optional(),
  /** 1 normal, 14 closed, 16 banned, 18 warned, 19 frozen. */
  account_status: number.optional(),
  /** Only of mini-programs. */
  MiniProgramInfo: z.unknown().optional()
})
export type AuthorizerInfo = z.infer<typeof AuthorizerInfo>
export const AuthorizationInfo = object({
  authorizer_appid: text,
  authorizer_refresh_token: z.string().optional(),
  func_info: FuncInfo
})
export type AuthorizationInfo = z.infer<typeof AuthorizationInfo>
export const Authorizer = object({ authorizer_info: AuthorizerInfo, authorization_info: AuthorizationInfo })
export const AuthorizerToken = object({
  authorizer_access_token: text,
  expires_in: number,
  /** Keep it in place of the one used. */
  authorizer_refresh_token: z.string().optional()
})
export const AuthorizerPage = object({
  total_count: number,
  /** `refresh_token` was seen missing. */
  list: z.array(object({ authorizer_appid: text, refresh_token: z.string().optional(), auth_time: number }))
})
export type AuthorizerPage = z.infer<typeof AuthorizerPage>
