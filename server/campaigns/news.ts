import type { Collection } from 'mongodb'
import type { News, Webhooks } from '../webhooks/webhooks.js'
import type { CampaignMove, CampaignRow } from './model.js'

const AT_ONCE = 100
/** Where no worker runs nobody takes them off. */
const KEPT = 20

/** What an update that changes the state of a row as it was seen adds to it: the row is the outbox. */
export function pushMove(
  seen: Pick<CampaignRow, 'rev' | 'state'>,
  to: CampaignRow['state'],
  reason: string | null,
  at: Date
) {
  const move: CampaignMove = { rev: seen.rev + 1, from: seen.state, to, reason, at }
  return { $push: { moves: { $each: [move], $slice: -KEPT } } }
}

/** Files changes of state as news and takes them off the rows; repeated after a crash, under the same ids. */
export function createCampaignNews({
  rows,
  webhooks
}: {
  rows: Collection<CampaignRow>
  webhooks: Pick<Webhooks, 'file'>
}) {
  return async (): Promise<void> => {
    for (;;) {
      const found = await rows
        .find({ 'moves.rev': { $gt: 0 } })
        .limit(AT_ONCE)
        .toArray()
      for (const row of found) {
        const moves = row.moves ?? []
        await webhooks.file(moves.map((move) => newsOf(row, move)))
        const revs = moves.map(({ rev }) => rev)
        await rows.updateOne({ _id: row._id }, { $pull: { moves: { rev: { $in: revs } } } })
      }
      if (found.length < AT_ONCE) return
    }
  }
}

function newsOf({ _id, accountId, name }: CampaignRow, { rev, from, to, reason, at }: CampaignMove): News {
  return {
    id: `${_id}:${rev}`,
    type: 'campaign.state',
    at,
    accountId,
    data: { id: _id, accountId, name, from, state: to, reason, at: at.toISOString() }
  }
}
