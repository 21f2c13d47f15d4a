import type { Connection } from 'mongoose'
import type { Identify, ImportFault, ImportResult } from '../../../shared/person.js'
import type { Accounts } from '../../accounts/accounts.js'
import type { Operations } from '../../operations/operations.js'
import type { Clock } from '../../platform/clock.js'
import { AppError, NotFound } from '../../platform/errors.js'
import { newId } from '../../platform/ids.js'
import type { Jobs } from '../../platform/jobs.js'
import type { Log } from '../../platform/log.js'
import type { Sealer } from '../../platform/sealing.js'
import type { People } from '../people.js'
import { readHeader } from './columns.js'
import { importModel, type ImportRow } from './model.js'
import { readCsv, readNdjson, type FileRow } from './reading.js'
import { bodyOf } from './rows.js'
import { createUploads, FileTooLarge } from './uploads.js'

export { FileTooLarge }

/** Fixed lists people can be put into; the audiences room. */
export type Lists = {
  /** The list's present filling. @throws NotFound, InvalidInput for an audience by rule */
  fill(audienceId: string): Promise<string>
  /** @returns how many were not in it before @throws Conflict when the list was replaced meanwhile */
  join(list: { audienceId: string; listId: string }, personIds: string[]): Promise<number>
}

export type ImportParts = {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  jobs: Jobs
  operations: Operations
  accounts: Pick<Accounts, 'get'>
  people: Pick<People, 'identifyAll'>
  lists: Lists
  /** The largest file taken, in bytes. */
  maxBytes?: number | undefined
}

/** A file as it comes in, and who sends it. */
export type Incoming = {
  format: 'csv' | 'ndjson'
  source: AsyncIterable<Uint8Array>
  audienceId: string | null
  /** Our id of the account whose openids these are, where the rows do not say. */
  accountId: string | null
  /** The accounts the sender may use; null: all. */
  accountIds: string[] | null
}

/** A million rows of people with a dozen attributes stay below this. */
const MAX_BYTES = 256 * 1024 * 1024
/** Rows stored together; then the place in the file is noted. */
const BATCH = 500
const FAULTS_KEPT = 200
/** An import nobody has moved on for this long has lost its job. */
const STUCK_MS = 60_000
const SWEEP_EVERY_MS = 60_000
/** What fails so often in a row at the same place will not come right. */
const TRIES = 8
const LIFE_MS = 2 * 86_400_000

/**
 * People by the file. The file is kept first, sealed; a job then works through it row by row and notes its place after
 * each batch, so that a crash repeats a batch, which changes nothing, and skips none.
 */
