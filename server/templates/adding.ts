import type { Account, Accounts } from '../accounts/accounts.js'
import { shuts } from '../accounts/penalty.js'
import { targetOf } from '../accounts/target.js'
import { AppError, Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import type { Penalty } from '../../shared/penalty.js'
import type { TemplateCreate } from '../../shared/template.js'
import type { WechatApi } from '../wechat/api.js'
import { expectOk } from '../wechat/expect-ok.js'
import type { Library } from './library.js'
import { namingField } from './refusals.js'
import { creationFaults, keywordFaultsIn } from './rules.js'

class PenaltyStands extends Conflict {
  constructor({ blockedUntil, note }: Penalty) {
    super(`WeChat lets the account add no templates until ${blockedUntil?.toISOString()}: ${note}`, {
      code: 'accounts.penalty',
      facts: { blockedUntil }
    })
  }
}

/** Composes a template of a library title and its keywords, on WeChat. */
export function createAdding({
  wechat,
  library,
  log,
  accounts
}: {
  wechat: WechatApi
  library: Library
  log: Log
  accounts: Pick<Accounts, 'punish'>
}) {
  /** Keywords the title does not have. When the library cannot be read, adding will tell. */
  async function libraryFaults(account: Account, { kind, titleId, keywordIds = [] }: TemplateCreate) {
    if (kind === 'service' || keywordIds.length === 0) return []
    try {
      return keywordFaultsIn(keywordIds, (await library.keywords(account.id, kind, titleId)).keywords)
    } catch (error) {
      if (error instanceof NotFound)
        return [{ pointer: '/titleId', code: 'templates.title-unknown', message: error.message }]
      if (!(error instanceof AppError)) throw error
      log.warn({ err: error, accountId: account.id }, 'the library could not be read before adding')
      return []
    }
  }

  /**
   * The new template's id. @throws InvalidInput templates.cannot-add naming the field, before WeChat is asked to add, or
   * what WeChat answers with its field; Conflict templates.too-many, accounts.penalty
   */
  return async function add(account: Account, body: TemplateCreate): Promise<string> {
    const errors = creationFaults(account.kind, body)
    if (errors.length === 0) errors.push(...(await libraryFaults(account, body)))
    if (errors.length > 0) throw new InvalidInput(errors[0]!.message, { code: 'templates.cannot-add', errors })
    if (shuts(account.punished, 'management')) throw new PenaltyStands(account.punished!)
    const target = targetOf(account)
    const { kind, titleId, keywordIds = [], keywordNames, sceneDesc } = body
    try {
      if (kind === 'legacy') return expectOk(await wechat.legacy.add(target, titleId, keywordIds)).template_id
      if (kind === 'subscribe') {
        return expectOk(await wechat.subscribe.addTemplate(target, titleId, keywordIds, sceneDesc)).priTmplId
      }
      return expectOk(await wechat.service.addTemplate(target, titleId, keywordNames)).template_id
    } catch (error) {
      const errcode = error instanceof AppError ? error.facts.errcode : undefined
      const standing = typeof errcode === 'number' ? await accounts.punish(account.id, errcode, 'management') : null
      if (standing?.changed === true)
        log.warn({ accountId: account.id, ...standing.penalty }, 'WeChat punishes the account')
      throw namingField(error)
    }
  }
}
