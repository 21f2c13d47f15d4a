import type { Clock } from '../platform/clock.js'
import { InvalidInput, type Fault } from '../platform/errors.js'
import { fieldUpdate, isFieldName } from './fields.js'
import type { createMerger } from './merge.js'
import { LIVE_PERSON, type Attribute, type PeopleModels, type PersonRow, type Tag } from './model.js'

/** Attributes and tags to set; null takes one away. */
export type FieldsPatch = { attributes?: Record<string, Attribute | null>; tags?: Record<string, Tag | null> }

/** What an import or a sync says of one person; the names are filled in where there are none yet. */
export type PersonNews = FieldsPatch & { externalId?: string | undefined; sealedUnionId?: string | undefined }

const FIELDS_AT_ONCE = 200
const TRIES = 50

/** Writing what is known of persons: to whoever an id leads to now, however often they are merged meanwhile. */
export function createFieldWriter({
  models,
  clock,
  merger
}: {
  models: PeopleModels
  clock: Clock
  merger: ReturnType<typeof createMerger>
}) {
  const { people } = models

  return {
    /** @returns the person as written; null when the id leads to nobody @throws InvalidInput */
    async write(id: string, patch: FieldsPatch, extra: Record<string, unknown> = {}): Promise<PersonRow | null> {
      checkNames(patch)
      for (let tries = 0; tries < TRIES; tries++) {
        const row = await merger.root(id)
        if (row === null) return null
        const now = clock.now()
        const { set, unset } = fieldUpdate(patch, now)
        const after = await people.findOneAndUpdate(
          { _id: row._id, ...LIVE_PERSON },
          {
            $set: { ...set, ...extra, updatedAt: now },
            ...(Object.keys(unset).length > 0 && { $unset: unset }),
            $inc: { rev: 1 }
          },
          { returnDocument: 'after' }
        )
        if (after !== null) return after
      }
      throw new Error('a person kept changing while being written')
    },

    /**
     * Writes to many, and only what differs from what is stored: the same again writes nothing. Names were checked.
     * Somebody listed twice is told in order. @returns who each id leads to now (nobody: left out), and who was changed
     */
    async writeAll(
      news: { id: string; news: PersonNews }[]
    ): Promise<{ rootOf: Map<string, string>; changed: Set<string> }> {
      const changed = new Set<string>()
      for (let tries = 0; tries < TRIES; tries++) {
        const rows = await merger.roots(news.map(({ id }) => id))
        const wanted = new Map<string, { row: PersonRow; news: PersonNews }>()
        for (const each of news) {
          const row = rows.get(each.id)
          if (row === undefined) continue
          const known = wanted.get(row._id)
          wanted.set(row._id, { row, news: known === undefined ? each.news : together(known.news, each.news) })
        }
        const now = clock.now()
        const ops = [...wanted.values()].flatMap(({ row, news }) => {
          const differing = differenceOf(row, news)
          if (differing === null) return []
          const { set, unset } = fieldUpdate(differing.patch, now)
          changed.add(row._id)
          return {
            updateOne: {
              filter: { _id: row._id, ...LIVE_PERSON },
              update: {
                $set: { ...set, ...differing.names, updatedAt: now },
                ...(Object.keys(unset).length > 0 && { $unset: unset }),
                $inc: { rev: 1 }
              }
            }
          }
        })
        const rootOf = new Map([...rows].map(([id, row]) => [id, row._id]))
        if (ops.length === 0) return { rootOf, changed }
        const { matchedCount } = await people.bulkWrite(ops, { ordered: false })
        // somebody was merged or erased in between: who was written differs no more, so all are looked at again
        if (matchedCount === ops.length) return { rootOf, changed }
      }
      throw new Error('persons kept changing while being written')
    }
  }
}
export type FieldWriter = ReturnType<typeof createFieldWriter>

const together = (earlier: PersonNews, later: PersonNews): PersonNews => ({
  ...earlier,
  ...later,
  attributes: { ...earlier.attributes, ...later.attributes },
  tags: { ...earlier.tags, ...later.tags }
})

/** What of the news is not stored yet; null when all of it is. */
function differenceOf(
  row: PersonRow,
  { attributes = {}, tags = {}, externalId, sealedUnionId }: PersonNews
): { patch: FieldsPatch; names: Partial<PersonRow> } | null {
  const names: Partial<PersonRow> = {
    ...(externalId !== undefined && row.externalId === null && { externalId }),
    ...(sealedUnionId !== undefined && row.sealedUnionId === null && { sealedUnionId })
  }
  const patch = { attributes: differing(row.attributes, attributes), tags: differing(row.tags, tags) }
  const news = [names, patch.attributes, patch.tags].some((each) => Object.keys(each).length > 0)
  return news ? { patch, names } : null
}

function differing<Value>(
  stored: Record<string, Value>,
  wanted: Record<string, Value | null>
): Record<string, Value | null> {
  const of = (name: string) => (Object.hasOwn(stored, name) ? stored[name]! : null)
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => of(name) !== value))
}

/** What keeps these names from being stored. */
export function nameFaults(patch: { attributes?: object | undefined; tags?: object | undefined }): Fault[] {
  const errors: Fault[] = []
  for (const kind of ['attributes', 'tags'] as const) {
    const names = Object.keys(patch[kind] ?? {})
    if (names.length > FIELDS_AT_ONCE) {
      errors.push({ pointer: `/${kind}`, code: 'people.too-many', message: `at most ${FIELDS_AT_ONCE} at once` })
    }
    for (const name of names) {
      if (isFieldName(name)) continue
      errors.push({
        pointer: `/${kind}/${name}`,
        code: 'people.field-name',
        message: 'a name holds no dot and starts with no $'
      })
    }
  }
  return errors
}

/** @throws InvalidInput naming each name no field can have */
export function checkNames(patch: Parameters<typeof nameFaults>[0]): void {
  const errors = nameFaults(patch)
  if (errors.length > 0) throw new InvalidInput('attributes or tags cannot be stored', { errors })
}
