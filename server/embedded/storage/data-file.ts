import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { EmbeddedStoreError, explainStoreError } from './store-error.js'

/*
 * lmdb trusts its file: where that was cut off, filled with something else or written by another program, it takes the
 * process down. So the file is looked at first, by its layout in lmdb's mdb.c (data version 2), little-endian.
 */
const MAGIC = 0xbeefc0de
const DATA_VERSION = 2
const PAGE_HEADER = 24
const PAGE = { branch: 0x01, leaf: 0x02, overflow: 0x04 }
const NODE = { header: 8, big: 0x01, tree: 0x02 }
const META_BYTES = 24 + 144 // up to and with boot_id
const TREE_BYTES = 48
const NO_PAGE = 0xffff_ffff_ffff_ffffn
const TABLES = ['recs', 'idx', 'meta']
const MOST_FAULTS = 20

type Tree = { depth: number; root: bigint }
type Meta = { pageBytes: number; free: Tree; main: Tree; lastPage: bigint; txn: bigint; boot: bigint }
type DataFile = { handle: number; bytes: number; metas: Meta[] }

/**
 * Makes sure that lmdb can open `dir`: the file is absent, empty or a store of ours, and whole.
 * @throws EmbeddedStoreError store.damaged, store.foreign, store.too-new
 */
export function inspectDataFile(dir: string): void {
  withDataFile(dir, 'r+', (file) => {
    const [latest] = file.metas
    for (const name of tableNames(file, latest) ?? []) {
      if (TABLES.includes(name)) continue
      throw new EmbeddedStoreError(
        'store.foreign',
        `The file data.mdb in ${dir} belongs to another program (it holds "${name}"). Choose another directory.`
      )
    }
    const needed = Number(latest.lastPage + 1n) * latest.pageBytes
    if (file.bytes >= needed) return
    // Pages at the end that were free again before they were written may be missing, and nothing else.
    if (faultsOfLatest(file).length > 0) throw cutOff(dir, file.bytes, needed)
    ftruncateSync(file.handle, needed) // or reading what is not there would end the process
  })
}

/** What is wrong with the pages of the store in `dir`, in words; empty when every page is what it should be. */
export function pageFaults(dir: string): string[] {
  return withDataFile(dir, 'r', faultsOfLatest) ?? []
}

function withDataFile<T>(dir: string, flags: string, look: (file: DataFile) => T): T | null {
  let handle: number
  try {
    handle = openSync(join(dir, 'data.mdb'), flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw explainStoreError(dir, error)
  }
  try {
    const { size: bytes } = fstatSync(handle)
    if (bytes === 0) return null // a first start that did not come far
    return look({ handle, bytes, metas: readMetas(dir, handle, bytes) })
  } finally {
    closeSync(handle)
  }
}

/** The states lmdb may open the file in, the latest first. */
function readMetas(dir: string, handle: number, bytes: number): Meta[] {
  const first = readAt(handle, 0, META_BYTES)
  if (first.length < META_BYTES || first.readUInt32LE(24) !== MAGIC) {
    throw explainStoreError(dir, new Error('MDB_INVALID: data.mdb is not an LMDB file'))
  }
  const version = first.readUInt32LE(28) & 0xffff
  if (version !== DATA_VERSION) {
    throw new EmbeddedStoreError(
      version > DATA_VERSION ? 'store.too-new' : 'store.foreign',
      `The file data.mdb in ${dir} has LMDB's data version ${version}, not ${DATA_VERSION}: another version or another program wrote it. Use that one, or choose another directory.`
    )
  }
  const pageBytes = first.readUInt32LE(48)
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0 || bytes < 2 * pageBytes) {
    throw cutOff(dir, bytes, 2 * (pageBytes || 4096))
  }
  // Two that are written in turn, and lmdb-js's third, the last one known to be on the disk.
  const metas = [0, pageBytes, pageBytes / 2].map((at) => parseMeta(readAt(handle, at, META_BYTES), pageBytes))
  const written = metas.filter((meta) => meta.txn > 0n || meta === metas[0]).sort((a, b) => (a.txn < b.txn ? 1 : -1))
  // Since the machine was started nothing that was written can be missing; else lmdb may have to go back.
  return written[0].boot !== 0n && written[0].boot === bootId() ? [written[0]] : written
}

/** What lmdb-js knows this run of the machine by; 0 where it does not. */
function bootId(): bigint {
  try {
    return BigInt(`0x${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').split('-')[0]}`)
  } catch {
    return 0n
  }
}

