import { SAME_ID_MS } from '../../server/messages/gates.js'

import { DECISIONS } from './product.js'
import { markSending } from '../../server/messages/marking.js'
import type { Bending } from './explorer.js'
import type { Command, Doc, Write } from './documents.js'

/** A rule of the protocol that can be broken, and the worlds that must notice. */
export type Rule = { name: string; says: string; worlds: string[]; bent: Bending }

const { askedOf, requestOf, settle } = DECISIONS

type Updating = Extract<Write, { filter: Doc }>

/** Bends those writes of these programs that `is` picks. */
function writing(
  collection: string,
  programs: string[] | null,
  bend: (write: Updating) => Updating | undefined
): Bending['command'] {
  return (command, program) => {
    if (command.collection !== collection || (programs !== null && !programs.includes(program))) return undefined
    const each = (write: Write): Write => ('insert' in write ? write : (bend(write) ?? write))
    const bent: Command = { ...command }
    if (command.write !== undefined) bent.write = each(command.write)
    if (command.writes !== undefined) bent.writes = command.writes.map(each)
    return bent
  }
}

const setOf = (write: Updating): Doc => (Array.isArray(write.update) ? {} : (write.update.$set ?? {}))
const incOf = (write: Updating): Doc => (Array.isArray(write.update) ? {} : (write.update.$inc ?? {}))

/** Without these conditions. */
function loosened(write: Updating, ...names: string[]): Updating {
  const filter = { ...write.filter }
  for (const name of names) delete filter[name]
  return { ...write, filter }
}

/** M11: what an answer other than 0 makes of a row. */
const isAnswer = (write: Updating) => 'hold.h' in write.filter && 'lease' in write.filter
/** M8. */
const isMark = (write: Updating) => setOf(write).state === 'sending' && setOf(write).sentAt !== undefined
/** M2a, M2b. */
const isLease = (write: Updating) => incOf(write).n === 1 && setOf(write).lease !== undefined

