import type { Ready } from './ready.js'
import { FAR, UNKNOWN_MS, type AttemptLine } from './model.js'
import { FALLBACK_CODES, type Verdict } from './settle.js'

/** One conditional update of a row; `overrule`: a second filter to try when an operator's opinion stood in the way. */
export type Outcome = {
  filter: Record<string, unknown>
  update: Record<string, unknown>
  overrule: Record<string, unknown> | null
}

/** M10 and M11: the update a verdict asks for. Verdict first: holds are let go by the follower, never here. Pure. */
export function outcomeOf(
  item: Ready,
  verdict: Verdict,
  facts: { now: Date; line: AttemptLine; msgid: string | null; reset: Date }
): Outcome {
  const { row } = item
  const { now, line } = facts
  const log = { $push: { log: { $each: [line], $slice: -10 } } }
  const named = { _id: row._id, 'hold.h': item.hold.h }
  const mine = { ...named, state: 'sending', lease: item.lease }
  const code = line.code === 0 ? null : line.code
  const later = (ms: number) => new Date(now.getTime() + ms)

  switch (verdict.to) {
    case 'accepted':
      return {
        // a fact needs no lease; an inference does: its owner alone knows all that was asked
        filter: verdict.by === 'answer' ? { ...named, state: { $in: ['sending', 'unknown'] } } : mine,
        overrule: verdict.by === 'answer' ? { _id: row._id, state: 'failed', by: 'operator' } : null,
        update: {
          $set: {
            state: 'accepted',
            by: verdict.by,
            msgid: facts.msgid,
            code: null,
            reason: null,
            lease: null,
            due: FAR,
            todo: true,
            settledAt: now
          },
          $inc: { seq: 1 },
          ...log
        }
      }
    case 'again':
      return {
        filter: mine,
        overrule: null,
        update: {
          $set: {
            state: item.doubt ? 'sending' : 'held',
            lease: null,
            due: later(verdict.afterMs),
            code,
            ...(verdict.minus1 === true ? { 'hold.minus1': true } : {}),
            ...(verdict.tell === true ? { todo: true } : {})
          },
          ...(verdict.tell === true ? { $inc: { seq: 1 } } : {}),
          ...(verdict.unfirst ? { $unset: { firstSentAt: '' } } : {}),
          ...log
        }
      }
    case 'reset':
      return item.doubt
        ? { filter: mine, overrule: null, update: { $set: { lease: null, due: facts.reset, code }, ...log } }
        : {
            filter: mine,
            overrule: null,
            update: {
              $set: {
                state: 'planned',
                lease: null,
                due: new Date(Math.min(facts.reset.getTime(), row.notAfter.getTime())),
                waitingFor: 'quota',
                code,
                todo: true
              },
              $inc: { seq: 1 },
              $unset: { firstSentAt: '' },
              ...log
            }
          }
    case 'doubt':
      return {
        filter: mine,
        overrule: null,
        update: { $set: { 'hold.doubt': true, lease: null, due: later(verdict.afterMs) }, ...log }
      }
    case 'unknown':
      return {
        filter: mine,
        overrule: null,
        update: {
          $set: {
            state: 'unknown',
            reason: code === null ? 'noAnswer' : `errcode ${code}`,
            code,
            lease: null,
            due: later(UNKNOWN_MS),
            todo: true,
            settledAt: now,
            ...(verdict.release === undefined ? {} : { 'hold.do': verdict.release })
          },
          $inc: { seq: 1 },
          ...log
        }
      }
    case 'next': {
      const falls = code !== null && FALLBACK_CODES.includes(code) && row.fallback.length > 0
      const release = {
        'hold.do': verdict.release,
        'hold.asOf': row.sentAt ?? now,
        'hold.why': code === null ? null : String(code)
      }
      if (falls) {
        return {
          filter: mine,
          overrule: null,
          update: {
            $set: {
              state: 'failed',
              by: 'answer',
              reason: 'refused',
              code,
              lease: null,
              due: FAR,
              todo: true,
              fell: true,
              settledAt: now,
              ...release
            },
            $inc: { seq: 1 },
            ...log
          }
        }
      }
      return {
        filter: mine,
        overrule: null,
        update: {
          $set: { state: 'planned', lease: null, due: now, code, todo: true, ...release },
          $inc: { seq: 1 },
          $unset: { firstSentAt: '' },
          ...log
        }
      }
    }
    case 'failed': {
      const falls = code !== null && FALLBACK_CODES.includes(code) && row.fallback.length > 0
      return {
        filter: mine,
        overrule: null,
        update: {
          $set: {
            state: 'failed',
            by: 'answer',
            reason: code === null ? line.kind : null,
            code,
            lease: null,
            due: FAR,
            todo: true,
            settledAt: now,
            ...(falls ? { fell: true } : {})
          },
          $inc: { seq: 1 },
          ...log
        }
      }
    }
  }
}
