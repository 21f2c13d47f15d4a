import { PreconditionFailed } from './errors.js'

/** The ETag of revision `rev`. */
export const etagOf = (rev: number): string => `"${rev}"`

/** If the caller said what it saw (If-Match), that is what must be there. @throws PreconditionFailed */
export function mustMatch(ifMatch: string | undefined, rev: number): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  const seen = ifMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  if (!seen.includes(etagOf(rev))) throw new PreconditionFailed('it was changed since you read it')
}
