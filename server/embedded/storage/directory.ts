import { randomBytes } from 'node:crypto'
import { chmod, mkdir, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { explainStoreError } from './store-error.js'

const FILES = ['data.mdb', 'lock.mdb']

/**
 * Makes a directory, and those above it that are missing, for this user alone. Node's own recursive mkdir never comes
 * back from places where nothing can be made, like /proc. Rejects with the file system's error.
 */
export async function makeDirectory(dir: string): Promise<void> {
  const missing: string[] = []
  for (let at = resolve(dir); ; at = dirname(at)) {
    try {
      if ((await stat(at)).isDirectory()) break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(at) === at) throw error
      missing.unshift(at)
      continue
    }
    throw Object.assign(new Error(`${at} is not a directory`), { code: 'ENOTDIR' })
  }
  for (const each of missing) {
    await mkdir(each, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error // somebody else was quicker
    })
  }
}

/** Makes sure that `dir` exists, can be written and is closed to other users. @throws EmbeddedStoreError */
export async function prepareDirectory(dir: string): Promise<void> {
  try {
    await makeDirectory(dir)
    const probe = join(dir, `.probe-${randomBytes(6).toString('hex')}`)
    await writeFile(probe, '', { mode: 0o600 })
    await unlink(probe)
  } catch (error) {
    throw explainStoreError(dir, error)
  }
  await closeToOthers(dir, 0o700)
}

/** Takes other users' rights from the store's files: lmdb makes them by the umask. */
export async function keepPrivate(dir: string): Promise<void> {
  await closeToOthers(dir, 0o700)
  for (const file of FILES) await closeToOthers(join(dir, file), 0o600)
}

async function closeToOthers(path: string, mode: number): Promise<void> {
  if (process.platform === 'win32') return
  const found = await stat(path).catch(() => null)
  if (found === null || (found.mode & 0o077) === 0) return
  await chmod(path, mode).catch(() => {}) // another user's: theirs to decide
}
