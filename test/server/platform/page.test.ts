import t from 'tap'
import { listPage, type Listable, type Page } from '../../../server/platform/page.js'
import { putCampaigns, putMessages } from '../../../bench/console-data.js'
import { buildTestApp } from '../../support/build-app.js'

const ROWS = 2_000
const LIMIT = 20
/** Of two thousand rows, so many may be looked at to show a page of twenty. */
const FEW = 100

type Asked = { filter: any; sort: any; limit: number }

/** The collection, and what was asked of it last. */
function listened(collection: any): { list: Listable; asked: () => Asked } {
  let asked: Asked
  const list: Listable = {
    find: (filter, options) => ({
      sort: (sort) => ({
        limit: (limit) => {
          asked = { filter, sort, limit }
          return collection.find(filter, options).sort(sort).limit(limit)
        }
      })
    }),
    countDocuments: (filter, options) => collection.countDocuments(filter, options)
  }
  return { list, asked: () => asked }
}

t.test('a page of a long list costs no more than its rows, the first as one far down', async (t) => {
  const { db, rooms } = await buildTestApp(t)
  const now = new Date('2026-03-02T00:00:00Z')
  const store = db.getClient().db(db.name) as any
  const ids = await putCampaigns(store, 'big', ROWS, now)
  await putMessages(store, ROWS, now, (i) => ({
    accountId: i % 100 === 7 ? 'small' : 'big',
    campaignId: ids[i % 3]!,
    runId: `run-${i % 3}`
  }))
  const [messages, campaigns] = [rooms.messages.rows, db.collection('campaigns')]
  const lists: [string, any, Record<string, unknown>, string][] = [
    ['all messages', messages, {}, '-createdAt'],
    ['those of an account', messages, { accountId: 'big' }, '-createdAt'],
    ['those of one that has few', messages, { accountId: 'small' }, '-createdAt'],
    ['those of a campaign', messages, { campaignId: ids[1]! }, '-createdAt'],
    ['those of a run', messages, { runId: 'run-1' }, '-createdAt'],
    ['those of a person', messages, { personId: 'p7' }, '-createdAt'],
    ['what failed', messages, { state: { $in: ['failed'] } }, '-createdAt'],
    ['what nobody knows of', messages, { accountId: 'big', state: { $in: ['unknown'] } }, '-createdAt'],
    ['the oldest first', messages, { accountId: 'big' }, 'createdAt'],
    ['all campaigns', campaigns, {}, '-createdAt'],
    ['those of an account', campaigns, { accountId: 'big' }, '-createdAt']
  ]
  for (const [name, collection, filter, sort] of lists) {
    const { list, asked } = listened(collection)
    let cursor: string | null = null
    let seen = 0
    for (let page = 1; page <= 3 && (page === 1 || cursor !== null); page++) {
      const query: { limit: number; sort: string; cursor?: string } = {
        limit: LIMIT,
        sort,
        ...(cursor !== null && { cursor })
      }
      const found: Page<string> = await listPage<any, string>(list, { filter, query, sortable: ['createdAt'], defaultSort: sort }, (row) => row._id) // prettier-ignore
      const { filter: from, sort: by, limit } = asked()
      const told = await collection.find(from).sort(by).limit(limit).explain('executionStats')
      const { totalDocsExamined, totalKeysExamined } = told.executionStats
      t.ok(Math.max(totalDocsExamined, totalKeysExamined) <= FEW, `${name}, page ${page}: ${totalDocsExamined} rows, ${totalKeysExamined} entries`) // prettier-ignore
      seen += found.data.length
      cursor = found.page.nextCursor
    }
    t.equal(seen > 0, !name.startsWith('what nobody'), name)
  }
})
