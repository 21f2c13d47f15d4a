import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { checkStore, openEmbedded } from '../../../server/embedded/embedded.js'

const ROUNDS = 3
const WRITERS = 12

/** The child's file and what Node needs to run it: compiled beside this one, or from the sources with tsx. */
function childCommand(): string[] {
  const compiled = fileURLToPath(new URL('./crash-child.js', import.meta.url))
  return existsSync(compiled)
    ? [compiled]
    : ['--import', 'tsx', fileURLToPath(new URL('./crash-child.ts', import.meta.url))]
}

/** Runs a child until it has acknowledged `writes` lines, then kills it where it stands; the lines it got out. */
function runAndKill(dir: string, round: number, writes: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...childCommand(), dir, String(round), String(WRITERS)], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const lines: string[] = []
    let trouble = ''
    child.stderr.on('data', (chunk) => (trouble += chunk))
    createInterface({ input: child.stdout })
      .on('line', (line) => {
        lines.push(line)
        if (lines.length === writes) child.kill('SIGKILL')
      })
      .on('close', () =>
        lines.length < writes ? reject(new Error(`the child ended by itself: ${trouble}`)) : resolve(lines)
      )
  })
}

t.test('a full disk refuses writes, says so, and loses nothing', { timeout: 60_000 }, async (t) => {
  if (process.platform === 'win32') return t.pass('no limit on file sizes to be had')
  const dir = join(t.testdir(), 'store')
  // A limit on the size of files stands for the disk's: half a MB or one, depending on the shell.
  const command = ['ulimit -f 1024; exec "$0" "$@"', process.execPath, ...childCommand(), dir, '0', String(WRITERS)]
  const child = spawn('sh', ['-c', ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let trouble = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (trouble += chunk))
  await new Promise((resolve) => child.once('close', resolve))
  t.match(trouble, /there is no space left.*Free some space/i)
  const check = await checkStore(dir)
  t.same(check.errors, [])
  const store = await openEmbedded({ dir, worker: false })
  const client = await new MongoClient(store.uri).connect()
  const ids = new Set(
    (
      await client
        .db()
        .collection<any>('rows')
        .find({}, { projection: { _id: 1 } })
        .toArray()
    ).map(({ _id }) => _id)
  )
  const lost = [...output.matchAll(/^insert (.+)$/gm)].filter(([, id]) => !ids.has(id) && !ids.has(`${id}+`))
  t.same(lost, [])
  t.ok(ids.size > 100, 'and once there is room it goes on')
  t.match(await client.db().collection<any>('rows').insertOne({ _id: 'more', key: 'more' }), { acknowledged: true })
  await client.close()
  await store.close()
})

t.test(
  'whatever was acknowledged outlives kill -9, and the rest is whole or absent',
  { timeout: 90_000 },
  async (t) => {
    const dir = join(t.testdir(), 'store')
    const inserted = new Set<string>()
    const updated = new Set<string>()
    const swapped = new Set<string>()
    const counted = new Map<string, number>()
    for (let round = 0; round < ROUNDS; round++) {
      const lines = await runAndKill(dir, round, 300 + round * 177)
      t.equal(lines[0], 'ready true', 'a dead owner’s directory is taken over')
      for (const line of lines.slice(1)) {
        const [what, id] = line.split(' ')
        if (what === 'insert') inserted.add(id)
        if (what === 'update') updated.add(id)
        if (what === 'swap') swapped.add(id)
        if (what === 'count') counted.set(id, (counted.get(id) ?? 0) + 1)
      }
      const check = await checkStore(dir)
      t.same(check.errors, [], `round ${round}: indexes, documents and counts agree`)
      t.ok(check.documents > 0)
    }
    const store = await openEmbedded({ dir, worker: false })
    const client = await new MongoClient(store.uri).connect()
    t.teardown(async () => {
      await client.close()
      await store.close()
    })
    const rows = await client.db().collection<any>('rows').find().toArray()
    const byId = new Map(rows.map((row) => [row._id, row]))
    const lost: string[] = []
    for (const id of inserted) {
      // A swap that was under way when the process died may have deleted the row it was told of.
      if (!byId.has(id) && !byId.has(`${id}+`)) lost.push(`insert ${id}`)
    }
    for (const id of updated) if (byId.has(id) && byId.get(id).n !== 1) lost.push(`update ${id}`)
    for (const id of swapped) if (byId.has(id) || !byId.has(`${id}+`)) lost.push(`swap ${id}`)
    for (const [writer, times] of counted) if (!(byId.get(`count ${writer}`)?.n >= times)) lost.push(`count ${writer}`)
    t.same(lost, [], `nothing of ${inserted.size + updated.size + swapped.size} acknowledged writes is lost`)
  }
)
