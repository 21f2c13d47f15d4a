import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { InvalidInput, NotFound, pointerTo } from '../platform/errors.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { People } from '../people/people.js'
import type { Templates, Template } from '../templates/templates.js'
import { checkContent, literalData, type Renderer } from '../templates/content.js'
import type { MessagePost } from '../../shared/message.js'
import type { Content, Open } from '../../shared/template.js'
import { MESSAGE_LIFE_MS, SCENE_LIFE_MS } from '../../shared/limits.js'
import type { z } from 'zod'
import type { MessagePosted } from '../../shared/message.js'
import type { Finder } from '../words/finder.js'
import type { WordLists } from '../words/words.js'
import { needsCredential } from './prepare.js'
import type { Messages, PlanInput } from './messages.js'
import type { FallbackStep, MessageRow } from './model.js'

type Fault = { pointer: string; code: string; message: string }
type Posted = z.infer<typeof MessagePosted>

/** What a tap may open on this kind of account; empty when it is all right. Pure. */
export function openFaults(account: Pick<Account, 'kind'>, open: Open | undefined, pointer = '/open'): Fault[] {
  const faults: Fault[] = []
  if (open === undefined) return faults
  const add = (at: string, code: string, message: string) => faults.push({ pointer: pointer + at, code, message })
  if (account.kind === 'miniprogram') {
    if (open.url !== undefined)
      add('/url', 'open.url-on-miniprogram', 'a mini-program message opens a page of its own mini-program, not a url')
    if (open.miniprogram !== undefined)
      add(
        '/miniprogram',
        'open.miniprogram-on-miniprogram',
        'use page: a mini-program message opens its own mini-program'
      )
  } else if (open.page !== undefined) add('/page', 'open.page-on-service', 'use miniprogram { appId, page } or url')
  for (const [at, page] of [
    ['/page', open.page],
    ['/miniprogram/page', open.miniprogram?.page]
  ] as const) {
    if (page?.startsWith('/')) add(at, 'open.leading-slash', 'a page has no leading slash (WeChat answers 41030)')
  }
  return faults
}

