import type { CDPSession, Page } from 'playwright-core'
import { MongoClient, type Db } from 'mongodb'
import { SHOP } from '../demo/accounts.js'
import type { Client } from '../demo/client.js'
import type { Running } from '../demo/processes.js'
import { DATABASE } from '../server/commands/ground.js'
import { storeDir } from '../server/commands/data-dir.js'
import { openEmbedded } from '../server/embedded/embedded.js'
import { openBrowser } from '../test/support/browser.js'
import { addAccount } from './account.js'
import { withGround } from './ground.js'

/** An installation whose console is looked at. */
export type ConsoleStage = {
  running: Running
  url: string
  api: Client
  /** What `api` calls with. */
  key: string
  accountId: string
  /** Its store, from outside: what lies there need not come in through the API. */
  db: Db
  /** A signed-in browser with nothing open yet. */
  visit(prepare?: { zone?: string }): Promise<Visit>
}
export type Visit = { page: Page; cdp: CDPSession; close(): Promise<void> }

/** The operator a link can sign in. */
const EMAIL = 'demo@example.com'
const WIDE = { width: 1280, height: 860 }

/** `hongyan serve` with its console and an account; everything is gone afterwards. */
export async function withConsole<T>(measure: (stage: ConsoleStage) => Promise<T>): Promise<T> {
  return withGround(async ({ dir, serve }) => {
    const last: (() => Promise<void>)[] = []
    try {
      const { running, api, key, password } = await serve(undefined, EMAIL)
      const url = running.facts.url!
      last.push(() => api.close())
      const accountId = await addAccount(api, SHOP)
      const store = await openEmbedded({ dir: storeDir(dir) })
      last.push(() => store.close())
      const client = await new MongoClient(store.uri, { maxPoolSize: 2 }).connect()
      last.push(() => client.close())
      const visit = async ({ zone }: { zone?: string } = {}): Promise<Visit> => {
        const ends: (() => Promise<void>)[] = []
        const browser = await openBrowser({ teardown: (end) => void ends.push(end) })
        const close = async () => {
          for (const end of ends.splice(0)) await end()
        }
        last.push(close)
        const page = await browser.newPage()
        await page.setViewportSize(WIDE)
        if (zone !== undefined) await page.addInitScript(`localStorage.setItem('hongyan.zone', '${zone}')`)
        await page.goto(`${url}/#demo=${password}`)
        await page.locator('nav').first().waitFor()
        return { page, cdp: await browser.newCDPSession(page), close }
      }
      return await measure({ running, url, api, key, accountId, db: client.db(DATABASE), visit })
    } finally {
      for (const end of last.reverse()) await end().catch(() => {})
    }
  })
}
