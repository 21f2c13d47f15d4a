import type { Collection } from 'mongodb'
import type { TemplateKind } from '../../shared/template.js'

/**
 * Messages an expansion planned that the counters have not heard of: `to` of the run's so far, of which `from` are
 * counted. They are told by the run, thousands at a time, and not each by its own row (docs/ledger.md H).
 */
export type Birth = {
  run: string
  campaign: string
  template: string
  channel: TemplateKind
  from: number
  to: number
}

/** What a run keeps of the messages its expansion planned. */
export type Born = {
  /** How many of them may yet go; `told` of them are counted, by batch `toldBy`. */
  born?: number
  told?: number
  toldBy?: number
  /** More were planned than are counted. */
  telling?: true
  /** An expander has taken it up. */
  begun?: true
  /** Expansion was cut off or done by two at once: in the end `born` is compared with the rows that are there. */
  recount?: true
}
type Row = Born & { _id: string; accountId: string; campaignId: string; templateId: string; snapshot: unknown }

const AT_ONCE = 100

/** The runs as the outbox of what their expansions planned: first told to the batch log, then marked as told. */
export function createBirths(rows: Collection<Row>) {
  return {
    /** What the account's runs have to tell. */
    async of(accountId: string): Promise<Birth[]> {
      const found = await rows.find({ accountId, telling: true }).limit(AT_ONCE).toArray()
      return found.map(({ _id, campaignId, templateId, snapshot, born = 0, told = 0 }) => ({
        run: _id,
        campaign: campaignId,
        template: templateId,
        channel: (snapshot as { template: { kind: TemplateKind } }).template.kind,
        from: told,
        to: born
      }))
    },

    /** They are counted by batch `N`; a run that planned more meanwhile has more to tell. */
    async told(N: number, births: Birth[]): Promise<void> {
      if (births.length === 0) return
      await rows.bulkWrite(
        births.flatMap(({ run, to }) => [
          {
            updateOne: {
              filter: { _id: run, $or: [{ toldBy: { $exists: false } }, { toldBy: { $lt: N } }] },
              update: { $set: { told: to, toldBy: N } }
            }
          },
          { updateOne: { filter: { _id: run, born: to, told: to }, update: { $unset: { telling: '' as const } } } }
        ]),
        { ordered: true }
      )
    }
  }
}
