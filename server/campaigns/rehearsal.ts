import { InvalidInput } from '../platform/errors.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { AudienceSource } from '../audiences/audiences.js'
import type { Templates } from '../templates/templates.js'
import { openFaults } from '../messages/direct.js'
import { TEMPLATE_MISSING, orNull } from './check.js'
import { snapshotOf, type Composer, type Composers, type Snapshot } from './compose.js'
import type { CampaignRow } from './model.js'

/** A campaign as it would be sent now, whatever state it is in. */
export type Rehearsed = { account: Account; snapshot: Snapshot; compose: Composer }

/**
 * What a campaign would be sent with at this moment: its settings, and the template as the account has it now.
 * @throws NotFound when its account is gone, InvalidInput naming what could not be sent at all
 */
export async function rehearsed(
  campaign: CampaignRow,
  source: AudienceSource | null,
  { accounts, templates, composers }: { accounts: Accounts; templates: Templates; composers: Composers }
): Promise<Rehearsed> {
  const account = await accounts.get(campaign.accountId)
  const template = await orNull(templates.get(account.id, campaign.templateId))
  const faults = openFaults(account, campaign.open ?? undefined)
  if (template === null || template.state !== 'live') faults.push({ pointer: '/templateId', ...TEMPLATE_MISSING })
  if (template === null || faults.length > 0) {
    throw new InvalidInput('this campaign cannot be tried as it is', { code: 'campaigns.not-ready', errors: faults })
  }
  const { kind, fields, choices } = template
  const snapshot = snapshotOf({ ...campaign, template: { kind, fields, choices } }, source)
  return { account, snapshot, compose: composers.make(snapshot) }
}
