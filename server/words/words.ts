import type { Collection } from 'mongodb'
import { Schema, type Connection } from 'mongoose'
import { WordListId, type ListedWord, type WordListPut, type WordListView } from '../../shared/words.js'
import type { Clock } from '../platform/clock.js'
import { mustMatch } from '../platform/etag.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { BUILT_IN } from './built-in.js'
import { createFinder, plainly, type Finder } from './finder.js'

/** A list somebody has changed; an unchanged one has no row. */
type WordListRow = { _id: WordListId; words: ListedWord[]; rev: number; updatedAt: Date; by: string }
type WordList = WordListView & { rev: number }

export type Finders = Readonly<Record<WordListId, Finder>> & {
  /** The words `marketing` is made of, for the lint. */
  marketingWords: readonly ListedWord[]
}

const CACHE_MS = 1_000

const schema = new Schema<WordListRow>(
  {
    _id: { type: String, enum: WordListId.options, required: true },
    words: { type: [Object], required: true },
    rev: { type: Number, required: true },
    updatedAt: { type: Date, required: true },
    by: { type: String, required: true }
  },
  { collection: 'wordLists', autoIndex: false, versionKey: false }
)

/** The lists of words that are looked for in what is sent: built in until an owner writes others. */
export function createWordLists({ db, clock }: { db: Connection; clock: Clock }) {
  const model = db.model<WordListRow>('WordList', schema)
  const rows = model.collection as unknown as Collection<WordListRow>
  let cache: { at: number; finders: Finders; revs: string } | null = null

  async function get(id: WordListId): Promise<WordList> {
    const row = await rows.findOne({ _id: id })
    return viewOf(id, row)
  }

  return {
    get,

    /** Writes a list anew. @throws PreconditionFailed when it is not what `ifMatch` says */
    async put(id: WordListId, { words }: WordListPut, by: string, ifMatch?: string): Promise<WordList> {
      for (;;) {
        const seen = await get(id)
        mustMatch(ifMatch, seen.rev)
        const fresh: WordListRow = { _id: id, words: tidy(words), rev: seen.rev + 1, updatedAt: clock.now(), by }
        if (await replaced(seen.rev, fresh)) {
          cache = null
          return viewOf(id, fresh)
        }
      }
    },

    /** What looks for the words; at most a second old, at once in the process that wrote them. */
    async finders(): Promise<Finders> {
      const now = clock.monotonic()
      if (cache !== null && Math.abs(now - cache.at) < CACHE_MS) return cache.finders
      const found = await rows.find({}).toArray()
      const revs = found.map(({ _id, rev }) => `${_id} ${rev}`).join()
      if (cache !== null && cache.revs === revs) {
        cache = { ...cache, at: now }
        return cache.finders
      }
      const wordsOf = (id: WordListId) => found.find((row) => row._id === id)?.words ?? BUILT_IN[id]
      const finders = {
        sensitive: createFinder(wordsOf('sensitive')),
        marketing: createFinder(wordsOf('marketing')),
        marketingWords: wordsOf('marketing')
      }
      cache = { at: now, finders, revs }
      return finders
    }
  }

  /** false: somebody else wrote it meanwhile. */
  async function replaced(rev: number, fresh: WordListRow): Promise<boolean> {
    if (rev > 0) return (await rows.replaceOne({ _id: fresh._id, rev }, fresh)).matchedCount === 1
    try {
      await rows.insertOne(fresh)
      return true
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      return false
    }
  }
}
export type WordLists = ReturnType<typeof createWordLists>

function viewOf(id: WordListId, row: WordListRow | null): WordList {
  if (row === null) return { id, words: [...BUILT_IN[id]], builtIn: true, updatedAt: null, rev: 0 }
  return { id, words: row.words, builtIn: false, updatedAt: row.updatedAt, rev: row.rev }
}

/** Each word once, as it was first written. */
function tidy(words: WordListPut['words']): ListedWord[] {
  const byPlain = new Map<string, ListedWord>()
  for (const given of words) {
    const listed = typeof given === 'string' ? { word: given, kind: '', titleOnly: false } : given
    const plain = plainly(listed.word)
    if (plain !== '' && !byPlain.has(plain)) byPlain.set(plain, listed)
  }
  return [...byPlain.values()]
}
