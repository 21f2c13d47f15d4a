import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { checkStore, openEmbedded } from '../../../server/embedded/embedded.js'
import { childCommand } from './child-command.js'
import { dice, fits, fresh, script } from './crash-script.js'
import type { Row } from './crash-script.js'

const ROUNDS = 10
const WRITERS = 16
const SEED = 4

/** Runs a child until it has printed `lines` lines, then kills it where it stands; the lines it got out. */
function runAndKill(dir: string, round: number, wanted: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    // Every other one serves from the very thread that writes; the product does from a worker.
    const told = [dir, String(round), String(WRITERS), round % 2 ? 'own' : 'worker']
    const child = spawn(process.execPath, [...childCommand('crash-child'), ...told], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const lines: string[] = []
    let trouble = ''
    child.stderr.on('data', (chunk) => (trouble += chunk))
    createInterface({ input: child.stdout })
      .on('line', (line) => {
        lines.push(line)
        if (lines.length === wanted) child.kill('SIGKILL')
      })
      .on('close', () =>
        lines.length < wanted ? reject(new Error(`the child ended by itself: ${trouble}`)) : resolve(lines)
      )
  })
}

/** Every document of a store at rest. */
async function readAll(dir: string): Promise<Row[]> {
  const store = await openEmbedded({ dir, worker: false })
  const client = await new MongoClient(store.uri).connect()
  const rows = await client.db().collection<Row>('rows').find().toArray()
  await client.close()
  await store.close()
  return rows
}

/** What is not as the acknowledged writes of one round left it, with the one write each writer had under way either way. */
function misfits(rows: Row[], round: number, lines: string[]): string[] {
  const wrong: string[] = []
  const byId = new Map(rows.map((row) => [row._id, row]))
  const acknowledged = Array.from({ length: WRITERS }, (): string[] => [])
  for (const line of lines) {
    const [writer, outcome] = line.split(' ')
    acknowledged[Number(writer)].push(outcome)
  }
  for (let writer = 0; writer < WRITERS; writer++) {
    const found = new Map(rows.filter(({ _id }) => _id.startsWith(`${round}-${writer}-`)).map((row) => [row._id, row]))
    const outcomes = acknowledged[writer].values()
    for (const { op, state } of script(round, writer)) {
      const { value: outcome } = outcomes.next()
      if (outcome === undefined) {
        if (!fits(found, state, op, writer)) wrong.push(`writer ${writer} of round ${round}, with ${op.kind} under way`)
        break
      }
      if (op.kind === 'twice' && outcome !== 'lost') wrong.push(`two documents of key ${op.id}`)
      if (op.kind === 'race' && (byId.get(op.id)?.writer === writer) !== (outcome === 'won'))
        wrong.push(`race ${op.id}`)
    }
  }
  return wrong
}

t.test('a full disk refuses writes, says so, and loses nothing', { timeout: 60_000 }, async (t) => {
  if (process.platform === 'win32') return t.pass('no limit on file sizes to be had')
  const dir = join(t.testdir(), 'store')
  // A limit on the size of files stands for the disk's: half a MB or one, depending on the shell.
  const command = [process.execPath, ...childCommand('crash-child'), dir, '0', String(WRITERS)]
  const child = spawn('sh', ['-c', 'ulimit -f 1024; exec "$0" "$@"', ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let trouble = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (trouble += chunk))
  const ended = await new Promise((resolve) => child.once('close', (...how) => resolve(how)))
  t.match(trouble, /there is no space left.*Free some space/i, `ended with ${ended}`)
  const check = await checkStore(dir)
  t.same(check.errors, [])
  t.same(misfits(await readAll(dir), 0, output.trimEnd().split('\n').slice(1)), [])
  const store = await openEmbedded({ dir, worker: false })
  const client = await new MongoClient(store.uri).connect()
  t.ok(check.documents > 100, 'and once there is room it goes on')
  t.match(await client.db().collection<any>('rows').insertOne({ _id: 'more', key: 'more' }), { acknowledged: true })
  await client.close()
  await store.close()
})

t.test(
  'whatever was acknowledged outlives kill -9, and the rest is whole or absent',
  { timeout: 120_000 },
  async (t) => {
    const dir = join(t.testdir(), 'store')
    const roll = dice(SEED)
    const before = new Map<string, string>()
    let acknowledged = 0
    for (let round = 0; round < ROUNDS; round++) {
      // Once right after the indexes were made, then anywhere.
      const lines = await runAndKill(dir, round, round === 0 ? 1 : 1 + Math.ceil(roll() * 900))
      t.equal(lines[0], 'ready true', 'a dead owner’s directory is taken over')
      acknowledged += lines.length - 1
      const check = await checkStore(dir)
      const rows = await readAll(dir)
      t.same(check.errors, [], `round ${round}: indexes, documents and counts agree`)
      t.equal(check.documents, rows.length)
      t.same(misfits(rows, round, lines.slice(1)), [], `round ${round}: ${lines.length - 1} acknowledged, none lost`)
      const now = new Map(rows.map((row) => [row._id, JSON.stringify(row)]))
      t.same(
        [...before].filter(([id, text]) => now.get(id) !== text),
        [],
        'what earlier rounds left is untouched'
      )
      const races = rows.filter(({ _id }) => _id.startsWith('race-'))
      t.same(
        races.filter((row) => JSON.stringify(row) !== JSON.stringify(fresh(row._id, row.writer))),
        []
      )
      t.same(
        rows.filter(({ _id }) => !/^(race-\d+|\d+-\d+)-\d+$/.test(_id)),
        [],
        'nor is there anything nobody wrote'
      )
      for (const [id, text] of now) before.set(id, text)
    }
    t.comment(`${acknowledged} acknowledged writes in ${ROUNDS} rounds`)
    t.ok(acknowledged > ROUNDS * 100)
  }
)
