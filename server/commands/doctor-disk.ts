import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { randomToken } from '../platform/ids.js'
import { FREE_SPACE, NOT_WRITABLE, Trouble } from './doctor-cures.js'
import type { Ground } from './ground.js'

/** Less than this is used up in a night by a busy installation's messages. */
const LEAST_BYTES = 256 * 2 ** 20
const PROBE_BYTES = 2 ** 20

/** How much room a directory's disk has; a file is really written and flushed there. @throws Trouble when that is too little */
export async function roomOn(dir: string): Promise<string> {
  const path = join(dir, `.doctor-${randomToken(6)}`)
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      const { bytesWritten } = await file.write(Buffer.alloc(PROBE_BYTES, 0xa5))
      if (bytesWritten < PROBE_BYTES) throw Object.assign(new Error('write cut short'), { code: 'ENOSPC' })
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOSPC' || code === 'EFBIG' || code === 'EDQUOT' || code === 'EIO') {
      throw new Trouble(`the disk of ${dir} is full: not even 1 MB can be written (${code})`, FREE_SPACE, error)
    }
    throw new Trouble(`nothing can be written to ${dir} (${code ?? String(error)})`, NOT_WRITABLE, error)
  } finally {
    await rm(path, { force: true })
  }
  const { bavail, bsize } = await statfs(dir)
  const free = bavail * bsize
  if (free < LEAST_BYTES) throw new Trouble(`only ${megabytes(free)} are free for ${dir}`, FREE_SPACE)
  return `${megabytes(free)} free for ${dir}`
}

/** Reading works long after a disk is full, or a primary is gone: does writing? @throws what the store says */
export async function writesTo({ db, clock }: Ground): Promise<void> {
  const probes = db.collection<{ _id: string; at: Date }>('settings')
  const _id = `doctor-${randomToken(6)}`
  await probes.insertOne({ _id, at: clock.now() })
  await probes.deleteOne({ _id })
}

const megabytes = (bytes: number) =>
  bytes >= 10 * 2 ** 30 ? `${Math.round(bytes / 2 ** 30)} GB` : `${Math.round(bytes / 2 ** 20)} MB`
