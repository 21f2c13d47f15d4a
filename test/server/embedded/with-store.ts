import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import type { Db } from 'mongodb'
import type { Test } from 'tap'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import type { EmbeddedOptions } from '../../../server/embedded/embedded.js'

/** A store of its own for one test, served from this thread, with a client; both end with the test. */
export async function withStore(t: Test, options: Partial<EmbeddedOptions> = {}) {
  const dir = options.dir ?? t.testdir()
  const trouble: unknown[] = []
  const store = await openEmbedded({
    dir,
    worker: false,
    durability: 'commit',
    log: (...line) => trouble.push(line),
    ...options
  })
  const client = await new MongoClient(store.uri).connect()
  let ended = false
  const end = async () => {
    if (ended) return
    ended = true
    await client.close()
    await store.close()
  }
  t.teardown(end)
  return { dir, store, client, db: client.db() as Db, trouble, end }
}

/** A directory whose path is short enough for a socket in it, as data directories are. */
export function shortDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'hy-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** What a refused command was refused with. */
export async function refusal(work: Promise<unknown>): Promise<{ code: unknown; message: string; error: any }> {
  try {
    await work
  } catch (error: any) {
    return { code: error.code, message: String(error.message), error }
  }
  throw new Error('it was not refused')
}
