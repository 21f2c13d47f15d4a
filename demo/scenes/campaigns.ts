import Table from 'cli-table3'
import { connectAccounts } from '../accounts.js'
import { arm, tries, tripped } from '../campaigns/breaker.js'
import { compare, OPERATOR, type Comparison, type Row } from '../campaigns/compare.js'
import { direct, setUp, shanghai } from '../campaigns/director.js'
import { climb } from '../campaigns/ladder.js'
import { introduce, type Accounts } from '../campaigns/people.js'
import { storyOf } from '../campaigns/plans.js'
import type { AppName, House, Story } from '../campaigns/story.js'
import { HOUR_MS, on } from '../campaigns/story.js'
import { PLAIN } from '../report.js'
import { buildStage, type Stage } from '../stage.js'
import type { Ending, Scene, SceneParts } from './scene.js'

/** Three days of campaigns in a minute: what became of everybody, beside what the documents say must become of them. */
export const campaigns: Scene = {
  summary: 'three days of campaigns in a minute; an oracle says what each person must get',
  play
}

async function play({ seed, step, progress, stageBuilt }: SceneParts): Promise<Ending> {
  const story = storyOf()
  const stage = await buildStage({ seed, step, startAt: story.visits[0]! - HOUR_MS })
  stageBuilt(stage)
  const { api, sandbox } = stage
  await sandbox.post('/sandbox/latency', { minMs: 0, maxMs: 5 })
  await sandbox.post('/sandbox/settings', { push: { minDelayMs: 0, maxDelayMs: 0 } })
  const accounts: Accounts = await connectAccounts(api, sandbox)
  await furnish(stage, accounts, story)
  const known = await introduce(stage, accounts, story.cast)
  const running = await setUp(stage, accounts, story.plans)
  const parts = { accounts, running, known, tests: 0, missed: 0 }
  step(`${known.length} people, ${running.length} campaigns; the story begins on ${shanghai(story.visits[0]!)}`)

  const tried: Row[] = []
  const after = async (at: number) => {
    if (at === story.breaker.from) await arm(stage, story, parts)
    if (at === TRIPS_AT) tried.push(...(await tripped(stage, story, parts)))
    if (at === LADDER_AT) tried.push(...(await climb(stage, story, parts)))
    if (at === TRIES_AT) tried.push(...(await tries(stage, story, parts, at)))
  }
  await direct(stage, story, parts, after, progress)
  step(`it is ${shanghai(story.visits.at(-1)!)}; everybody is asked what they got`)
  const compared = await compare(api, sandbox, story, parts, (visit) => shanghai(story.visits[visit]!))
  return endingOf({ ...compared, rows: [...compared.rows, ...tried] }, known.length)
}
const TRIPS_AT = on(3, '14:00')
const LADDER_AT = on(3, '16:00')
const TRIES_AT = on(3, '17:30')

/** The accounts' own rules, as the story has them. */
async function furnish({ api }: Stage, accounts: Accounts, { houses }: Story): Promise<void> {
  for (const [app, house] of Object.entries(houses) as [AppName, House][]) {
    await api.patch(`/v1/accounts/${accounts[app].id}`, {
      zone: house.zone,
      quietHours: house.quiet,
      caps: { perPersonPerDay: house.perPersonPerDay },
      serviceWindow: { bulk: house.windowForBulk, transactional: false },
      limits: { perSecond: PER_SECOND }
    })
  }
}
const PER_SECOND = 500

function endingOf({ rows, strangers }: Comparison, people: number): Ending {
  const wrong = rows.filter(({ differs }) => differs)
  const differences = wrong.length + strangers.length
  const outcomes: Record<string, number> = {}
  for (const { actual, name } of rows) {
    for (const line of name === OPERATOR ? [] : actual) {
      const what = line.slice(line.indexOf(': ') + 2).replace(/ (Mon|Tue|Wed) \d\d:\d\d$/, '')
      outcomes[what] = (outcomes[what] ?? 0) + 1
    }
  }
  return {
    facts: { people, outcomes, lost: 0, double: 0, disagreements: differences, differences },
    table: (seconds) => {
      const table = new Table({ ...PLAIN, head: ['person', '', 'expected', 'actual', ''] })
      for (const { name, about, expected, actual, differs } of rows) {
        table.push([name, about, expected.join('\n'), differs ? actual.join('\n') : 'the same', differs ? '✗' : '✓'])
      }
      return [
        table.toString(),
        ...strangers.map((text) => `  ${text}`),
        `${people} people; ${seconds} s in all`,
        differences === 0 ? '✓ everybody got what they should' : `✗ ${differences} differences`
      ].join('\n')
    }
  }
}
