import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { AudienceSource, Audiences } from '../audiences/audiences.js'
import type { Clock } from '../platform/clock.js'
import { InvalidInput, NotFound, type Fault } from '../platform/errors.js'
import { createRenderer, type Shape } from '../templates/content.js'
import type { Template, Templates } from '../templates/templates.js'
import { templateWarnings } from '../templates/warnings.js'
import { openFaults } from '../messages/direct.js'
import type { Breakers } from '../breakers/breakers.js'
import type { WordLists } from '../words/words.js'
import type { Messages } from '../messages/messages.js'
import { openBreakers } from './breaking.js'
import type { createForecast, Forecast } from './forecast.js'
import { forecastWarnings, recentWarnings } from './foresight.js'
import type { Ladder } from './ladder.js'
import type { CampaignRow } from './model.js'
import { recentRuns } from './recent-runs.js'
import { sceneWarnings } from './scene-fields.js'
import { decide, instantsAfter, windowFault } from './schedule.js'
import { MARKETING_CODE, wordingFaults } from './wording.js'

/** What an operator is told before going online. `problems` stop it, `warnings` do not. */
export type Check = {
  ready: boolean
  problems: Fault[]
  warnings: Fault[]
  /** null where nobody can be counted yet (no audience, or it is gone). */
  forecast: Forecast | null
  nextRuns: Date[]
  template: Shape | null
}

/** Said when a campaign is set up, and again when it is to go online. */
export const TEMPLATE_MISSING = {
  code: 'templates.missing',
  message: 'the account has no such template; POST /v1/templates/sync reads them anew'
}
/** As TEMPLATE_MISSING. */
export const AUDIENCE_MISSING = { code: 'audiences.not-found', message: 'there is no such audience' }

/** So many runs to come are told. */
export const NEXT_RUNS = 5

/** Problems that an owner may take upon them, with a reason in writing. */
export const mayOverride = (code: string): boolean => code.startsWith('ladder.') || code === MARKETING_CODE

