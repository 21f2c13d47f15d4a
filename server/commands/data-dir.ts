import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory } from '../embedded/storage/directory.js'
import { Fault } from './command.js'

/** Where the embedded store lives under HONGYAN_DATA. */
export const storeDir = (dataDir: string): string => join(dataDir, 'store')

const REASONS: Record<string, string> = {
  EEXIST: 'it is not a directory',
  ENOTDIR: 'it is not a directory',
  EROFS: 'it is read-only',
  ENOENT: 'nothing can be made there',
  ENAMETOOLONG: 'its path is too long',
  ENOSPC: 'no space is left there',
  EACCES: 'no permission',
  EPERM: 'no permission'
}

/** @throws Fault when files cannot be made in it */
export async function mustBeWritable(dir: string): Promise<void> {
  try {
    await makeDirectory(dir)
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw new Fault(
      `the data directory ${dir} cannot be written to (${REASONS[code] ?? code}); choose another with HONGYAN_DATA`
    )
  }
}

/** @throws Fault when others can read the file too (where the system knows of others) */
export async function mustBePrivate(path: string): Promise<void> {
  const { mode } = await stat(path)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new Fault(`${path} can be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 it`)
  }
}
