import { parseArgs } from 'node:util'
import { breakAll, LAW_COUNT, lookAtAll, walkAll, type Look, type Trial } from './check.js'

const USAGE = `npm run model -- [--mutate] [--full] [--only name] [--walks n] [--seed n] [--json]
  looks at every state of small worlds, then walks through large ones at random
  --mutate   breaks each rule of the protocol by itself; each must be noticed
  --full     more may go wrong in each world (many minutes)
  --only     worlds, or rules, with this in their name`

const { values } = parseArgs({
  options: {
    mutate: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    walks: { type: 'string', default: '150' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

const say = (line: string) => {
  if (!values.json) console.log(line)
}

function tellLook({ world, says, states, transitions, rests, cut, seconds, broken }: Look): void {
  const seen = `${states} ${cut ? 'steps' : 'states'}, ${transitions} transitions, ${rests} followed to rest, ${seconds} s`
  say(`${broken === null ? '✓' : '✗'} ${world}: ${seen}\n    ${says}`)
  if (broken === null) return
  say(`    ${broken.law}: ${broken.what}`)
  for (const line of broken.trace) say(`      ${line}`)
}

function tellTrial({ rule, says, caught, by }: Trial): void {
  say(`${caught ? '✓' : '✗'} ${rule}: ${says}`)
  for (const { world, states, broken } of by) {
    const how = broken === null ? 'NOT NOTICED' : `${broken.law}: ${broken.what}, after ${broken.trace.length} steps`
    say(`    ${world} (${states} states): ${how}`)
  }
}

async function main(): Promise<boolean> {
  if (values.help) {
    console.log(USAGE)
    return true
  }
  if (values.mutate) {
    const trials = await breakAll(values.only, tellTrial)
    const caught = trials.filter((trial) => trial.caught).length
    if (values.json) console.log(JSON.stringify({ rules: trials.length, caught, trials }, null, 2))
    say(`${caught} of ${trials.length} broken rules were noticed`)
    return caught === trials.length
  }
  const looks = await lookAtAll(values, tellLook)
  if (values.only === '') looks.push(...(await walkAll(Number(values.walks), Number(values.seed), tellLook)))
  const sum = (of: 'states' | 'transitions' | 'rests') => looks.reduce((n, look) => n + look[of], 0)
  const broken = looks.filter((look) => look.broken !== null).length
  const totals = { worlds: looks.length, states: sum('states'), transitions: sum('transitions'), promises: LAW_COUNT }
  if (values.json) console.log(JSON.stringify({ ...totals, broken, looks }, null, 2))
  say(
    `${totals.worlds} worlds, ${totals.states} states, ${totals.transitions} transitions, ` +
      `${sum('rests')} followed to rest; ${LAW_COUNT} promises, broken in ${broken} worlds`
  )
  return broken === 0
}

process.exitCode = (await main()) ? 0 : 1
