import { Liquid, type Template } from 'liquidjs'

/** What texts may read. `tag.vip` is true or the tag's value. */
export type Scope = {
  user?: Record<string, unknown>
  event?: Record<string, unknown>
  tag?: Record<string, unknown>
  data?: Record<string, unknown>
}

export type Limits = {
  /** The longest one text may take to render. By the wall clock, so wide: a stall of the machine is no fault of the text. */
  timeLimitMs: number
  /** The longest text it may become, in UTF-16 units. */
  outputLimit: number
  /** Where the `date` filter lives. */
  zone: string
}

export type Rendered = { text: string; missing: string | null } | { fault: string; rule: 'liquid' | 'outputLimit' }

/** A text made ready. `missing`: the first variable without a value and without a default. */
export type Text = {
  /** The text itself when it holds no Liquid; then it never has to be rendered. */
  literal: string | null
  variables: string[]
  render(scope: Scope, strict: boolean): Rendered
}

/** Tags that reach for files, or write into what they were given. */
const FORBIDDEN_TAGS = ['include', 'render', 'layout', 'block', 'increment', 'decrement']
/** Chance would make a repeated rendering differ. */
const FORBIDDEN_FILTERS = ['sample']
const SOURCE_LIMIT = 10_000
const MEMORY_LIMIT = 100_000
/** A text that ran out of time so often in a row is not tried again: each try holds up the whole process. */
const TIMEOUTS = 3

const NAME = String.raw`[A-Za-z_\u4e00-\u9fff][\w\u4e00-\u9fff]*`
const OUTPUT = new RegExp(
  String.raw`^\s*(${NAME}(?:\.${NAME})+)\s*(?:\|\s*default:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*)?$`
)
/** Names Liquid gives a meaning of its own. */
const SPECIAL = new Set(['size', 'first', 'last'])

type Piece = string | { path: string[]; name: string; otherwise: string | null }

/** Reads texts. `link` texts percent-encode what variables give. */
export function createTexts({ timeLimitMs, outputLimit, zone }: Limits) {
  const engines = { plain: engine(), link: engine(encodeURIComponent) }

  function engine(escape?: (text: string) => string): Liquid {
    const made = new Liquid({
      templates: {}, // in place of a file system
      ownPropertyOnly: true,
      strictFilters: true,
      lenientIf: true,
      parseLimit: SOURCE_LIMIT,
      renderLimit: timeLimitMs,
      memoryLimit: MEMORY_LIMIT,
      timezoneOffset: zone,
      ...(escape !== undefined && { outputEscape: (value: unknown) => escape(plain(value)) })
    })
    for (const name of FORBIDDEN_TAGS) delete made.tags[name]
    for (const name of FORBIDDEN_FILTERS) made.unregisterFilter(name)
    return made
  }

  function interpreted(source: string, kind: 'plain' | 'link'): Text | { fault: string } {
    const liquid = engines[kind]
    let parsed: Template[]
    let variables: string[]
    try {
      parsed = liquid.parse(source)
      variables = liquid.globalFullVariablesSync(parsed)
    } catch (error) {
      return { fault: messageOf(error) }
    }
    let timeouts = 0
    return {
      literal: null,
      variables,
      render(scope, strict) {
        if (timeouts >= TIMEOUTS) return tooSlow
        try {
          const text = String(liquid.renderSync(parsed, scope, { strictVariables: strict }))
          timeouts = 0
          return text.length > outputLimit ? tooMuch : { text, missing: null }
        } catch (error) {
          if (/^template render limit/.test(messageOf(error))) {
            timeouts++
            return tooSlow
          }
          const undefinedVariable = /^undefined variable: ([^,\s]+)/.exec(messageOf(error))
          if (undefinedVariable !== null) return { text: '', missing: undefinedVariable[1]! }
          return { fault: messageOf(error), rule: 'liquid' }
        }
      }
    }
  }

  const tooSlow: Rendered = { fault: `the text takes longer than ${timeLimitMs} ms to render`, rule: 'liquid' }
  const tooMuch: Rendered = { fault: `the text becomes longer than ${outputLimit} characters`, rule: 'outputLimit' }

  return {
    /** A text ready to be rendered often, or the fault in its grammar. */
    parse(source: string, kind: 'plain' | 'link'): Text | { fault: string } {
      if (!source.includes('{{') && !source.includes('{%')) {
        return { literal: source, variables: [], render: () => ({ text: source, missing: null }) }
      }
      const pieces = plainPieces(source)
      const whole = interpreted(source, kind)
      if (pieces === null || 'fault' in whole) return whole
      const escape = kind === 'link' ? encodeURIComponent : null
      return {
        literal: null,
        variables: whole.variables,
        render(scope, strict) {
          let text = ''
          let missing: string | null = null
          for (const piece of pieces) {
            if (typeof piece === 'string') {
              text += piece
              continue
            }
            let value: unknown = scope
            for (const name of piece.path) value = ownValue(value, name)
            if (typeof value === 'object' && value !== null) return whole.render(scope, strict)
            if (typeof value === 'function' || typeof value === 'symbol') value = undefined
            if (
              piece.otherwise !== null &&
              (value === undefined || value === null || value === false || value === '')
            ) {
              value = piece.otherwise
            }
            if (value === undefined || value === null) missing ??= piece.name
            else text += escape === null ? String(value) : escape(String(value))
          }
          return text.length > outputLimit ? tooMuch : { text, missing }
        }
      }
    }
  }
}

/** The pieces of a text whose outputs are plain variables with at most a default; null when it needs all of Liquid. */
function plainPieces(source: string): Piece[] | null {
  if (source.includes('{%')) return null
  const pieces: Piece[] = []
  let end = 0
  for (let start = source.indexOf('{{'); start !== -1; start = source.indexOf('{{', end)) {
    if (start > end) pieces.push(source.slice(end, start))
    const close = source.indexOf('}}', start)
    if (close === -1) return null
    const output = OUTPUT.exec(source.slice(start + 2, close))
    if (output === null) return null
    const path = output[1]!.split('.')
    if (path.some((name) => SPECIAL.has(name))) return null
    pieces.push({ path, name: output[1]!, otherwise: output[2] ?? output[3] ?? null })
    end = close + 2
  }
  if (end < source.length) pieces.push(source.slice(end))
  return pieces
}

function ownValue(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, name)) return undefined
  return (holder as Record<string, unknown>)[name]
}

/** As Liquid writes a value. */
function plain(value: unknown): string {
  if (value === null || value === undefined) return ''
  return Array.isArray(value) ? value.map(plain).join('') : String(value)
}

/** Liquid's own complaint, without the excerpt of the source that follows it. */
const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!
