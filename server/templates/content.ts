import { checkValue, maxLength } from '../senders/values.js'
import type { Content, TemplateField, TemplateKind } from '../../shared/template.js'
import { InvalidInput, pointerTo, type Fault } from '../platform/errors.js'
import { createTexts, type Limits, type Scope, type Text } from './texts.js'

export type { Scope } from './texts.js'

/** What checking needs to know of a template. `choices`: the values an enum field may take, by key. */
export type Shape = { kind: TemplateKind; fields: readonly TemplateField[]; choices?: Record<string, string[]> }

/** The values to send, as the message row keeps them. */
export type Data = Record<string, { value: string; color?: string }>

/** Why one person's message cannot go as written, and what its author wants done then. */
export type RenderProblem = {
  field: string
  reason: 'missingVariable' | 'invalidValue'
  /** The broken rule of an invalid value: a rule of senders/values.ts, `placeholder`, `tooLong`, `liquid` or `outputLimit`. */
  rule?: string
  detail: string
  /** skip this message, stop the whole run, or count it as failed. */
  then: 'skip' | 'stop' | 'fail'
}

export type Policies = {
  /** What to do with a value longer than its type takes; default: cut a thing, skip for all others. */
  tooLong?: 'cut' | 'skip' | 'fail' | undefined
  /** default: a variable nobody set is left out of the text; skip and stop: its message, or the run, does not go. */
  missingVariable?: 'default' | 'skip' | 'stop' | undefined
}

export type Compiled = {
  /** Variables the content reads, as `user.name`; for check and preview. */
  variables: string[]
  render(scope: Scope): { data: Data; problems: RenderProblem[] }
}

/** Where a card leads, after rendering; texts of a campaign's `open` may hold variables too. */
export type CompiledOpen<Open> = { render(scope: Scope): { open: Open; missing: string | null } }

const ROOTS = new Set(['user', 'event', 'tag', 'data'])
/** WeChat shows neither since 2023-05-04 (its announcement of that spring), so nobody has to fill them. */
const OPTIONAL = new Set(['first', 'remark'])

/**
 * What is wrong with literal content (direct sends): fields missing or unknown, values their types do not take, texts
 * that still hold `{{`. Empty: it can be sent.
 */
export function checkContent(template: Shape, content: Content, pointer = '/content'): Fault[] {
  const faults = checkNames(template, content, pointer)
  for (const field of template.fields) {
    const given = own(content, field.key)
    if (given === undefined) continue
    const fault = valueFault(template, field, valueOf(given))
    if (fault !== null) faults.push({ pointer: `${pointer}/${field.key}`, ...fault })
  }
  return faults
}

/** The data of literal content; check it first. */
export function literalData(content: Content): Data {
  const data: Data = {}
  for (const [key, given] of Object.entries(content)) data[key] = itemOf(valueOf(given), colorOf(given))
  return data
}

function checkNames(template: Shape, content: Content, pointer: string): Fault[] {
  const faults: Fault[] = []
  for (const { key, name } of template.fields) {
    if (own(content, key) !== undefined || OPTIONAL.has(key)) continue
    faults.push({
      pointer: `${pointer}/${key}`,
      code: 'content.missing-field',
      message: `the template asks for ${name} (${key})`
    })
  }
  const known = new Set(template.fields.map((field) => field.key))
  for (const key of Object.keys(content)) {
    if (known.has(key)) continue
    const message = `the template has no field ${key}; it has ${[...known].join(', ')}`
    faults.push({ pointer: pointer + pointerTo([key]), code: 'content.unknown-field', message })
  }
  return faults
}

function valueFault(template: Shape, field: TemplateField, value: string): { code: string; message: string } | null {
  if (value.includes('{{')) {
    return { code: 'content.placeholder', message: 'holds {{, which WeChat takes for a placeholder of its own' }
  }
  if (value.trim() === '') {
    return OPTIONAL.has(field.key)
      ? null
      : { code: 'content.missing-field', message: `${field.name} (${field.key}) is blank` }
  }
  const fault = checkValue(field.type, value, choicesOf(template, field.key))
  return fault === null
    ? null
    : { code: `content.${fault.rule}`, message: `${field.name} (${field.key}): ${fault.message}` }
}

