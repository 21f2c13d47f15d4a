import t from 'tap'
import type { Collection } from 'mongodb'
import { createAnswers, type Answer } from '../../../server/messages/answers.js'
import type { MessageRow } from '../../../server/messages/model.js'
import { silentLog } from '../../../server/platform/log.js'

const LATER_MS = 1_000_000

/** A store that takes a command when it is told to. */
function slowStore() {
  const taken: number[] = []
  const open: (() => void)[] = []
  const bulkWrite = (ops: unknown[]) =>
    new Promise((resolve) => {
      taken.push(ops.length)
      open.push(() => resolve({ matchedCount: ops.length }))
    })
  return {
    rows: { bulkWrite } as unknown as Collection<MessageRow>,
    taken,
    async answer() {
      open.shift()!()
      for (let i = 0; i < 10; i++) await Promise.resolve()
    }
  }
}

const answer = (): Answer => ({
  item: { row: { recipientId: 'r' } } as Answer['item'],
  outcome: { filter: {}, update: {}, overrule: null } as unknown as Answer['outcome'],
  effects: [],
  msgid: null
})

function gathering(rows: Collection<MessageRow>) {
  let done = 0
  const answers = createAnswers({
    accountId: 'a',
    rows,
    pace: { monotonic: () => 0, sleep: async () => {} },
    log: silentLog(),
    done: () => void (done += 1),
    numbered: async () => {},
    effect: async () => {}
  })
  return { answers, done: () => done }
}

t.test('what comes while the store is busy waits for its own time and goes together', async (t) => {
  const { rows, taken, answer: answerStore } = slowStore()
  const { answers, done } = gathering(rows)
  answers.add(answer(), LATER_MS)
  const first = answers.flush()
  answers.add(answer(), LATER_MS)
  answers.add(answer(), LATER_MS)
  await answerStore()
  await first
  t.same(taken, [1], 'a slow store is not asked again at once')
  t.equal(answers.size(), 2)
  t.equal(done(), 1)
  const second = answers.flush()
  await answerStore()
  await second
  t.same(taken, [1, 2])
  t.equal(done(), 3)
  await answers.stop()
})

t.test('asked again and again while the store is busy, it stores what is left once', async (t) => {
  const { rows, taken, answer: answerStore } = slowStore()
  const { answers } = gathering(rows)
  answers.add(answer(), LATER_MS)
  void answers.flush()
  answers.add(answer(), LATER_MS)
  const rest = [answers.flush(), answers.flush(), answers.stop()]
  t.same(taken, [1], 'one command at a time')
  await answerStore()
  await answerStore()
  await Promise.all(rest)
  t.same(taken, [1, 1])
  t.equal(answers.size(), 0)
})
