import { decode } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { createCatalog } from './catalog.js'
import type { CollectionEntry } from './catalog.js'
import { inspectDataFile, pageFaults } from './data-file.js'
import { openEnv } from './env.js'
import type { Env } from './env.js'
import { entriesOf, prefixKey, recordOfKey, recordOfValue } from './records.js'
import { explainStoreError } from './store-error.js'

/** What is wrong in a store, in words; empty when all is well. */
export type CheckResult = { collections: number; documents: number; errors: string[] }

/** Errors told of one collection; more of the same kind help nobody. */
const MOST_ERRORS = 20

/** Compares one collection's documents with its index entries and its counts. Reads only. */
export function checkCollection(env: Env, entry: CollectionEntry) {
  const errors: string[] = []
  const namespace = `${entry.db}.${entry.name}`
  const note = (text: string) => {
    if (errors.length < MOST_ERRORS) errors.push(`${namespace}: ${text}`)
  }
  const expected = new Map<number, number>(entry.indexes.map((index) => [index.id, 0]))
  let documents = 0
  let bytes = 0
  for (const { key, value } of env.recs.getRange({ start: prefixKey(entry.id), end: prefixKey(entry.id + 1) })) {
    const record = recordOfKey(key as Buffer)
    documents++
    bytes += value.length
    try {
      const doc = decode(value)
      for (const index of entry.indexes) {
        if (!index.ready) continue
        for (const part of entriesOf(index, doc, record).keys) {
          expected.set(index.id, (expected.get(index.id) ?? 0) + 1)
          const held = env.idx.get(part)
          if (held === undefined) note(`index ${index.name} lacks an entry of record ${record}`)
          else if (index.unique && recordOfValue(held) !== record)
            note(`index ${index.name} names another record than ${record}`)
        }
      }
    } catch (error) {
      if (!(error instanceof MongoError)) throw error
      note(`record ${record} cannot be read: ${error.message}`)
    }
  }
  if (documents !== entry.count) note(`${documents} documents, but ${entry.count} counted`)
  if (bytes !== entry.bytes) note(`${bytes} bytes of documents, but ${entry.bytes} counted`)
  const keys: Record<string, number> = {}
  for (const index of entry.indexes) {
    if (!index.ready) continue
    const found = env.idx.getKeysCount({ start: prefixKey(index.id), end: prefixKey(index.id + 1) })
    keys[index.name] = found
    if (found !== expected.get(index.id))
      note(`index ${index.name} has ${found} entries instead of ${expected.get(index.id)}`)
  }
  return { documents, errors, keys }
}

/**
 * Checks a whole store that no process has open: every index entry has its document and the other way round, and the
 * counts are right, and before that, that the file's pages are what they should be. @throws EmbeddedStoreError when it cannot be opened
 */
export async function checkFiles(dir: string): Promise<CheckResult> {
  inspectDataFile(dir)
  // lmdb ends the process at some of these, so nothing is asked of it before.
  const faults = pageFaults(dir)
  if (faults.length > 0) return { collections: 0, documents: 0, errors: faults }
  const env = openEnv(dir)
  try {
    const catalog = createCatalog(env)
    const result: CheckResult = { collections: 0, documents: 0, errors: [] }
    for (const entry of catalog.all()) {
      const { documents, errors } = checkCollection(env, entry)
      result.collections++
      result.documents += documents
      result.errors.push(...errors)
    }
    return result
  } catch (error) {
    throw explainStoreError(dir, error)
  } finally {
    await env.close()
  }
}
