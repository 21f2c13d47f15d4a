import type { Page } from 'playwright-core'
import { SERVICE } from '../demo/accounts.js'
import type { Client } from '../demo/client.js'
import { addAccount } from './account.js'
import { putCampaigns, putMessages } from './console-data.js'
import type { ConsoleStage } from './console-stage.js'
import { judged, median, type Figure } from './figure.js'

const SECTION = 'console'
const CAMPAIGNS = 10_000
const LOADS = 5
const PAGES = 5
const DEEP = 100
/** The campaign and the account that hardly anything is of. */
const SELDOM = 2_000

/** Show 4: how soon the rows are painted, and the next ones; by whatever they are looked for. */
export async function tables(stage: ConsoleStage, messages: number, say: (line: string) => void): Promise<Figure[]> {
  const { db, api, url, accountId, visit } = stage
  const small = await addAccount(api, SERVICE)
  const now = new Date()
  const ids = await putCampaigns(db, accountId, CAMPAIGNS, now)
  const [rare, ...rest] = ids as [string, ...string[]]
  const run = (campaignId: string) => `${campaignId}-run`
  const began = performance.now()
  await putMessages(db, messages, now, (i) => {
    const campaignId = i % SELDOM === 0 ? rare : rest[i % 50]!
    return { accountId: i % SELDOM === 1 ? small : accountId, campaignId, runId: run(campaignId) }
  })
  say(`loaded in ${Math.round((performance.now() - began) / 1000)} s`)
  const { page, close } = await visit()
  const painted = async (at: string) => {
    const times: number[] = []
    for (let load = 0; load < LOADS; load++) times.push(await rowsPainted(page, url + at))
    return times
  }
  const [campaignTable, messageTable] = [await painted('/campaigns'), await painted('/messages')]
  const paging = [await pagesPainted(page, `${url}/campaigns`), await pagesPainted(page, `${url}/messages`)]
  await close()

  const seconds = (ms: number) => ms / 1000
  const listed = (times: number[]) => `${times.map((ms) => Math.round(ms)).join(', ')} ms`
  const found = await lookedFor(api, { big: accountId, small, rare, run: run(rest[0]!) }, say)
  return [
    judged(SECTION, 'campaigns-painted', seconds(median(campaignTable)), { atMost: 1 }, `s to the rows of ${CAMPAIGNS}: ${listed(campaignTable)}`), // prettier-ignore
    judged(SECTION, 'messages-painted', seconds(median(messageTable)), { atMost: 1 }, `s to the rows of ${messages}: ${listed(messageTable)}`), // prettier-ignore
    judged(SECTION, 'next-page-painted', seconds(Math.max(...paging.flat())), { atMost: 1 }, `s, the worst of ${PAGES} pages each: ${paging.map(listed).join('; ')}`), // prettier-ignore
    judged(SECTION, 'deep-page', found.deep, { atMost: 2 }, `page ${DEEP} of messages (100 rows each) ÷ the first, in time`), // prettier-ignore
    judged(SECTION, 'messages-found', seconds(found.worst.ms), { atMost: 1 }, `s, the worst by what has an index: ${found.worst.by}`), // prettier-ignore
    judged(SECTION, 'messages-walked', seconds(found.walked.ms), { atMost: 5 }, `s, the worst by what is looked for row by row: ${found.walked.by}`) // prettier-ignore
  ]
}

/** From the start of the page to the frame that shows its rows, in ms. */
async function rowsPainted(page: Page, at: string): Promise<number> {
  await page.goto(at)
  return (await page.evaluate(`new Promise((resolve) => {
    const there = () => document.querySelector('tbody tr') !== null
    const told = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
    if (there()) return told()
    const watch = new MutationObserver(() => {
      if (!there()) return
      watch.disconnect()
      told()
    })
    watch.observe(document.body, { childList: true, subtree: true })
  })`)) as number
}

/** From the press of the button to the frame that shows more rows, in ms, page after page. */
async function pagesPainted(page: Page, at: string): Promise<number[]> {
  await rowsPainted(page, at)
  const times: number[] = []
  for (let turn = 0; turn < PAGES; turn++) {
    times.push(
      (await page.evaluate(`new Promise((resolve) => {
        const count = () => document.querySelectorAll('tbody tr').length
        const before = count()
        const began = performance.now()
        new MutationObserver((_, watch) => {
          if (count() === before) return
          watch.disconnect()
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)))
        }).observe(document.body, { childList: true, subtree: true })
        document.querySelector('.data-list .foot button').click()
      })`)) as number
    )
  }
  return times
}

/** By whatever messages are looked for in the console, and far down the list. */
async function lookedFor(
  api: Client,
  { big, small, rare, run }: { big: string; small: string; rare: string; run: string },
  say: (line: string) => void
) {
  const timed = async (path: string) => {
    const began = performance.now()
    const answer = await api.get<{ data: unknown[]; page: { nextCursor: string | null } }>(path)
    return { ms: performance.now() - began, ...answer }
  }
  const slowest = async (queries: string[]) => {
    const worst = { ms: 0, by: '' }
    for (const query of queries) {
      const times: number[] = []
      for (let turn = 0; turn < 3; turn++) times.push((await timed(`/v1/messages?${query}`)).ms)
      const ms = median(times)
      say(`${query}: ${ms.toFixed(0)} ms`)
      if (ms > worst.ms) Object.assign(worst, { ms, by: query.replace(/=[0-9a-f]{24}/, '=…') })
    }
    return worst
  }
  const worst = await slowest([
    `accountId=${big}`,
    `accountId=${small}`,
    `campaignId=${rare}`,
    `campaignId=${rare}&state=failed`,
    `runId=${run}`,
    'personId=p77',
    `accountId=${big}&reference=nobody`,
    'state=failed',
    'state=expired',
    `accountId=${big}&state=unknown`
  ])
  const walked = await slowest(['errcode=47003', 'state=held', `runId=${run}&state=expired`])
  const path = '/v1/messages?limit=100'
  const firsts = [await timed(path), await timed(path), await timed(path)].map(({ ms }) => ms)
  const lasts: number[] = []
  let cursor: string | null = null
  for (let page = 1; page <= DEEP; page++) {
    const { ms, page: told } = await timed(cursor === null ? path : `${path}&cursor=${cursor}`)
    if (page > DEEP - 3) lasts.push(ms)
    cursor = told.nextCursor
  }
  return { worst, walked, deep: median(lasts) / median(firsts) }
}
