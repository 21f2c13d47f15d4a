import type { Content, Open } from '../../shared/template.js'
import type { AudienceSource } from '../audiences/audiences.js'
import type { PlanInput } from '../messages/messages.js'
import type { Person } from '../people/people.js'
import {
  createRenderer,
  type Compiled,
  type CompiledOpen,
  type RenderProblem,
  type Shape
} from '../templates/content.js'
import type { CampaignRow } from './model.js'

/** What a run keeps of its campaign: later changes are not its business. */
export type Snapshot = {
  /** Whom it goes to; null for event triggers without an audience. */
  source: AudienceSource | null
  template: Shape
  content: Content
  open: Open | null
  emphasis: string | null
  tooLong: 'cut' | 'skip' | 'fail' | null
  missingVariable: 'default' | 'skip' | 'stop'
  waitForCredential: boolean
  topic: string | null
  /** The campaign's own limit a person a day; null: none beside the account's. Runs of before it was there have none. */
  capLimit?: number | null
}

export function snapshotOf(campaign: CampaignRow, source: AudienceSource | null): Snapshot {
  if (campaign.template === null) throw new Error(`campaign ${campaign._id} went online without a template`)
  return {
    source,
    template: campaign.template,
    content: campaign.content,
    open: campaign.open,
    emphasis: campaign.emphasis ?? null,
    tooLong: campaign.tooLong ?? null,
    missingVariable: campaign.missingVariable,
    waitForCredential: campaign.waitForCredential,
    topic: campaign.topic ?? null,
    capLimit: campaign.caps?.perPersonPerDay ?? null
  }
}

/** The part of a message that the content decides: what to send, or why not. `stop`: the whole run must not go on. */
export type Composed = Pick<PlanInput, 'data' | 'open' | 'skip'> & {
  stop: string | null
  /** Everything the fields did not take, not only what decided. */
  problems: RenderProblem[]
}

/** Writes one campaign's message for one person after another. */
export type Composer = (person: Pick<Person, 'attributes' | 'tags'>, event?: Record<string, unknown>) => Composed

const KEPT = 100

/** Composers by name, so that content is read once per run (or campaign revision) and not once per message. */
export function createComposers() {
  const renderer = createRenderer()
  const kept = new Map<string, Composer>()

  function make(snapshot: Snapshot): Composer {
    const policies = { tooLong: snapshot.tooLong ?? undefined, missingVariable: snapshot.missingVariable }
    const compiled = renderer.compile(snapshot.template, snapshot.content, policies)
    const open = snapshot.open === null ? null : renderer.compileOpen(snapshot.open)
    return (person, event = {}) =>
      compose(compiled, open, { user: person.attributes, tag: person.tags, event }, policies)
  }

  return {
    renderer,

    /** A composer nobody keeps, of how things are now. @throws InvalidInput when the content cannot be read */
    make,

    /** The composer kept under this name, made when it is new. @throws InvalidInput when the content cannot be read */
    of(name: string, snapshot: Snapshot): Composer {
      const known = kept.get(name)
      if (known !== undefined) return known
      const made = make(snapshot)
      if (kept.size >= KEPT) kept.delete(kept.keys().next().value!)
      kept.set(name, made)
      return made
    }
  }
}
export type Composers = ReturnType<typeof createComposers>

type RenderScope = Parameters<Compiled['render']>[0]

function compose(
  compiled: Compiled,
  compiledOpen: CompiledOpen<Open> | null,
  scope: RenderScope,
  { missingVariable }: { missingVariable: 'default' | 'skip' | 'stop' }
): Composed {
  const { data, problems } = compiled.render(scope)
  const link = compiledOpen?.render(scope) ?? { open: null, missing: null }
  const worst = problems.find((problem) => problem.then === 'stop') ?? problems[0]
  if (worst !== undefined) {
    const stop = worst.then === 'stop' ? `${worst.field}: ${worst.detail}` : null
    return { data, open: link.open, skip: { reason: worst.reason, detail: detailOf(worst) }, stop, problems }
  }
  // A link with a hole in it leads nowhere, so here a default does not help.
  if (link.missing !== null) {
    const stop = missingVariable === 'stop' ? `open: ${link.missing} is not set` : null
    return { data, open: null, skip: { reason: 'missingVariable', detail: `open: ${link.missing}` }, stop, problems }
  }
  return { data, open: link.open, stop: null, problems }
}

/** `thing1: tooLong`, as reports group it. */
function detailOf({ field, reason, rule, detail }: RenderProblem): string {
  return reason === 'invalidValue' ? `${field}: ${rule ?? detail}` : `${field}: ${detail}`
}
