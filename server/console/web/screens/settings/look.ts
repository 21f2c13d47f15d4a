import type { z } from 'zod'
import type { ListedWord } from '../../../../../shared/words.js'
import { accountNamed } from '../../api/accounts.js'
import type { Delivery } from '../../api/settings.js'
import { settingsWords } from './words.js'

/** The accounts somebody may use, by name; null: all of them. */
export const accountsInWords = (ids: readonly string[] | null): string =>
  ids?.map((id) => accountNamed(id)?.name ?? id).join(' · ') ?? settingsWords.value.allAccounts

/** How a delivery ended, with what was answered last. */
export function outcomeOf({ state, attempts }: Delivery): string {
  const last = attempts.at(-1)
  return [settingsWords.value.deliveryStates[state], last?.status ?? last?.error].filter(Boolean).join(' · ')
}

type Word = z.input<typeof ListedWord>
/** A list as it is typed: a word a line, behind a bar what it belongs to, behind another a star for titles only. */
export const linesOf = (words: readonly Word[]): string =>
  words
    .map(({ word, kind = '', titleOnly }) => [word, kind, titleOnly ? '*' : ''].join('|').replace(/\|+$/, ''))
    .join('\n')
export const wordsOf = (text: string): Word[] =>
  text.split('\n').flatMap((line) => {
    const [word = '', kind = '', star = ''] = line.split('|').map((part) => part.trim())
    return word === '' ? [] : [{ word, kind, titleOnly: star === '*' }]
  })