/**
 * Turns content into messages, one person at a time. Texts are Liquid over `user`, `event`, `tag` and `data`: no files, no
 * inherited properties, bounded in time, memory and length. Parsed once: a plain text or a plain variable never reaches
 * the Liquid interpreter again.
 */
export function createRenderer(limits: Partial<Limits> = {}) {
  const texts = createTexts({
    timeLimitMs: limits.timeLimitMs ?? 500,
    outputLimit: limits.outputLimit ?? 2_000,
    zone: limits.zone ?? 'Asia/Shanghai'
  })

  /** All that can be known before anybody is rendered: names, Liquid's grammar, variables, literal values. */
  function check(template: Shape, content: Content, pointer = '/content'): Fault[] {
    const faults = checkNames(template, content, pointer)
    for (const field of template.fields) {
      const given = own(content, field.key)
      if (given === undefined) continue
      const at = `${pointer}/${field.key}`
      const found = textFault(valueOf(given), at)
      if (found !== null) faults.push(found)
      else if (!isTemplated(valueOf(given))) {
        const fault = valueFault(template, field, valueOf(given))
        // what is too long here is cut or skipped as the author wishes, like a rendered one
        if (fault !== null && !isTooLong(field.type, valueOf(given))) faults.push({ pointer: at, ...fault })
      }
    }
    return faults
  }

  function textFault(source: string, pointer: string): Fault | null {
    const text = texts.parse(source, 'plain')
    if ('fault' in text) return { pointer, code: 'content.liquid', message: text.fault }
    const stranger = text.variables.find((name) => !ROOTS.has(name.split('.', 1)[0]!))
    if (stranger === undefined) return null
    const message = `${stranger} is not known; variables start with user., event., tag. or data.`
    return { pointer, code: 'content.unknown-variable', message }
  }

  return {
    check,

    /** What is wrong with the texts of an `open`. */
    checkOpen(open: object, pointer = '/open'): Fault[] {
      return textsOf(open).flatMap(([path, source]) => textFault(source, `${pointer}/${path.join('/')}`) ?? [])
    },

    /**
     * Content made ready for many people; what it gives is never shared state.
     * @throws InvalidInput naming each fault that `check` finds
     */
    compile(template: Shape, content: Content, policies: Policies = {}): Compiled {
      const faults = check(template, content)
      if (faults.length > 0)
        throw new InvalidInput('the content does not fit the template', { code: 'content.invalid', errors: faults })
      const fields = template.fields.flatMap((field) => {
        const given = own(content, field.key)
        if (given === undefined) return []
        const text = texts.parse(valueOf(given), 'plain') as Text
        const color = colorOf(given)
        const choices = choicesOf(template, field.key)
        const literal =
          text.literal === null ? null : settle(field, { text: text.literal, missing: null }, policies, choices)
        return [{ field, text, color, choices, literal }]
      })
      const strict = policies.missingVariable !== undefined && policies.missingVariable !== 'default'
      return {
        variables: [...new Set(fields.flatMap(({ text }) => text.variables))],
        render(scope) {
          const data: Data = {}
          const problems: RenderProblem[] = []
          for (const { field, text, color, choices, literal } of fields) {
            const settled = literal ?? settle(field, text.render(scope, strict), policies, choices)
            if (typeof settled === 'string') data[field.key] = itemOf(settled, color)
            else problems.push(settled)
          }
          return { data, problems }
        }
      }
    },

    /**
     * The same for where a tap leads. What variables give is percent-encoded, so that it stays inside its place in the
     * page's query; `| raw` leaves it as it is. @throws InvalidInput
     */
    compileOpen<Open extends object>(open: Open): CompiledOpen<Open> {
      const faults = this.checkOpen(open)
      if (faults.length > 0)
        throw new InvalidInput('the link cannot be read', { code: 'content.invalid', errors: faults })
      const parts = textsOf(open).map(([path, source]) => ({ path, text: texts.parse(source, 'link') as Text }))
      if (parts.every(({ text }) => text.literal !== null)) return { render: () => ({ open, missing: null }) }
      return {
        render(scope) {
          const made: any = structuredClone(open)
          let missing: string | null = null
          for (const { path, text } of parts) {
            if (text.literal !== null) continue
            const rendered = text.render(scope, true)
            if ('fault' in rendered) missing ??= rendered.fault
            else missing ??= rendered.missing
            const parent = path.slice(0, -1).reduce((node, name) => node[name], made)
            parent[path.at(-1)!] = 'fault' in rendered ? '' : rendered.text
          }
          return { open: made as Open, missing }
        }
      }
    }
  }
}
export type Renderer = ReturnType<typeof createRenderer>

