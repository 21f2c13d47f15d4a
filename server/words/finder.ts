import type { ListedWord } from '../../shared/words.js'

export type Finder = {
  /** The listed words of a text, the longest first and none inside another; of a `title` those count too that only titles may not hold. */
  all(text: string, title?: boolean): ListedWord[]
  /** The first of them, or null. Quick: asked of every message. */
  first(text: string): ListedWord | null
}

/** What a text and a word are compared by: width, case, blanks and marks between letters hide nothing. */
export const plainly = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(/[\s\p{Cf}]+/gu, '')
    .toLowerCase()

const escaped = (word: string) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** Looks for the words of a list. */
export function createFinder(words: readonly ListedWord[]): Finder {
  const named = words
    .map((listed) => ({ plain: plainly(listed.word), listed }))
    .filter(({ plain }) => plain !== '')
    .sort((a, b) => b.plain.length - a.plain.length)
  const texts = named.filter(({ listed }) => !listed.titleOnly)
  const byPlain = new Map([...named].reverse().map(({ plain, listed }) => [plain, listed]))
  const any = texts.length === 0 ? null : new RegExp(texts.map(({ plain }) => escaped(plain)).join('|'))

  return {
    all(text, title = false) {
      const found: ListedWord[] = []
      let left = plainly(text)
      for (const { plain, listed } of title ? named : texts) {
        if (!left.includes(plain)) continue
        found.push(listed)
        left = left.replaceAll(plain, '\n')
      }
      return found
    },
    first(text) {
      const hit = any?.exec(plainly(text))?.[0]
      return hit === undefined ? null : (byPlain.get(hit) ?? null)
    }
  }
}

/** The first field of a message that holds a listed word, and the word; null: none does. */
export function wordIn(
  finder: Finder,
  data: Readonly<Record<string, { value: string }>>
): { field: string; word: string } | null {
  for (const [field, { value }] of Object.entries(data)) {
    const hit = finder.first(value)
    if (hit !== null) return { field, word: hit.word }
  }
  return null
}
