import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { AudiencePreview } from '../../shared/audience.js'
import type { Account } from '../accounts/accounts.js'
import { LIVE_PERSON, type PersonRow } from '../people/model.js'
import type { AudienceSource } from './model.js'
import { batchOf, MEMBER, type Batch, type Member, type MemberRow } from './members.js'
import { compileRule, type PeopleFilter } from './rule.js'

type Preview = z.infer<typeof AudiencePreview>

/** Up to so many persons are looked at one by one; of more a sample of about this size speaks for all. */
const LOOKED_AT = 10_000
/** Persons asked about at a time, and how many such questions are under way together. */
const BATCH = 1_000
const AT_ONCE = 2
const SAMPLES = 10
/** 95 of 100 samples lie within so many standard deviations. */
const CONFIDENCE = 1.96

/**
 * How large an audience is and how much of it can be reached. How many meet the part of a rule that persons answer by
 * themselves (attributes, tags) is counted off the indexes, whatever the number. What has to be asked person by person
 * (events, rights) is asked of all when they are few, of a random sample of them when they are many: ids are hashes, so
 * everybody between two ids is a fair one.
 */
export function createPreview({
  persons,
  random,
  narrowed,
  reachOf,
  listed
}: {
  persons: Collection<PersonRow>
  /** Between 0 and 1. */
  random: () => number
  narrowed: (source: AudienceSource, account: Account, batch: Batch) => Promise<Member[]>
  reachOf: (account: Account, persons: Member[], templateId: string | null) => Promise<Set<string>>
  /** The members of a fixed list, part by part. */
  listed: (source: AudienceSource, account: Account) => AsyncIterable<Member[]>
}) {
  return async function preview(
    account: Account,
    source: AudienceSource,
    { templateId = null, knownTo = null }: { templateId?: string | null | undefined; knownTo?: string[] | null } = {}
  ): Promise<Preview> {
    const samples: Preview['samples'] = []
    const seen = { asked: 0, members: 0, reachable: 0 }
    const look = async (asked: number, members: Member[]) => {
      const reachable = await reachOf(account, members, templateId)
      seen.asked += asked
      seen.members += members.length
      seen.reachable += reachable.size
      const shown = members.filter(
        ({ accountIds }) => knownTo === null || accountIds.some((id) => knownTo.includes(id))
      )
      for (const { id, attributes } of shown.slice(0, SAMPLES - samples.length))
        samples.push({ personId: id, attributes })
    }
    if ('personIds' in source) {
      for await (const members of listed(source, account)) await look(members.length, members)
      return { count: seen.members, countMargin: 0, reachable: seen.reachable, reachableMargin: 0, samples }
    }
    const { filter, rest } = compileRule(source.rule)
    const total = await persons.countDocuments(counted(filter))
    const part = total <= LOOKED_AT ? null : stretch(LOOKED_AT / total, random())
    let under: Promise<void>[] = []
    for await (const batch of batches(filter, part)) {
      under.push(narrowed(source, account, batch).then((members) => look(batch.size, members)))
      if (under.length < AT_ONCE) continue
      await Promise.all(under)
      under = []
    }
    await Promise.all(under)
    if (part === null) {
      return { count: seen.members, countMargin: 0, reachable: seen.reachable, reachableMargin: 0, samples }
    }
    const members = rest === null ? { n: total, margin: 0 } : estimated(seen.members, seen.asked, total)
    const reachable = estimated(seen.reachable, seen.asked, total)
    return {
      count: members.n,
      countMargin: members.margin,
      reachable: reachable.n,
      reachableMargin: reachable.margin,
      samples
    }
  }

  /** Who meets the filter, batch by batch and in whatever order is quickest, of everybody or between two ids. */
  async function* batches(filter: PeopleFilter, part: { from: string; until: string }[] | null): AsyncGenerator<Batch> {
    for (const between of part ?? [null]) {
      const ids = between === null ? {} : { _id: { $gte: between.from, $lt: between.until } }
      let rows: MemberRow[] = []
      const found = persons.find<MemberRow>({ ...ids, ...counted(filter) }, { projection: MEMBER })
      for await (const row of found.batchSize(BATCH)) {
        rows.push(row)
        if (rows.length < BATCH) continue
        yield batchOf(rows)
        rows = []
      }
      if (rows.length > 0) yield batchOf(rows)
    }
  }
}

/** Without a condition there is still an index that holds everybody. */
const counted = (filter: PeopleFilter): PeopleFilter => ({
  ...LIVE_PERSON,
  ...(Object.keys(filter).length === 0 ? { createdAt: { $gte: new Date(0) } } : { $and: [filter] })
})

/** How many of `total` it is by what `found` of `asked` says, and within how many of the true number 95 of 100 times. */
function estimated(found: number, asked: number, total: number): { n: number; margin: number } {
  if (asked === 0) return { n: 0, margin: total }
  const share = found / asked
  // One more on either side: nobody found in a sample is not nobody at all.
  const cautious = (found + 1) / (asked + 2)
  const margin = CONFIDENCE * Math.sqrt((cautious * (1 - cautious)) / asked) * total
  return { n: Math.round(share * total), margin: Math.ceil(margin) }
}

// The characters of base64url in the order of their codes, which is the order ids lie in.
const DIGITS = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'
const PLACES = 6
const ALL = 64 ** PLACES

/** A `share` of all ids from the place `at` (both between 0 and 1) on; beyond the last id it goes on with the first. */
export function stretch(share: number, at: number): { from: string; until: string }[] {
  const from = Math.floor(at * ALL)
  const until = from + Math.max(1, Math.round(share * ALL))
  if (until <= ALL) return [{ from: placeOf(from), until: placeOf(until) }]
  return [
    { from: placeOf(from), until: placeOf(ALL) },
    { from: placeOf(0), until: placeOf(until - ALL) }
  ]
}

function placeOf(n: number): string {
  if (n >= ALL) return '~' // behind every character of an id
  let text = ''
  for (let left = n, i = 0; i < PLACES; i++) {
    text = DIGITS[left % 64]! + text
    left = Math.floor(left / 64)
  }
  return text
}