function parseMeta(page: Buffer, pageBytes: number): Meta {
  return {
    pageBytes,
    free: parseTree(page, 48),
    main: parseTree(page, 96),
    lastPage: page.readBigUInt64LE(144),
    txn: page.readBigUInt64LE(152),
    boot: page.readBigUInt64LE(160)
  }
}

const parseTree = (bytes: Buffer, at: number): Tree => ({
  depth: bytes.readUInt16LE(at + 6),
  root: bytes.readBigUInt64LE(at + 40)
})

const cutOff = (dir: string, bytes: number, needed: number) =>
  new EmbeddedStoreError(
    'store.damaged',
    `The file data.mdb in ${dir} was cut off: it has ${bytes} of ${needed} bytes. Restore a backup into an empty directory.`
  )

/** The names of the tables in the file; null when their page cannot be read. */
function tableNames(file: DataFile, meta: Meta): string[] | null {
  if (meta.main.root === NO_PAGE) return []
  const page = readPage(file, meta, meta.main.root)
  if (page === null || (page.readUInt16LE(18) & PAGE.leaf) === 0) return null
  const names = nodesOf(page)?.map((at) => page.toString('latin1', at + 8, at + 8 + page.readUInt16LE(at + 6)))
  return names?.map((name) => name.replace(/\0$/, '')) ?? null
}

/** What is wrong in the latest state; nothing when that one, or one lmdb can go back to, is whole. */
function faultsOfLatest(file: DataFile): string[] {
  const [latest, ...before] = file.metas
  const faults = faultsOf(file, latest)
  return faults.length > 0 && before.some((meta) => faultsOf(file, meta).length === 0) ? [] : faults
}

function faultsOf(file: DataFile, meta: Meta): string[] {
  const faults: string[] = []
  const note = (page: bigint, what: string) => {
    if (faults.length < MOST_FAULTS) faults.push(`page ${page} of data.mdb ${what}`)
  }

  function walkTree(tree: Tree): void {
    if (tree.root !== NO_PAGE) walkPage(tree.root, tree.depth)
  }

  function walkPage(number: bigint, depth: number): void {
    if (faults.length >= MOST_FAULTS) return
    const page = readPage(file, meta, number)
    if (page === null) return note(number, 'is missing')
    const wanted = depth > 1 ? PAGE.branch : PAGE.leaf
    const nodes = page.readBigUInt64LE(0) === number && page.readUInt16LE(18) & wanted ? nodesOf(page) : null
    if (nodes === null) return note(number, 'holds something else than it should')
    for (const at of nodes) {
      const flags = page.readUInt16LE(at + 4)
      if (depth > 1) {
        walkPage(BigInt(page.readUInt32LE(at)) + (BigInt(flags) << 32n), depth - 1)
        continue
      }
      const data = at + NODE.header + page.readUInt16LE(at + 6)
      if (flags & NODE.big) walkOverflow(page.readBigUInt64LE(data))
      else if (data + page.readUInt32LE(at) > page.length) note(number, 'holds a value longer than itself')
      else if (flags & NODE.tree && page.readUInt32LE(at) >= TREE_BYTES) walkTree(parseTree(page, data))
    }
  }

  function walkOverflow(number: bigint): void {
    const page = readPage(file, meta, number)
    if (page === null) return note(number, 'is missing')
    const count = page.readUInt32LE(20)
    if (page.readBigUInt64LE(0) !== number || (page.readUInt16LE(18) & PAGE.overflow) === 0)
      return note(number, 'holds something else than it should')
    if ((Number(number) + count) * meta.pageBytes > file.bytes) note(number, 'begins a value that is cut off')
  }

  walkTree(meta.free)
  walkTree(meta.main)
  return faults
}

/** Where a tree page's nodes begin; null when it cannot be a tree page. */
function nodesOf(page: Buffer): number[] | null {
  const count = page.readUInt16LE(20) >> 1
  if (count === 0 || PAGE_HEADER + 2 * count > page.length) return null
  const nodes: number[] = []
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER + page.readUInt16LE(PAGE_HEADER + 2 * i)
    if (at + NODE.header > page.length || at + NODE.header + page.readUInt16LE(at + 6) > page.length) return null
    nodes.push(at)
  }
  return nodes
}

function readPage(file: DataFile, { pageBytes, lastPage }: Meta, number: bigint): Buffer | null {
  if (number < 2n || number > lastPage) return null
  const page = readAt(file.handle, Number(number) * pageBytes, pageBytes)
  return page.length === pageBytes ? page : null
}

function readAt(handle: number, at: number, bytes: number): Buffer {
  const into = Buffer.alloc(bytes)
  return into.subarray(0, readSync(handle, into, 0, bytes, at))
}
