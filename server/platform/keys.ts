import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Keyring } from './sealing.js'

/** The keys cannot be read, or cannot be kept; the message is for the person who starts the process. */
export class KeysFault extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'KeysFault'
  }
}

const KEY_BYTES = 32
const File = z.object({ sealing: z.record(z.string(), z.string()), current: z.string(), hash: z.string() })
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
    return { id, key: readKey(key, id === '' ? 'an entry without a name' : `the key "${id}"`) }
  })
  const hash = entries.find(({ id }) => id === 'hash')
  const sealing = entries.filter(({ id }) => id !== 'hash')
  if (hash === undefined || sealing.length === 0) {
    throw new KeysFault('HONGYAN_KEYS is `hash:<key>,k1:<key>`; `hongyan keys new` prints one')
  }
  if (sealing.some(({ id }) => !/^[a-z0-9]{1,8}$/.test(id))) throw new KeysFault('names of keys are like k1, k2')
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

/** Adds a sealing key to the file and makes it current; older values stay readable. Its name. @throws KeysFault */
export async function rotateKeys(dir: string): Promise<string> {
  await loadKeys(dir)
  const path = join(dir, 'keys.json')
  const file = parseFile((await readText(path)) ?? '', path)
  let number = Object.keys(file.sealing).length + 1
  while (`k${number}` in file.sealing) number += 1
  const current = `k${number}`
  const next: File = { ...file, current, sealing: { ...file.sealing, [current]: freshKey() } }
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(temporary, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 })
    await chmod(temporary, 0o600)
    await rename(temporary, path)
  } catch (error) {
    throw new KeysFault(`the keys cannot be written to ${dir}: ${reason(error)}`, error)
  }
  return current
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
