import { z } from 'zod'
import { Instant } from './instant.js'

/** `sensitive`: a message that holds one is not sent. `marketing`: a campaign that holds one does not go online. */
export const WordListId = z.enum(['sensitive', 'marketing'])
export type WordListId = z.infer<typeof WordListId>

/** A word as it is looked for: width and case of letters and blanks do not matter. */
export const ListedWord = z.strictObject({
  word: z.string().trim().min(1).max(40),
  /** What it belongs to, told with every find: 优惠券. */
  kind: z.string().trim().max(20).default(''),
  /** It gives a title away, but may be an innocent word in a text. */
  titleOnly: z.boolean().default(false)
})
export type ListedWord = z.infer<typeof ListedWord>

/** The whole list anew: words, or words with their kind. */
export const WordListPut = z.strictObject({
  words: z.array(z.union([z.string().trim().min(1).max(40), ListedWord])).max(5_000)
})
export type WordListPut = z.infer<typeof WordListPut>

export const WordListView = z.object({
  id: WordListId,
  words: z.array(ListedWord),
  /** Nobody has changed it: these are the words it comes with. */
  builtIn: z.boolean(),
  updatedAt: Instant.nullable()
})
export type WordListView = z.infer<typeof WordListView>
