import { randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { chmod, link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Keyring, LiveRing } from './sealing.js'

/** The keys cannot be read, or cannot be kept; the message is for the person who starts the process. */
export class KeysFault extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'KeysFault'
  }
}

const KEY_BYTES = 32
/** How soon a process notices that another one changed the file, when nothing makes it look. */
const LOOK_EVERY_MS = 1_000
const KEY_NAME = /^[a-z0-9]{1,8}$/

const File = z.object({
  sealing: z.record(z.string().regex(KEY_NAME), z.string()),
  current: z.string(),
  /** When it became the current one; absent: it always was. */
  rotatedAt: z.string().optional(),
  hash: z.string()
})
type File = z.infer<typeof File>

const freshKey = () => randomBytes(KEY_BYTES).toString('base64url')

/** A new ring as one line for HONGYAN_KEYS: `hash:<key>,k1:<key>`; the first sealing key named is the current one. */
export function newKeyLine(): string {
  return `hash:${freshKey()},k1:${freshKey()}`
}

/** @throws KeysFault */
export function parseKeyLine(line: string): Keyring {
  const entries = line.split(',').map((entry) => {
    const [id = '', key = ''] = entry.trim().split(':')
    return { id, key: readKey(key, `HONGYAN_KEYS: ${id === '' ? 'an entry without a name' : `the key "${id}"`}`) }
  })
  const hash = entries.find(({ id }) => id === 'hash')
  const sealing = entries.filter(({ id }) => id !== 'hash')
  if (hash === undefined || sealing.length === 0) {
    throw new KeysFault('HONGYAN_KEYS is `hash:<key>,k1:<key>`; `hongyan keys new` prints one')
  }
  if (sealing.some(({ id }) => !KEY_NAME.test(id))) throw new KeysFault('names of keys are like k1, k2')
  return { sealing, hash: hash.key }
}

/** The ring in `<dir>/keys.json`; made on the first start, readable by its owner alone. @throws KeysFault */
export async function loadKeys(dir: string): Promise<{ keyring: Keyring; made: boolean }> {
  const path = join(dir, 'keys.json')
  const found = await readText(path)
  if (found !== null) return { keyring: toKeyring(parseFile(found, path)), made: false }
  const fresh: File = { current: 'k1', sealing: { k1: freshKey() }, hash: freshKey() }
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFile(temporary, `${JSON.stringify(fresh, null, 2)}\n`, { mode: 0o600 })
    // link fails when the file exists: of two processes starting at once both use the ring of the first.
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } catch (error) {
    throw new KeysFault(`the keys cannot be written to ${dir}: ${reason(error)}`, error)
  } finally {
    await unlink(temporary).catch(() => {})
  }
  return { keyring: toKeyring(parseFile((await readText(path)) ?? '', path)), made: true }
}

/** A ring as a line for HONGYAN_KEYS. */
export function toKeyLine({ sealing, hash }: Keyring): string {
  const entries = [{ id: 'hash', key: hash }, ...sealing]
  return entries.map(({ id, key }) => `${id}:${key.toString('base64url')}`).join(',')
}

/** The ring with one key more, which opens and does not seal yet; its name. */
export function withKey({ sealing, hash }: Keyring): { keyring: Keyring; id: string } {
  const id = nextName(sealing.map((each) => each.id))
  return { keyring: { sealing: [...sealing, { id, key: randomBytes(KEY_BYTES) }], hash }, id }
}

/** The ring with another current key. @throws KeysFault when it has none of this name */
export function withCurrent({ sealing, hash }: Keyring, id: string): Keyring {
  const current = sealing.find((each) => each.id === id)
  if (current === undefined) throw new KeysFault(`there is no key "${id}" in this ring`)
  return { sealing: [current, ...sealing.filter((each) => each !== current)], hash }
}

/** The ring without a key. @throws KeysFault when it has none of this name, or it is the current one */
export function withoutKey({ sealing, hash }: Keyring, id: string): Keyring {
  if (!sealing.some((each) => each.id === id)) throw new KeysFault(`there is no key "${id}" in this ring`)
  if (sealing[0]?.id === id) throw new KeysFault(`"${id}" is the current key: rotate to another one first`)
  return { sealing: sealing.filter((each) => each.id !== id), hash }
}

