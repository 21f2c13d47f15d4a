import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from './command.js'

/** Where the embedded store lives under HONGYAN_DATA. */
export const storeDir = (dataDir: string): string => join(dataDir, 'store')

/** @throws Fault when files cannot be made in it */
export async function mustBeWritable(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? 'it is not a directory'
        : code === 'EROFS'
          ? 'it is read-only'
          : 'no permission'
    throw new Fault(`the data directory ${dir} cannot be written to (${why}); choose another with HONGYAN_DATA`)
  }
}
