import type { Ledgers, Verdict } from '../verify.js'
import type { Stage } from '../stage.js'

/** What a scene is told, and where it tells what happens. */
export type SceneParts = {
  seed: number
  /** How many phones, where the number may be chosen; null: as many as the scene has by itself. */
  phones: number | null
  /** A line that stays. */
  step: (line: string) => void
  /** Where things stand, each second. */
  progress: (line: string) => void
  /** Hears of the stage as soon as there is one, so that it is struck whatever happens next. */
  stageBuilt: (stage: Stage) => void
}

/** What came of a story of messages. */
export type Outcome = {
  captured: {
    stored: number
    duplicate: number
    /** By reason, as the server refused them. */
    refused: Record<string, number>
    /** By reason, as the phones' library turned them away before they were sent. */
    atDoor: Record<string, number>
  }
  /** By state, and of those that did not arrive by state and reason. */
  messages: { total: number; byState: Record<string, number>; byReason: Record<string, number> }
  verdict: Verdict
  ledgers: Ledgers
  /** From the moment an event was posted to its call at WeChat. */
  latency: { p50Ms: number | null; p95Ms: number | null }
  faults: Record<string, number>
}

/** How a scene ends: the numbers for machines, of which these three must be 0, and the same for people. */
export type Ending = {
  facts: { lost: number; double: number; disagreements: number } & Record<string, unknown>
  table(seconds: number): string
}

/** A story the demo can tell. */
export type Scene = { summary: string; play(parts: SceneParts): Promise<Ending> }
