export type Language = 'zh' | 'en'

/** The better of our two languages for an Accept-Language header; English when it names neither. */
export function languageOf(header: string | undefined): Language {
  let best: Language = 'en'
  let weight = 0
  for (const part of (header ?? '').split(',')) {
    const [tag = '', ...parameters] = part.trim().toLowerCase().split(';')
    const language = /^zh\b/.test(tag) ? 'zh' : /^en\b/.test(tag) ? 'en' : null
    const quality = parameters.map((text) => /^\s*q=([\d.]+)$/.exec(text)?.[1]).find((text) => text !== undefined)
    const given = quality === undefined ? 1 : Number(quality)
    if (language !== null && given > weight) [best, weight] = [language, given]
  }
  return best
}
