import { chmod, readdir, rm, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join, resolve as resolvePath } from 'node:path'
import { decode, encode, fromPlain, toPlain } from '../bson/document.js'
import { createFrameReader, frameRequest } from '../wire/frames.js'
import { checkFiles } from './check.js'
import type { CheckResult } from './check.js'
import { keepPrivate, makeDirectory } from './directory.js'
import { openEnv } from './env.js'
import { findOwner } from './ownership.js'
import type { Owner } from './ownership.js'
import { EmbeddedStoreError, explainStoreError } from './store-error.js'

/**
 * Copies a store to the empty directory `to`, leaving out free pages; the copy opens like the original. Works on a store
 * in use too (the process that has it open does the copying, from one moment's state).
 * @throws EmbeddedStoreError
 */
export async function backupStore(dir: string, to: string): Promise<void> {
  const source = resolvePath(dir)
  const target = resolvePath(to)
  const owner = await findOwner(source)
  if (owner === null) await refuseMissing(source)
  await refuseFilled(target)
  try {
    if (owner !== null) await askOwner(owner, { hongyanBackup: 1, to: target })
    else await copyFiles(source, target)
    await chmod(join(target, 'data.mdb'), 0o600)
  } catch (error) {
    await rm(join(target, 'data.mdb'), { force: true }) // half a copy would be taken for one
    throw error
  }
}

async function copyFiles(dir: string, target: string): Promise<void> {
  const env = openEnv(dir)
  try {
    await env.root.backup(target, true)
  } catch (error) {
    throw explainStoreError(target, error)
  } finally {
    await env.close()
    await keepPrivate(dir)
  }
}

/**
 * Compares every index entry with its document, and the counts with what is there. Works on a store in use too.
 * @throws EmbeddedStoreError
 */
export async function checkStore(dir: string): Promise<CheckResult> {
  const source = resolvePath(dir)
  const ask = async (owner: Owner): Promise<CheckResult> => {
    const { collections, documents, errors } = await askOwner(owner, { hongyanCheck: 1 })
    return { collections, documents, errors }
  }
  const before = await findOwner(source)
  if (before !== null) return ask(before)
  await refuseMissing(source)
  const result = await checkFiles(source)
  await keepPrivate(source)
  // Somebody may have begun to write meanwhile; then what we saw of documents and indexes belongs to different moments.
  const after = result.errors.length > 0 ? await findOwner(source) : null
  return after === null ? result : ask(after)
}

async function refuseMissing(dir: string): Promise<void> {
  const there = await stat(join(dir, 'data.mdb')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw explainStoreError(dir, error)
  })
  if (!there)
    throw new EmbeddedStoreError(
      'store.not-a-directory',
      `There is no store in ${dir}. Name the directory that holds its data.mdb.`
    )
}

async function refuseFilled(to: string): Promise<void> {
  try {
    await makeDirectory(to)
    if ((await readdir(to)).length === 0) return
  } catch (error) {
    throw explainStoreError(to, error)
  }
  throw new EmbeddedStoreError(
    'store.in-use',
    `The directory ${to} is not empty. Name an empty or new one for the copy.`
  )
}

/** Sends one command to the owner's socket. @throws EmbeddedStoreError */
async function askOwner({ endpoint }: Owner, command: Record<string, unknown>): Promise<Record<string, any>> {
  if (!('path' in endpoint)) {
    throw new EmbeddedStoreError(
      'store.in-use',
      'The store is in use and cannot be asked from outside on this system. Stop its process first.'
    )
  }
  const gone = () =>
    new EmbeddedStoreError('store.not-started', 'The process that has the store open ended meanwhile. Try again.')
  const reply = await new Promise<Record<string, any>>((resolve, reject) => {
    const socket = createConnection(endpoint)
    const reader = createFrameReader()
    socket.once('error', () => reject(gone()))
    socket.once('close', () => reject(gone()))
    socket.on('data', (chunk) => {
      for (const message of reader.push(chunk as Buffer)) {
        resolve(toPlain(decode(message.body)))
        socket.destroy()
      }
    })
    socket.write(frameRequest(1, Buffer.from(encode(fromPlain({ ...command, $db: 'admin' })))))
  })
  if (reply.ok !== 1) throw explainStoreError(String(command.to ?? ''), new Error(String(reply.errmsg)))
  return reply
}