export const RULES: Rule[] = [
  {
    name: 'fencing',
    says: 'M11: an answer other than 0 needs the lease it was asked under',
    worlds: ['form, stalls'],
    bent: {
      command: writing('messages', ['turn'], (write) => (isAnswer(write) ? loosened(write, 'lease') : undefined))
    }
  },
  {
    name: 'lease of the mark',
    says: 'M8: only the owner of the lease marks a row',
    worlds: ['form, stalls'],
    bent: {
      command: writing('messages', ['turn'], (write) => (isMark(write) ? loosened(write, 'lease', 'state') : undefined))
    }
  },
  {
    name: 'mark before the request',
    says: 'M8 is stored before the request leaves',
    worlds: ['form, deaths', 'one form, two messages'],
    bent: {
      decisions: {
        async beforeRequest(_rows, _accountId, items) {
          for (const item of items) item.marked = true
          return []
        },
        async afterRequest(rows, accountId, item, now) {
          await markSending(rows, accountId, [Object.assign(item, { marked: false })], now)
        }
      }
    }
  },
  {
    name: 'fire check',
    says: 'no request starts that could outlive its lease',
    worlds: ['service, stalls'],
    bent: { decisions: { mayFire: () => true } }
  },
  {
    name: 'doubt',
    says: 'M2b: who takes up a row that says sending knows that a request may be out',
    worlds: ['form, deaths', 'form, stalls'],
    bent: {
      command: writing('messages', ['turn'], (write) =>
        isLease(write) && write.filter.state === 'sending'
          ? {
              ...write,
              update: { ...(write.update as Doc), $set: { ...setOf(write), 'hold.doubt': false, state: 'planned' } }
            }
          : undefined
      )
    }
  },
  {
    name: 'the same form again',
    says: 'a message in doubt is asked for again with the form it had',
    worlds: ['form, deaths'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'credentials' && program === 'turn' && doc.holds.length > 0
          ? { ...doc, sealed: doc.sealed === 'form1' ? 'form2' : 'form1' }
          : undefined
    }
  },
  {
    name: '41029 in doubt',
    says: 'a form that is used up after doubt was used by the message itself',
    worlds: ['form, deaths'],
    bent: {
      decisions: {
        askedOf: (item, _exclusive, burst) => ({ ...askedOf(item, false, burst), doubt: false })
      }
    }
  },
  {
    name: '41029 where others spend',
    says: 'a form used up by somebody else is not taken for a success',
    worlds: ['form, others'],
    bent: { decisions: { askedOf: (item, _exclusive, burst) => askedOf(item, true, burst) } }
  },
  {
    name: '41029 after -1',
    says: 'nor is one that a -1 used up',
    worlds: ['form, -1'],
    bent: {
      decisions: { askedOf: (item, exclusive, burst) => ({ ...askedOf(item, exclusive, burst), minus1: false }) }
    }
  },
  {
    name: 'no answer is doubt',
    says: 'a right is given back only when it is surely unspent: a reset is no refusal',
    worlds: ['form, deaths'],
    bent: {
      decisions: {
        settle: (asked, result, chance) =>
          result.kind === 'noAnswer' ? { to: 'next', release: 'refund', effects: [] } : settle(asked, result, chance)
      }
    }
  },
  {
    name: 'once for payments',
    says: 'a prepay_id whose request may be out is not asked with again',
    worlds: ['payment'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'messages' && program === 'turn' && doc.state === 'sending'
          ? { ...doc, hold: { ...doc.hold, source: 'form' } }
          : undefined
    }
  },
  {
    name: 'once for grants',
    says: 'a grant whose request may be out counts as spent, and the message as unknown',
    worlds: ['grant'],
    bent: {
      decisions: {
        settle: (asked, result, chance) =>
          result.kind === 'noAnswer' ? { to: 'failed', effects: [] } : settle(asked, result, chance)
      }
    }
  },
  {
    name: 'the same client_msg_id',
    says: 'every attempt of a round says the same client_msg_id',
    worlds: ['service, stalls'],
    bent: {
      decisions: {
        requestOf: (item) => ({ ...requestOf(item), clientMsgId: `${item.row._id}-${item.row.n}.${item.row.round}` })
      }
    }
  },
  {
    name: 'eight minutes',
    says: 'a service message in doubt is asked for again only while WeChat surely knows its client_msg_id',
    worlds: ['service, stalls'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'messages' && program === 'turn' && doc.firstSentAt !== undefined
          ? { ...doc, firstSentAt: new Date(doc.firstSentAt.getTime() + 10 * SAME_ID_MS) }
          : undefined
    }
  },
  {
    name: 'names of holds',
    says: 'a hold is named by its message and its lease, not by the message alone',
    worlds: ['form, stalls', 'sweep'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'messages' && program === 'turn' ? { ...doc, n: 0 } : undefined
    }
  },
  {
    name: 'a right has so many sends',
    says: 'C3: only a right that has sends left is held',
    worlds: ['one form, two messages', 'cap'],
    bent: {
      command: writing('credentials', ['turn'], (write) =>
        'sendsLeft' in write.filter ? loosened(write, 'sendsLeft', 'holds') : undefined
      )
    }
  },
  {
    name: 'refund by name',
    says: 'C5: what is not held any more is not given back again',
    worlds: ['followers'],
    bent: {
      command: writing('credentials', null, (write) =>
        incOf(write).sendsLeft === 1 ? loosened(write, 'holds') : undefined
      )
    }
  },
  {
    name: 'garbage is unnamed',
    says: 'C10: the sweep leaves alone what a row names',
    worlds: ['sweep'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'messages' && program === 'sweep' ? { ...doc, hold: null } : undefined
    }
  },
  {
    name: 'garbage is nobody’s lease',
    says: 'C10: the sweep leaves alone what a running lease may still name',
    worlds: ['sweep'],
    bent: {
      read: (doc, collection, program) =>
        collection === 'messages' && program === 'sweep' ? { ...doc, lease: null } : undefined
    }
  },
  {
    name: 'what is being sent stays',
    says: 'M15: what says sending cannot be cancelled',
    worlds: ['cancel, deadline'],
    bent: { command: writing('messages', ['cancel'], (write) => loosened(write, 'state')) }
  },
  {
    name: 'only unknown is resolved',
    says: 'M13: an operator decides about unknown messages only',
    worlds: ['grant'],
    bent: { command: writing('messages', ['resolve'], (write) => loosened(write, 'state')) }
  },
  {
    name: 'unknown is not retried',
    says: 'M16: what may be out never goes once more',
    worlds: ['grant'],
    bent: {
      command: writing('messages', ['retry'], (write) => ({
        ...write,
        filter: { runId: 'run', state: { $in: ['failed', 'skipped', 'expired', 'unknown'] } }
      }))
    }
  },
  {
    name: 'a receipt knows its message',
    says: 'M12: a receipt moves the message that WeChat gave its number to',
    worlds: ['service, receipts'],
    bent: {
      command: ({ filter, ...command }, program) =>
        command.collection === 'messages' && ['receipt', 'look', 'turn'].includes(program) && filter?.msgid != null
          ? { ...command, filter: { accountId: filter.accountId } }
          : writing('messages', ['receipt', 'look', 'turn'], (write) =>
              'msgid' in write.filter ? loosened(write, 'msgid') : undefined
            )!({ filter, ...command } as Command, program)
    }
  },
  {
    name: 'closed by its state',
    says: 'M14: only unknown messages are closed after three days',
    worlds: ['sweep'],
    bent: {
      command: writing('messages', ['sweep'], (write) => ({ ...loosened(write, 'state', 'due'), many: true }))
    }
  },
  {
    name: 'counted once',
    says: 'F4: a counter takes each batch once',
    worlds: ['followers'],
    bent: { command: writing('counters', null, (write) => loosened(write, 'b')) }
  },
  {
    name: 'one batch at a time',
    says: 'F2: a batch is written down only where none is',
    worlds: ['followers'],
    bent: {
      command: writing('tallies', null, (write) =>
        'N' in write.filter && write.filter.batch === null ? loosened(write, 'N', 'batch') : undefined
      )
    }
  },
  {
    name: 'settled as it was read',
    says: 'F5: a row that moved meanwhile stays to be followed',
    worlds: ['followers'],
    bent: { command: writing('messages', ['follow'], (write) => loosened(write, 'seq')) }
  },
  {
    name: 'a form is a form once',
    says: 'C1: the same form handed in twice is one right',
    worlds: ['cancel, deadline'],
    bent: {
      command: (command, program) =>
        command.collection === 'credentials' && program === 'keep' && command.documents !== undefined
          ? {
              ...command,
              documents: command.documents.map((doc) => ({
                ...doc,
                _id: `${doc._id}${doc.createdAt.getTime()}`,
                hash: `${doc.createdAt.getTime()}${doc.hash}`
              }))
            }
          : undefined
    }
  },
  {
    name: 'planned once',
    says: 'M1: planning again plans the same rows',
    worlds: ['cancel, deadline'],
    bent: {
      command: (command, program) =>
        command.collection === 'messages' && program === 'plan'
          ? {
              ...command,
              op: 'bulkWrite',
              writes: command.documents!.map(({ _id, ...doc }) => ({
                collection: 'messages',
                many: false,
                filter: { _id },
                update: { $set: doc },
                upsert: true
              }))
            }
          : undefined
    }
  },
  {
    name: 'places are few',
    says: 'F: a place is taken only where the day has one left',
    worlds: ['cap'],
    bent: {
      command: writing('dayCaps', null, (write) =>
        loosened(write, ...Object.keys(write.filter).filter((name) => /^d\.\d/.test(name)))
      )
    }
  }
]
