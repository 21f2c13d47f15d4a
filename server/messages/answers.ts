import type { Collection } from 'mongodb'
import type { Log } from '../platform/log.js'
import type { MessageRow } from './model.js'
import type { Outcome } from './outcome.js'
import type { Pace } from './pace.js'
import type { Ready } from './ready.js'
import type { Effect } from './settle.js'

/** An answer that came: what it makes of the row, and what it does besides. */
export type Answer = { item: Ready; outcome: Outcome; effects: Effect[]; msgid: string | null }

/** A message that has got WeChat's number for it. */
export type Numbered = { recipientId: string; msgid: string }

export type AnswersParts = {
  accountId: string
  rows: Collection<MessageRow>
  pace: Pace
  log: Log
  /** Stored: the recipient may get the next message. */
  done: (item: Ready) => void
  /** Stored: a receipt that came before the answer finds its message now. */
  numbered: (messages: Numbered[]) => Promise<void>
  /** What an answer does besides moving its row; called once it is stored. */
  effect: (item: Ready, effect: Effect) => Promise<void>
}

const BATCH = 1000
const AGAIN_MS = 500

/** M10 and M11 as one command; what an operator had called failed meanwhile takes another. Asking again changes nothing. */
export async function storeOutcomes(
  rows: Collection<MessageRow>,
  accountId: string,
  batch: { outcome: Outcome }[]
): Promise<void> {
  const answer = await rows.bulkWrite(
    batch.map(({ outcome }) => ({ updateOne: { filter: { accountId, ...outcome.filter }, update: outcome.update } })),
    { ordered: false }
  )
  if (answer.matchedCount === batch.length) return
  // evidence beats opinion: an operator had called it failed
  const facts = batch.filter(({ outcome }) => outcome.overrule !== null)
  if (facts.length === 0) return
  await rows.bulkWrite(
    facts.map(({ outcome }) => ({
      updateOne: { filter: { accountId, ...outcome.overrule! }, update: outcome.update }
    })),
    { ordered: false }
  )
}

/** Answers of one account on their way into the store (M10, M11): kept here until it has taken them. */
export function createAnswers({ accountId, rows, pace, log, done, numbered, effect }: AnswersParts) {
  const waiting: Answer[] = []
  let flushing: Promise<void> | null = null
  let next: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null

  /** Stores what is there. What comes meanwhile has a time of its own: a slow store is not asked for every single one. */
  async function storeAll(): Promise<void> {
    for (let left = waiting.length; left > 0;) {
      const batch = waiting.slice(0, Math.min(left, BATCH))
      try {
        await storeOutcomes(rows, accountId, batch)
      } catch (error) {
        log.warn({ err: error, accountId, answers: waiting.length }, 'the store did not take the answers; trying again')
        await pace.sleep(AGAIN_MS)
        continue
      }
      waiting.splice(0, batch.length)
      left -= batch.length
      for (const { item } of batch) done(item)
      const fresh = batch.flatMap(({ item, msgid }) =>
        msgid === null || item.row.recipientId === null ? [] : [{ recipientId: item.row.recipientId, msgid }]
      )
      if (fresh.length > 0) {
        await numbered(fresh).catch((error: unknown) =>
          log.warn({ err: error, accountId }, 'receipts were not told; they look again by themselves')
        )
      }
      for (const { item, effects } of batch) {
        for (const each of effects) {
          await effect(item, each).catch((error: unknown) =>
            log.error({ err: error, accountId }, 'a consequence failed')
          )
        }
      }
    }
  }

  /** Stores what came until now, again and again until the store takes it. */
  function flush(): Promise<void> {
    if (flushing === null) return (flushing = storeAll().finally(() => (flushing = null)))
    next ??= flushing.then(() => {
      next = null
      return flush()
    })
    return next
  }

  return {
    /** How many are not stored yet. */
    size: () => waiting.length,
    flush,

    /** Takes an answer in; it is stored within `withinMs`, together with those that come meanwhile. */
    add(answer: Answer, withinMs: number): void {
      waiting.push(answer)
      timer ??= setTimeout(() => {
        timer = null
        void flush()
      }, withinMs)
    },

    /** Stores what is left; nothing is timed any more. */
    async stop(): Promise<void> {
      if (timer !== null) clearTimeout(timer)
      await flush()
    }
  }
}
