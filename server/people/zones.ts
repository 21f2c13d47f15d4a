import type { createMerger } from './merge.js'
import type { PeopleModels } from './model.js'

/** What people say of the zone they live in: their attribute `zone`. */
export function createZones({ models, merger }: { models: PeopleModels; merger: ReturnType<typeof createMerger> }) {
  return {
    /** The attribute as it stands, unchecked, of those of these persons (former ids too) who have one. */
    async zonesOf(personIds: string[]): Promise<Map<string, unknown>> {
      const out = new Map<string, unknown>()
      if (personIds.length === 0) return out
      const found = await models.people
        .find(
          {
            _id: { $in: [...new Set(personIds)] },
            erasedAt: null,
            $or: [{ 'attributes.zone': { $type: 'string' } }, { mergedInto: { $ne: null } }]
          },
          { projection: { 'attributes.zone': 1, mergedInto: 1 } }
        )
        .toArray()
      const merged: string[] = []
      for (const row of found) {
        if (row.mergedInto === null) out.set(row._id, row.attributes.zone)
        else merged.push(row._id)
      }
      if (merged.length === 0) return out
      for (const [asked, row] of await merger.roots(merged))
        if (row.attributes.zone !== undefined) out.set(asked, row.attributes.zone)
      return out
    }
  }
}
