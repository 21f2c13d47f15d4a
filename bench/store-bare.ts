import { deserialize } from 'bson'
import { open } from 'lmdb'
import { Aggregator } from 'mingo'
import { answerParent } from './child.js'
import { GROUPING } from './store-data.js'

// The yardsticks: plain lmdb and mingo over the store's own file, with nothing of the store in between.
function* records(dir: string): Generator<Buffer> {
  const root = open<Buffer, Buffer>(dir, {
    readOnly: true,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSubdir: false,
    mapSize: 64 * 2 ** 30
  })
  const table = root.openDB<Buffer, Buffer>('recs', { encoding: 'binary', keyEncoding: 'binary' })
  try {
    for (const { value } of table.getRange()) yield value
  } finally {
    void root.close()
  }
}

answerParent({
  /** Walks all records; milliseconds and how many there are. */
  walk(dir: string) {
    let documents = 0
    const began = performance.now()
    for (const _ of records(dir)) documents++
    return { ms: performance.now() - began, documents }
  },
  /** mingo's $group: over the file, read and decoded for it, and the part of it that is mingo alone. */
  group(dir: string) {
    const began = performance.now()
    const documents: Record<string, unknown>[] = []
    for (const value of records(dir)) documents.push(deserialize(value))
    const read = performance.now()
    const groups = new Aggregator(GROUPING).run(documents).length
    const done = performance.now()
    return { ms: done - began, aloneMs: done - read, groups }
  }
})
