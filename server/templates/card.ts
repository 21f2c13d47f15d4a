import type { TemplateField, TemplateKind } from '../../shared/template.js'
import type { Data } from './content.js'

/** A message as WeChat draws it today, for the console's preview. */
export type Card = { title: string; rows: { name: string; value: string }[]; emphasis: string | null }

/** A service account's middle fields show at most this many characters (WeChat's announcement, in force since 2023-05-04). */
const SERVICE_CHARACTERS = 20
/** Pictures with all that may hang on them: skin tones, joiners, variation selectors, key caps, tags of flags. */
const EMOJI =
  /\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\u20e3\ufe0e\ufe0f]|[\u{e0020}-\u{e007f}]/gu

/** What the reader will see, and what of the content gets lost on the way. */
export function cardOf(
  template: { kind: TemplateKind; title: string; fields: readonly TemplateField[] },
  data: Data,
  emphasis: string | null = null
): { card: Card; warnings: string[] } {
  const warnings: string[] = []
  const rows = []
  for (const { key, name } of template.fields) {
    const item = data[key]
    if (item === undefined) continue
    if (template.kind !== 'service') {
      rows.push({ name, value: item.value })
      if (item.color !== undefined)
        warnings.push(`${name}: ${template.kind === 'subscribe' ? 'subscribe' : 'template'} messages show no colours`)
      continue
    }
    if (key === 'first' || key === 'remark') {
      if (item.value !== '') warnings.push(`${key} is not shown any more (since 2023-05-04)`)
      continue
    }
    if (item.color !== undefined) warnings.push(`${name}: colours are not shown any more (since 2023-05-04)`)
    const bare = item.value.replace(EMOJI, '').replace(/\s*\n\s*/g, ' ')
    if (bare !== item.value) warnings.push(`${name}: emoji and line breaks are not shown`)
    const signs = [...bare]
    if (signs.length > SERVICE_CHARACTERS)
      warnings.push(`${name}: only the first ${SERVICE_CHARACTERS} characters are shown`)
    rows.push({ name, value: signs.slice(0, SERVICE_CHARACTERS).join('') })
  }
  const shown = template.kind === 'legacy' && emphasis !== null && emphasis in data ? emphasis : null
  return { card: { title: template.title, rows, emphasis: shown }, warnings }
}
