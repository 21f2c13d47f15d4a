import { accountNamed } from '../../api/accounts.js'
import { settingsWords } from './words.js'

/** The accounts somebody may use, by name; null: all of them. */
export const accountsInWords = (ids: readonly string[] | null): string =>
  ids?.map((id) => accountNamed(id)?.name ?? id).join(' · ') ?? settingsWords.value.allAccounts