/** Adds a key to the file that opens and does not seal yet; its name. @throws KeysFault */
export async function addKey(dir: string): Promise<string> {
  const { path, file } = await fileOf(dir)
  const id = nextName(Object.keys(file.sealing))
  await write(path, { ...file, sealing: { ...file.sealing, [id]: freshKey() } })
  return id
}

/** Makes a key of the file the current one at `now`; older values stay readable. @throws KeysFault */
export async function rotateKeys(dir: string, id: string, now: Date): Promise<void> {
  const { path, file } = await fileOf(dir)
  if (!(id in file.sealing)) throw new KeysFault(`there is no key "${id}" in ${path}`)
  await write(path, { ...file, current: id, rotatedAt: now.toISOString() })
}

/** When the current key of the file became that; null: it always was. @throws KeysFault */
export async function rotatedAt(dir: string): Promise<Date | null> {
  const { rotatedAt } = (await fileOf(dir)).file
  return rotatedAt === undefined ? null : new Date(rotatedAt)
}

/** Takes a key out of the file. What is still sealed with it is lost. @throws KeysFault when it is the current one */
export async function dropKey(dir: string, id: string): Promise<void> {
  const { path, file } = await fileOf(dir)
  withoutKey(toKeyring(file), id)
  const { [id]: _gone, ...sealing } = file.sealing
  await write(path, { ...file, sealing })
}

/**
 * The ring of a file that commands may change while this process runs: looked at again every second at most, and at
 * once for a value sealed with a key that is not known yet. A file that is damaged meanwhile changes nothing.
 */
export function watchKeys(dir: string, keyring: Keyring): LiveRing {
  const path = join(dir, 'keys.json')
  let known = keyring
  let stamp = stampOf(path)
  let lookedAt = performance.now()
  function look(): Keyring {
    lookedAt = performance.now()
    const now = stampOf(path)
    if (now === stamp) return known
    try {
      const read = toKeyring(parseFile(readFileSync(path, 'utf8'), path))
      // Another ring altogether is no newer state of this one.
      if (read.hash.equals(known.hash)) known = read
      stamp = now
    } catch {
      // said by the command that damaged it, and at the next start
    }
    return known
  }
  return { now: () => (performance.now() - lookedAt < LOOK_EVERY_MS ? known : look()), fresh: look }
}

function stampOf(path: string): string {
  const seen = statSync(path, { throwIfNoEntry: false })
  return seen === undefined ? '' : `${seen.mtimeMs} ${seen.ino} ${seen.size}`
}

/** Keys are numbered in the order they were made; of two the one with the higher number is the newer. */
export const numberOf = (id: string): number => Number(/\d+$/.exec(id)?.[0] ?? 0)

/** k1, k2, …: a name that was never given, as far as the ring knows. */
const nextName = (ids: readonly string[]): string => `k${Math.max(0, ...ids.map(numberOf)) + 1}`

async function fileOf(dir: string): Promise<{ path: string; file: File }> {
  await loadKeys(dir)
  const path = join(dir, 'keys.json')
  return { path, file: parseFile((await readText(path)) ?? '', path) }
}

async function write(path: string, next: File): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(temporary, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 })
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw new KeysFault(`${path} cannot be written: ${reason(error)}`, error)
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return null
    throw new KeysFault(`the keys in ${path} cannot be read: ${reason(error)}`, error)
  }
}

function parseFile(text: string, path: string): File {
  try {
    return File.parse(JSON.parse(text))
  } catch (error) {
    throw new KeysFault(`${path} is damaged: restore it from a backup; without it nothing sealed can be read`, error)
  }
}

function toKeyring({ sealing, current, hash }: File): Keyring {
  const ids = [current, ...Object.keys(sealing).filter((id) => id !== current)]
  return {
    sealing: ids.map((id) => ({ id, key: readKey(sealing[id] ?? '', `the key "${id}"`) })),
    hash: readKey(hash, 'the key "hash"')
  }
}

function readKey(text: string, name: string): Buffer {
  const key = Buffer.from(text, 'base64url')
  if (key.length !== KEY_BYTES) throw new KeysFault(`${name} is not ${KEY_BYTES} bytes of base64url`)
  return key
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))