/** Direct sends: one message to one person, asked for by a backend or an operator. */
export function createDirect(parts: {
  clock: Clock
  sealer: Sealer
  accounts: Accounts
  people: People
  templates: Templates
  credentials: Credentials
  messages: Messages
  renderer: Renderer
  words: Pick<WordLists, 'finders'>
}) {
  const { clock, sealer, people, templates, credentials, messages, renderer } = parts
  const sensitiveWords = async () => (await parts.words.finders()).sensitive

  async function templateOf(accountId: string, templateId: string, pointer: string): Promise<Template> {
    try {
      const template = await templates.get(accountId, templateId)
      if (template.state === 'live') return template
    } catch (error) {
      if (!(error instanceof NotFound)) throw error
    }
    throw new InvalidInput('this account has no such template', {
      code: 'messages.unknown-template',
      errors: [
        {
          pointer,
          code: 'template.unknown',
          message: `the account has no template ${templateId}; POST /v1/templates/sync reads them anew`
        }
      ]
    })
  }

  /** Literal or Liquid content as data. @throws InvalidInput naming each field */
  function dataOf(
    template: Template,
    content: Content,
    body: Pick<MessagePost, 'templated' | 'data' | 'tooLong'>,
    sensitive: Finder,
    pointer: string
  ): MessageRow['data'] {
    const data = rendered(template, content, body, pointer)
    const errors = Object.entries(data).flatMap(([field, { value }]): Fault[] => {
      const hit = sensitive.first(value)
      if (hit === null) return []
      const message = `「${hit.word}」 is on the list of sensitive words`
      return [{ pointer: pointer + pointerTo([field]), code: 'content.sensitive-word', message }]
    })
    if (errors.length > 0) {
      throw new InvalidInput('the content holds what may not be sent', { code: 'messages.invalid-content', errors })
    }
    return data
  }

  function rendered(
    template: Template,
    content: Content,
    body: Pick<MessagePost, 'templated' | 'data' | 'tooLong'>,
    pointer: string
  ): MessageRow['data'] {
    if (!body.templated) {
      const faults = checkContent(template, content, pointer)
      if (faults.length > 0)
        throw new InvalidInput('the content does not fit the template', {
          code: 'messages.invalid-content',
          errors: faults
        })
      return literalData(content)
    }
    const compiled = renderer.compile(template, content, { tooLong: body.tooLong, missingVariable: 'skip' })
    const { data, problems } = compiled.render({ data: body.data ?? {}, user: {}, event: {}, tag: {} })
    if (problems.length > 0) {
      throw new InvalidInput('the content does not fit the template', {
        code: 'messages.invalid-content',
        errors: problems.map((problem) => ({
          pointer: `${pointer}/${problem.field}`,
          code: `content.${problem.rule ?? problem.reason}`,
          message: problem.detail
        }))
      })
    }
    return data
  }

  /** The plan of one post: everything checked, nothing written. @throws InvalidInput, NotFound */
  async function prepare(account: Account, body: Omit<MessagePost, 'accountId'>, id: string): Promise<PlanInput> {
    const now = clock.now()
    const faults = openFaults(account, body.open)
    const template = await templateOf(account.id, body.templateId, '/templateId')
    const dueAt = body.at !== undefined && body.at > now ? body.at : now
    const life = body.scene === undefined ? MESSAGE_LIFE_MS : SCENE_LIFE_MS[body.scene]
    const notAfter = body.notAfter ?? new Date(dueAt.getTime() + life)
    if (notAfter <= dueAt)
      faults.push({
        pointer: '/notAfter',
        code: 'time.before-due',
        message: 'notAfter must be later than the moment it is due'
      })
    if (body.emphasis !== undefined && !template.fields.some((field) => field.key === body.emphasis)) {
      faults.push({
        pointer: '/emphasis',
        code: 'content.unknown-field',
        message: `the template has no field ${body.emphasis}`
      })
    }
    if (faults.length > 0)
      throw new InvalidInput('the message cannot be sent as it is', { code: 'messages.invalid', errors: faults })
    const sensitive = await sensitiveWords()
    const data = dataOf(template, body.content, body, sensitive, '/content')
    const fallback: FallbackStep[] = []
    for (const [index, step] of (body.fallback ?? []).entries()) {
      const pointer = `/fallback/${index}`
      const other = await parts.accounts.get(step.accountId)
      const otherTemplate = await templateOf(other.id, step.templateId, `${pointer}/templateId`)
      const otherFaults = openFaults(other, step.open, `${pointer}/open`)
      if (otherFaults.length > 0)
        throw new InvalidInput('a fallback cannot be sent as it is', { code: 'messages.invalid', errors: otherFaults })
      fallback.push({
        accountId: other.id,
        templateId: step.templateId,
        data: dataOf(otherTemplate, step.content, body, sensitive, `${pointer}/content`),
        open: step.open ?? null,
        channel: otherTemplate.kind
      })
    }
    const { recipient, personId } = await people.resolve(account.id, body.to)
    if (recipient === null && personId === null) {
      throw new InvalidInput('nobody is known by that id', {
        code: 'messages.unknown-person',
        errors: [{ pointer: '/to', code: 'person.unknown', message: 'identify the person first, or send to an openId' }]
      })
    }
    return {
      id,
      accountId: account.id,
      recipientId: recipient?.id ?? null,
      personId,
      runId: null,
      campaignId: null,
      lane: body.lane,
      channel: template.kind,
      templateId: body.templateId,
      data,
      open: body.open ?? null,
      emphasis: body.emphasis ?? null,
      dueAt,
      notAfter,
      waitForCredential: body.waitForCredential,
      reference: body.reference ?? null,
      fallback,
      ...(recipient === null ? { skip: { reason: 'notInAccount' as const } } : {})
    }
  }

  /** Is there a right now, and will there be one at the due moment? */
  async function reachable(account: Account, input: PlanInput): Promise<Posted['reachable']> {
    if (input.recipientId === null) return { now: false, atSendTime: false, reason: 'notInAccount' }
    const recipient = (await people.byIds([input.recipientId])).get(input.recipientId)
    if (recipient !== undefined && recipient.reach !== 'ok')
      return { now: false, atSendTime: false, reason: 'suppressed' }
    if (input.channel === 'service' && recipient?.follower !== true)
      return { now: false, atSendTime: false, reason: 'suppressed' }
    if (input.personId !== null && (await people.optedOut([input.personId], input.topic)).size > 0) {
      return { now: false, atSendTime: false, reason: 'optedOut' }
    }
    if (!needsCredential(account, { channel: input.channel, lane: input.lane, test: false }))
      return { now: true, atSendTime: true }
    const place = { recipientId: input.recipientId, channel: input.channel, templateId: input.templateId }
    const has = (await credentials.reachable(account.id, [place.recipientId], place.channel, place.templateId)).size > 0
    if (!has) return { now: false, atSendTime: false, reason: 'noCredential' }
    const last = (await credentials.lastExpiry(account.id, [place])).get(place.recipientId)
    const then = last !== undefined && last > input.dueAt
    return {
      now: true,
      atSendTime: last === undefined || then,
      ...(last !== undefined && !then ? { reason: 'expiresBefore' } : {})
    }
  }

  const postedOf = (row: MessageRow, reach: Posted['reachable']): Posted => ({
    id: row._id,
    state: row.state,
    reference: row.reference,
    reachable: reach
  })

  return {
    /**
     * Plans one message. `key` (the idempotency key, or the item's id) names it for as long as the row lives: asked for
     * again it is the same message. @throws InvalidInput (also when the key already names another body), NotFound
     */
    async post(
      callerId: string,
      account: Account,
      key: string,
      body: Omit<MessagePost, 'accountId'>
    ): Promise<{ posted: Posted; replayed: boolean }> {
      const id = messages.messageId('direct', account.id, callerId, key)
      const bodyHash = sealer.hash('body', JSON.stringify(body))
      const known = await messages.rows.findOne({ _id: id })
      if (known !== null) mustBeSame(known, bodyHash)
      const input = known === null ? { ...(await prepare(account, body, id)), bodyHash } : inputOf(known)
      const reach = await reachable(account, input)
      const { planned } = known === null ? await messages.plan([input]) : { planned: 0 }
      const row = known ?? (await messages.get(id))
      mustBeSame(row, bodyHash) // two at once under one key: the first one wrote it
      return { posted: postedOf(row, reach), replayed: planned === 0 }
    },

    /** The data of new literal content for a planned row. @throws InvalidInput */
    async dataFor(row: MessageRow, content: Content): Promise<MessageRow['data']> {
      const template = await templateOf(row.accountId, row.templateId, '/content')
      return dataOf(template, content, { templated: false }, await sensitiveWords(), '/content')
    }
  }
}
export type Direct = ReturnType<typeof createDirect>

function mustBeSame(row: MessageRow, bodyHash: string): void {
  if (row.bodyHash === bodyHash) return
  throw new InvalidInput('this key already names another message', {
    code: 'idempotency.reused',
    errors: [
      { pointer: '', code: 'idempotency.reused', message: 'the body differs from the one first sent under this key' }
    ]
  })
}

const inputOf = (row: MessageRow): PlanInput => ({ ...row, id: row._id, skip: undefined })