/** The value to send, or why there is none. */
function settle(
  field: TemplateField,
  rendered: ReturnType<Text['render']>,
  policies: Policies,
  choices: string[] | undefined
): string | RenderProblem {
  const problem = (
    reason: RenderProblem['reason'],
    detail: string,
    rule?: string,
    then?: RenderProblem['then']
  ): RenderProblem => ({
    field: field.key,
    reason,
    ...(rule !== undefined && { rule }),
    detail,
    then: then ?? 'skip'
  })
  const onMissing = policies.missingVariable === 'stop' ? 'stop' : 'skip'
  if ('fault' in rendered) return problem('invalidValue', rendered.fault, rendered.rule)
  const { missing } = rendered
  if (missing !== null && policies.missingVariable !== undefined && policies.missingVariable !== 'default') {
    return problem('missingVariable', `${missing} is not set`, undefined, onMissing)
  }
  const text = tidy(rendered.text)
  if (text === '') {
    if (OPTIONAL.has(field.key)) return ''
    return problem(
      'missingVariable',
      missing === null ? 'the text is blank' : `${missing} is not set`,
      undefined,
      onMissing
    )
  }
  if (text.includes('{{')) return problem('invalidValue', 'holds {{', 'placeholder')
  const fault = checkValue(field.type, text, choices)
  if (fault === null) return text
  if (!isTooLong(field.type, text)) return problem('invalidValue', fault.message, fault.rule)
  const wish = policies.tooLong ?? (field.type === 'thing' ? 'cut' : 'skip')
  if (wish !== 'cut') return problem('invalidValue', fault.message, 'tooLong', wish === 'fail' ? 'fail' : 'skip')
  const short = cut(text, maxLength(field.type)!, field.type === 'thing' ? '…' : '')
  const still = checkValue(field.type, short, choices)
  return still === null ? short : problem('invalidValue', still.message, still.rule)
}

const CONTROL = /[\p{Cc}\u2028\u2029]/u
const CONTROLS = /\s*[\p{Cc}\u2028\u2029]+\s*/gu

/** Line breaks and tabs that came with somebody's attribute become blanks: no field shows them. */
function tidy(text: string): string {
  return (CONTROL.test(text) ? text.replace(CONTROLS, ' ') : text).trim()
}

const graphemes = new Intl.Segmenter('zh', { granularity: 'grapheme' })

/** At most `max` characters (code points, as WeChat counts), `mark` included, never cutting through one sign. */
function cut(text: string, max: number, mark: string): string {
  let length = [...mark].length
  let kept = ''
  for (const { segment } of graphemes.segment(text)) {
    length += [...segment].length
    if (length > max) break
    kept += segment
  }
  return kept.trimEnd() + mark
}

function isTooLong(type: string, value: string): boolean {
  const max = maxLength(type)
  return max !== null && value.length > max && [...value].length > max
}

const isTemplated = (source: string) => source.includes('{{') || source.includes('{%')
const own = <T>(record: Record<string, T>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined
const valueOf = (given: Content[string]) => (typeof given === 'string' ? given : given.value)
const colorOf = (given: Content[string]) => (typeof given === 'string' ? undefined : given.color)
const itemOf = (value: string, color: string | undefined) => (color === undefined ? { value } : { value, color })
const choicesOf = (template: Shape, key: string) =>
  template.choices === undefined ? undefined : own(template.choices, key)

/** Every text inside a plain object, with the way to it. */
function textsOf(value: object, path: string[] = []): [path: string[], text: string][] {
  return Object.entries(value).flatMap(([name, each]): [string[], string][] => {
    if (typeof each === 'string') return [[[...path, name], each]]
    return typeof each === 'object' && each !== null ? textsOf(each, [...path, name]) : []
  })
}
