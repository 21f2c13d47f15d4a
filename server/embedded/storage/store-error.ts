/** What keeps a store from opening or writing; `code` is stable, the message names the path and the cure. */
export type StoreErrorCode =
  | 'store.not-a-directory'
  | 'store.not-writable'
  | 'store.disk-full'
  | 'store.in-use'
  | 'store.damaged'
  | 'store.foreign'
  | 'store.too-new'
  | 'store.not-started'

/** The embedded store cannot be used as asked. Meant for a person: the message says what to do. */
export class EmbeddedStoreError extends Error {
  override name = 'EmbeddedStoreError'

  constructor(
    readonly code: StoreErrorCode,
    message: string,
    cause?: unknown
  ) {
    super(message, { cause })
  }
}

/** The clear form of a file system's or lmdb's error about `path`; errors of other kinds come back as they are. */
export function explainStoreError(path: string, error: unknown): unknown {
  if (error instanceof EmbeddedStoreError) return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  const text = error instanceof Error ? error.message : String(error)
  if (code === 'ENOTDIR' || code === 'EEXIST' || /not a directory/i.test(text)) {
    return new EmbeddedStoreError(
      'store.not-a-directory',
      `The store directory ${path} is not a directory. Name a directory, or move the file that is in its place.`,
      error
    )
  }
  if (
    code === 'EACCES' ||
    code === 'EPERM' ||
    code === 'EROFS' ||
    /permission denied|read-only file system/i.test(text)
  ) {
    return new EmbeddedStoreError(
      'store.not-writable',
      `The store directory ${path} cannot be written. Give this user write permission there, or choose another directory.`,
      error
    )
  }
  if (code === 'ENAMETOOLONG') {
    return new EmbeddedStoreError(
      'store.not-a-directory',
      `The path of the store directory is too long (${path.length} characters). Choose a shorter one.`,
      error
    )
  }
  if (code === 'ENOENT' || code === 'ENODEV' || code === 'ELOOP') {
    return new EmbeddedStoreError(
      'store.not-writable',
      `The store directory ${path} cannot be made there (${code}). Choose another directory.`,
      error
    )
  }
  if (isDiskFull(error)) {
    return new EmbeddedStoreError(
      'store.disk-full',
      `There is no space left for the store in ${path}. Free some space on that disk; nothing acknowledged is lost.`,
      error
    )
  }
  // lmdb answers a write cut short, which is how a disk fills up, with this too (mdb.c: "short write, filesystem full?").
  if (code === 'EIO' || /input\/output error/i.test(text)) {
    return new EmbeddedStoreError(
      'store.disk-full',
      `The store in ${path} could not be written: there is no space left, or the disk fails. Free some space on that disk or look at its health; nothing acknowledged is lost.`,
      error
    )
  }
  if (/MDB_(INVALID|CORRUPTED|PAGE_NOTFOUND|VERSION_MISMATCH|PANIC)/.test(text)) {
    return new EmbeddedStoreError(
      'store.damaged',
      `The store in ${path} cannot be read (${text}). Restore a backup into an empty directory.`,
      error
    )
  }
  return error
}

/** Whether an error, or the commit error behind it, says that no space is left. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code
  const text = error instanceof Error ? error.message : String(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || /no space left|file too large|MDB_MAP_FULL|disk quota/i.test(text)
}