/** Looks a campaign over with everything it stands on: account, template, content, audience, time. */
export function createCheck({
  clock,
  accounts,
  audiences,
  templates,
  ladder,
  breakers,
  words,
  rows,
  messages,
  forecast
}: {
  clock: Clock
  accounts: Accounts
  audiences: Audiences
  templates: Templates
  rows: Collection<CampaignRow>
  messages: Pick<Messages, 'runs'>
  forecast: ReturnType<typeof createForecast>
  ladder: Pick<Ladder, 'missing' | 'waived'>
  breakers?: Pick<Breakers, 'standing'>
  words?: Pick<WordLists, 'finders'>
}) {
  const renderer = createRenderer()

  return async function check(campaign: CampaignRow, { forecast: counts = true } = {}): Promise<Check> {
    const now = clock.now()
    const problems: Fault[] = []
    const warnings: Fault[] = []
    const problem = (pointer: string, code: string, message: string) => problems.push({ pointer, code, message })
    const warn = (pointer: string, code: string, message: string) => warnings.push({ pointer, code, message })

    const account = await orNull(accounts.get(campaign.accountId))
    if (account === null) problem('/accountId', 'accounts.not-found', 'the account is not here any more')
    else if (account.state === 'disabled') {
      problem('/accountId', 'accounts.disabled', account.disabledReason ?? 'the account cannot send')
    } else if (account.paused)
      warn('/accountId', 'accounts.paused', 'the account is paused: nothing goes out until it is resumed')

    const template = account === null ? null : await orNull(templates.get(account.id, campaign.templateId))
    if (account !== null) {
      if (template === null || template.state === 'deleted') {
        problems.push({ pointer: '/templateId', ...TEMPLATE_MISSING })
      } else {
        problems.push(...renderer.check(template, campaign.content))
        const finders = words === undefined ? null : await words.finders()
        const linted = templateWarnings(template, campaign.content, finders?.marketingWords)
        const wording = wordingFaults(linted, campaign.content, finders, await ladder.waived(campaign))
        problems.push(...wording.problems)
        warnings.push(...wording.warnings)
        warnings.push(...sceneWarnings(campaign.scene, template.fields, campaign.content))
        if (campaign.emphasis !== undefined) emphasisFault(template, campaign.emphasis)
      }
      problems.push(...openFaults(account, campaign.open ?? undefined))
    }
    if (campaign.open !== null) problems.push(...renderer.checkOpen(campaign.open))

    if (account !== null) {
      problems.push(...(await ladder.missing(campaign, account)))
      for (const { templateId, until } of openBreakers(
        (await breakers?.standing(account.id)) ?? [],
        campaign.templateId
      )) {
        const whose = templateId === null ? 'account' : 'template'
        const message = `the breaker of the ${whose} is open until ${until?.toISOString()}: GET /v1/breakers says why`
        problem(templateId === null ? '/accountId' : '/templateId', 'breakers.open', message)
      }
      if (account.punished !== null) {
        const { api, blockedUntil } = account.punished
        warn(
          '/accountId',
          'accounts.penalty',
          `WeChat punishes ${api} until ${blockedUntil?.toISOString()}: what needs it waits`
        )
      }
    }

    const source = await audience(campaign)
    const { trigger } = campaign
    const nextRuns = instantsAfter(trigger, now, NEXT_RUNS)
    if (trigger.kind === 'once' && campaign.runId === null) {
      const verdict = decide(trigger.at, now, campaign.missed)
      if (verdict === 'missed') problem('/trigger/at', 'trigger.past', 'the time to send has passed')
      else if (verdict === 'start' && trigger.at < now)
        warn('/trigger/at', 'trigger.late', 'the time to send has passed: it starts at once')
    }
    if (trigger.kind === 'recurring' && nextRuns.length === 0)
      problem('/trigger/until', 'trigger.past', 'no time to send is left')

    const window = windowFault(trigger)
    if (window !== null) problems.push(window)

    const sendAt = nextRuns[0] ?? now
    const foreseen =
      !counts || account === null || source === null
        ? null
        : await forecast(campaign, account, source, template, sendAt)
    if (foreseen !== null && account !== null) warnings.push(...forecastWarnings(campaign, account, foreseen))
    if (counts && (trigger.kind === 'once' || trigger.kind === 'recurring'))
      warnings.push(...recentWarnings(await recentRuns({ rows, runs: messages.runs }, campaign, sendAt)))
    return {
      ready: problems.length === 0,
      problems,
      warnings,
      forecast: foreseen,
      nextRuns,
      template: template === null ? null : { kind: template.kind, fields: template.fields, choices: template.choices }
    }

    async function audience({ audienceId, trigger, runId }: CampaignRow): Promise<AudienceSource | null> {
      // What has started keeps the audience it started with.
      if (trigger.kind === 'once' && runId !== null) return null
      if (audienceId === null) {
        if (trigger.kind !== 'event' && trigger.kind !== 'notFollowed')
          problem('/audienceId', 'audiences.needed', 'a scheduled campaign needs an audience')
        return null
      }
      const found = await orNull(audiences.sourceOf(audienceId))
      if (found === null) problems.push({ pointer: '/audienceId', ...AUDIENCE_MISSING })
      return found
    }

    function emphasisFault({ kind, fields }: Template, emphasis: string): void {
      const key = emphasis.replace(/\.DATA$/i, '')
      if (kind !== 'legacy')
        warn('/emphasis', 'emphasis.ignored', 'only legacy mini-program templates enlarge a keyword')
      else if (!fields.some((field) => field.key === key)) {
        problem('/emphasis', 'emphasis.unknown-field', `the template has no field ${key}`)
      }
    }
  }
}

/** What is asked for, or null when it is not there. */
export async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof NotFound || error instanceof InvalidInput) return null
    throw error
  }
}
