import { ACCUMULATOR_NAMES } from '../aggregate/accumulators.js'
import { EXPRESSION_OPERATORS } from '../aggregate/expressions.js'
import { STAGE_NAMES } from '../aggregate/pipeline.js'
import { FILTER_OPERATORS } from '../bson/parse-filter.js'
import { UPDATE_OPERATORS } from '../bson/update-operators.js'
import { commandNames } from './dispatch.js'

/** What the store carries out, by kind, each list sorted: taken from the tables the code itself goes by. */
export function supported(): Record<string, string[]> {
  return {
    commands: [...commandNames()].sort(),
    'query operators': [...FILTER_OPERATORS].sort(),
    'update operators': [...UPDATE_OPERATORS].sort(),
    stages: [...STAGE_NAMES].sort(),
    accumulators: [...ACCUMULATOR_NAMES].sort(),
    expressions: [...EXPRESSION_OPERATORS].sort()
  }
}

/** The lists as the README prints them. */
export function supportedMarkdown(): string {
  return Object.entries(supported())
    .map(([kind, names]) => `**${kind}** (${names.length}): ${names.map((name) => `\`${name}\``).join(' ')}`)
    .join('\n\n')
}