export function createImports(parts: ImportParts) {
  const { db, clock, log, jobs, operations, accounts, people, lists } = parts
  const maxBytes = parts.maxBytes ?? MAX_BYTES
  const { rows, createIndexes } = importModel(db)
  const uploads = createUploads(parts)

  jobs.define('people.import', async ({ data, signal }) => carryOn(data.id, signal), { concurrency: 2 })
  jobs.define('people.imports', async () => {
    const silent = { state: 'running' as const, touchedAt: { $lt: new Date(clock.now().getTime() - STUCK_MS) } }
    for (const { _id } of await rows.find(silent, { projection: { _id: 1 } }).toArray()) await begin(_id)
  })

  const begin = (id: string) => jobs.now('people.import', { id }, { uniqueKey: id })

  async function carryOn(id: string, signal: AbortSignal): Promise<void> {
    const row = await rows.findOne({ _id: id, state: 'running' })
    if (row === null) return
    const operation = operations.resume(id)
    try {
      const result = await workThrough(row, signal, (done) => operation.progress(done))
      if (result === null) return // another worker has gone on with it
      await operation.progress(result.rows, result.rows)
      await operation.done(result)
      await close(row, 'done')
      log.info({ operation: id, ...result, faults: undefined }, 'people were imported')
    } catch (error) {
      if (signal.aborted) throw error
      const { tries = 0 } =
        (await rows.findOneAndUpdate({ _id: id }, { $inc: { tries: 1 } }, { returnDocument: 'after' })) ?? {}
      const hopeless = error instanceof AppError && error.status < 500
      if (!hopeless && tries < TRIES) throw error
      const { result } = (await rows.findOne({ _id: id })) ?? row
      const said = error instanceof Error ? error.message : String(error)
      await operation.failed(new Error(`stopped after ${result.rows} rows, which are stored: ${said}`))
      await close(row, 'failed')
      log.warn({ err: error, operation: id }, 'an import stopped')
    }
  }

  async function close({ _id, file }: ImportRow, state: 'done' | 'failed'): Promise<void> {
    await rows.updateOne({ _id }, { $set: { state, touchedAt: clock.now() } })
    await uploads.drop(file)
  }

  /** @returns what came of the whole file; null when another worker has gone on with it */
  async function workThrough(
    from: ImportRow,
    signal: AbortSignal,
    progress: (rows: number) => Promise<void>
  ): Promise<ImportResult | null> {
    const open = (place: number) => uploads.read(from.file, place)
    const reading = from.format === 'csv' ? readCsv(open, from.delimiter, from) : readNdjson(open, from)
    const accountOf = createAccountNames(accounts, from.accountIds)
    let at = from
    for await (const read of inBatches(reading)) {
      if (signal.aborted) throw new Error('stopping')
      const next = await store(at, read, accountOf)
      if (next === null) return null
      at = next
      await progress(at.result.rows)
    }
    return at.result
  }

  /** Stores a batch, then notes how far the file is. @returns the row as it is then; null: another worker was faster */
  async function store(at: ImportRow, part: FileRow[], accountOf: AccountNames): Promise<ImportRow | null> {
    const faults: ImportFault[] = []
    const good: { row: number; body: Identify }[] = []
    for (const read of part) {
      const verdict = bodyOf(read, at.columns, at.accountId)
      if (verdict === null) continue
      if ('fault' in verdict) faults.push({ row: verdict.row, ...verdict.fault })
      else {
        const { body, row } = verdict
        const account = body.openId === undefined ? null : await accountOf(body.accountId!)
        if (account === undefined) faults.push({ row, ...NO_ACCOUNT })
        else good.push({ row, body: account === null ? body : { ...body, accountId: account } })
      }
    }
    const said = good.length + faults.length
    const made = await people.identifyAll(
      good.map(({ body }) => body),
      at.accountIds
    )
    const count = { created: 0, changed: 0, unchanged: 0 }
    const persons = new Set<string>()
    for (const [i, each] of made.entries()) {
      if (each === null) faults.push({ row: good[i]!.row, ...HIDDEN })
      else {
        count[each.outcome] += 1
        persons.add(each.personId)
      }
    }
    const joined = at.list === null ? 0 : await lists.join(at.list, [...persons])
    const { result } = at
    const next = {
      position: part.at(-1)!.end,
      row: part.at(-1)!.row,
      result: {
        rows: result.rows + said,
        created: result.created + count.created,
        changed: result.changed + count.changed,
        unchanged: result.unchanged + count.unchanged,
        failed: result.failed + faults.length,
        joined: result.joined + joined,
        faults: [...result.faults, ...faults.sort((a, b) => a.row - b.row)].slice(0, FAULTS_KEPT)
      }
    }
    return rows.findOneAndUpdate(
      { _id: at._id, state: 'running', position: at.position },
      { $set: { ...next, tries: 0, touchedAt: clock.now() } },
      { returnDocument: 'after' }
    )
  }

  return {
    maxBytes,

    /** Makes the indexes, and sees to it that imports whose process died are taken up. */
    async ready(): Promise<void> {
      await createIndexes()
      await uploads.ready()
      await jobs.every(SWEEP_EVERY_MS, 'people.imports')
    },

    /**
     * Takes a file in and begins to work through it. @returns the operation to watch
     * @throws InvalidInput for a header or an encoding that cannot be used, FileTooLarge, NotFound for an unknown list
     */
    async start({ format, source, audienceId, accountId, accountIds }: Incoming) {
      const listId = audienceId === null ? null : await lists.fill(audienceId)
      const file = newId()
      let sheet: ReturnType<typeof readHeader> | null = null
      const look = (head: string) => {
        if (format === 'csv') sheet = readHeader(head, accountId !== null)
      }
      await uploads.keep(file, source, { maxBytes, look })
      const operation = await operations.start('people.import', undefined, accountId ?? accountIds?.[0])
      const now = clock.now()
      const {
        delimiter = '',
        columns = null,
        start = 0,
        row = 0
      } = (sheet ?? {}) as Partial<ReturnType<typeof readHeader>>
      await rows.insertOne({
        _id: operation.id,
        file,
        state: 'running',
        format,
        delimiter,
        columns,
        accountId,
        accountIds,
        list: audienceId === null || listId === null ? null : { audienceId, listId },
        position: start,
        row,
        result: { rows: 0, created: 0, changed: 0, unchanged: 0, failed: 0, joined: 0, faults: [] },
        tries: 0,
        touchedAt: now,
        expireAt: new Date(now.getTime() + LIFE_MS)
      })
      await begin(operation.id)
      return operation
    }
  }
}
export type Imports = ReturnType<typeof createImports>

/** Rows as they are read, BATCH at a time. */
async function* inBatches(reading: AsyncIterable<FileRow[]>): AsyncGenerator<FileRow[]> {
  let waiting: FileRow[] = []
  for await (const read of reading) {
    waiting = waiting.length === 0 ? read : waiting.concat(read)
    let from = 0
    for (; waiting.length - from >= BATCH; from += BATCH) yield waiting.slice(from, from + BATCH)
    if (from > 0) waiting = waiting.slice(from)
  }
  if (waiting.length > 0) yield waiting
}

/** Our id of an account a row names; undefined when there is none the sender may use. */
type AccountNames = (idOrAppId: string) => Promise<string | undefined>

function createAccountNames(accounts: Pick<Accounts, 'get'>, allowed: string[] | null): AccountNames {
  const known = new Map<string, string | undefined>()
  return async (name) => {
    if (known.has(name)) return known.get(name)
    const account = await accounts.get(name).catch((error: unknown) => {
      if (error instanceof NotFound) return null
      throw error
    })
    const id = account !== null && (allowed === null || allowed.includes(account.id)) ? account.id : undefined
    // a file of nonsense must not fill the memory
    if (known.size < 1_000) known.set(name, id)
    return id
  }
}

const NO_ACCOUNT = { field: 'accountId', rule: 'accounts.not-found', message: 'no such account' }
const HIDDEN = { field: '', rule: 'people.not-found', message: 'there is no such person' }
