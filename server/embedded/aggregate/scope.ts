import type { Doc, Value } from '../bson/value.js'

/** Variables in reach of an expression, innermost first; names without `$$`. */
export type Vars = { name: string; value: Value | undefined; next: Vars | null }

/** What an expression is evaluated against. */
export type Scope = { root: Doc; vars: Vars | null }

/** A compiled expression; undefined is "missing". @throws MongoError */
export type Expression = (scope: Scope) => Value | undefined

/**
 * What a command brings along: its one instant for $$NOW and its evaluated `let` variables; `vars` are variables of an
 * outer pipeline ($lookup's let) and lie beneath the others.
 */
export type Env = { now?: Date | undefined; let?: Doc | undefined; vars?: Vars | null | undefined }

/** The variables a command's expressions may use. */
export function varsOf(env: Env): Vars | null {
  let vars: Vars | null = env.vars ?? null
  if (env.now !== undefined) vars = { name: 'NOW', value: env.now, next: vars }
  for (const [name, value] of env.let ?? []) vars = { name, value, next: vars }
  return vars
}

/** The variable of that name; the innermost wins. */
export function findVar(vars: Vars | null, name: string): Vars | undefined {
  for (let at = vars; at !== null; at = at.next) if (at.name === name) return at
  return undefined
}
