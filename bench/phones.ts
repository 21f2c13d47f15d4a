import { randomBytes } from 'node:crypto'
import autocannon from 'autocannon'
import type { Client } from '../demo/client.js'

const PHONES = 50
const CONNECTIONS = 20

/** Where batches are handed in, and by whom. */
export type Side = { url: string; tokens: string[] }

/** Tokens of phones, each of another person of the account. */
export function phonesOf(api: Client, accountId: string): Promise<string[]> {
  return Promise.all(
    Array.from({ length: PHONES }, async (_, i) => {
      const person = { accountId, openId: `oBench${i}` }
      return (await api.post<{ token: string }>('/v1/capture/sessions', person)).token
    })
  )
}

/** Hands in batches of `size` for `duration` seconds; every one is new, so that every right is kept. @returns batches a second */
export async function handInBatches({ url, tokens }: Side, size: number, duration: number): Promise<number> {
  let n = 0
  const setupRequest = (request: autocannon.Request) => {
    const caughtAt = new Date().toISOString()
    const items = Array.from({ length: size }, () => {
      const value = randomBytes(16).toString('hex')
      return { id: value, source: 'form', value, caughtAt, place: 'home' }
    })
    const authorization = `Bearer ${tokens[n++ % tokens.length]}`
    const headers = { 'content-type': 'application/json', authorization }
    return { ...request, headers, body: JSON.stringify({ sentAt: caughtAt, items }) }
  }
  const connections = CONNECTIONS
  const result = await autocannon({ url, connections, duration, requests: [{ method: 'POST', setupRequest }] })
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${url}: ${result.non2xx} refused, ${result.errors} without an answer`)
  }
  return result.requests.average
}
