import type { Content } from '../../shared/template.js'
import { pointerTo, type Fault } from '../platform/errors.js'
import type { Finders } from '../words/words.js'

/** The lint's finds that are marketing, which WeChat forbids in template messages of any kind. */
const MARKETING = ['lint.title.marketing', 'lint.content.marketing']
/** A problem an owner may take upon them. */
export const MARKETING_CODE = 'words.marketing'

/**
 * What the word lists hold against a campaign. `linted`: what the lint says of its template and texts, from which
 * marketing is taken out; it stays a warning once an owner has `waived` it. Sensitive words nobody may waive: their
 * messages would all be skipped.
 */
export function wordingFaults(
  linted: Fault[],
  content: Content,
  finders: Pick<Finders, 'sensitive'> | null,
  waived: ReadonlySet<string>
): { problems: Fault[]; warnings: Fault[] } {
  const isProblem = ({ code }: Fault) => MARKETING.includes(code) && !waived.has(MARKETING_CODE)
  const problems = linted.filter(isProblem).map((fault) => ({ ...fault, code: MARKETING_CODE }))
  const warnings = linted.filter((fault) => !isProblem(fault))
  for (const [key, given] of Object.entries(content)) {
    const hit = finders?.sensitive.first(typeof given === 'string' ? given : given.value)
    if (hit == null) continue
    const message = `「${hit.word}」 is on the list of sensitive words: no message with it is sent`
    problems.push({ pointer: `/content${pointerTo([key])}`, code: 'words.sensitive', message })
  }
  return { problems, warnings }
}
