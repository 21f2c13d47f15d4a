import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

/** What the tests of the console saw: each file's process leaves a note, and run by itself this sums them up. */
type Told = { screens: string[]; journeys: string[]; looks: number; barriers: number }

const PLACE = path.resolve('test-results', 'told')
const told: Told = { screens: [], journeys: [], looks: 0, barriers: 0 }
const note = path.join(PLACE, `${path.basename(process.argv[1] ?? 'none')}.json`)

function keep(): void {
  mkdirSync(PLACE, { recursive: true })
  writeFileSync(note, JSON.stringify(told))
}

export const tell = {
  screen(name: string): void {
    told.screens.push(name)
    keep()
  },
  journey(name: string): void {
    told.journeys.push(name)
    keep()
  },
  /** Of one look, what axe-core found serious or critical. */
  barriers(found: number): void {
    told.looks += 1
    told.barriers += found
    keep()
  }
}

/** What all of them told since this was last asked. */
function summary(): string {
  let names: string[] = []
  try {
    names = readdirSync(PLACE)
  } catch {
    return 'the console was not looked at'
  }
  const all = names.map((name) => JSON.parse(readFileSync(path.join(PLACE, name), 'utf8')) as Told)
  rmSync(PLACE, { recursive: true })
  const sum = (of: (each: Told) => number) => all.reduce((n, each) => n + of(each), 0)
  return (
    `${new Set(all.flatMap(({ screens }) => screens)).size} screens and ${sum(({ journeys }) => journeys.length)} journeys; ` +
    `axe-core looked ${sum(({ looks }) => looks)} times and found ${sum(({ barriers }) => barriers)} things serious or critical`
  )
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(summary())
