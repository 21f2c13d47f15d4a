import { mkdir, readdir, stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { resolve as resolvePath } from 'node:path'
import { decode, encode, fromPlain, toPlain } from '../bson/document.js'
import { createFrameReader, frameRequest } from '../wire/frames.js'
import { checkFiles } from './check.js'
import type { CheckResult } from './check.js'
import { openEnv } from './env.js'
import { findOwner } from './ownership.js'
import { EmbeddedStoreError, explainStoreError } from './store-error.js'

/**
 * Copies a store to the empty directory `to`, leaving out free pages; the copy opens like the original. Works on a store
 * in use too (the process that has it open does the copying, from one moment's state).
 * @throws EmbeddedStoreError
 */
export async function backupStore(dir: string, to: string): Promise<void> {
  const target = resolvePath(to)
  await refuseFilled(target)
  const uri = await findOwner(resolvePath(dir))
  if (uri !== null) {
    await askOwner(uri, { hongyanBackup: 1, to: target })
    return
  }
  await refuseMissing(dir)
  const env = openEnv(resolvePath(dir))
  try {
    await env.root.backup(target, true)
  } catch (error) {
    throw explainStoreError(target, error)
  } finally {
    await env.close()
  }
}

/**
 * Compares every index entry with its document, and the counts with what is there. Works on a store in use too.
 * @throws EmbeddedStoreError
 */
export async function checkStore(dir: string): Promise<CheckResult> {
  const uri = await findOwner(resolvePath(dir))
  if (uri === null) {
    await refuseMissing(dir)
    return checkFiles(resolvePath(dir))
  }
  const { collections, documents, errors } = await askOwner(uri, { hongyanCheck: 1 })
  return { collections, documents, errors }
}

async function refuseMissing(dir: string): Promise<void> {
  const there = await stat(resolvePath(dir, 'data.mdb')).catch(() => null)
  if (!there)
    throw new EmbeddedStoreError(
      'store.not-a-directory',
      `There is no store in ${dir}. Name the directory that holds its data.mdb.`
    )
}

async function refuseFilled(to: string): Promise<void> {
  try {
    await mkdir(to, { recursive: true, mode: 0o700 })
    if ((await readdir(to)).length === 0) return
  } catch (error) {
    throw explainStoreError(to, error)
  }
  throw new EmbeddedStoreError(
    'store.in-use',
    `The directory ${to} is not empty. Name an empty or new one for the copy.`
  )
}

/** Sends one command to the owner's socket. */
async function askOwner(uri: string, command: Record<string, unknown>): Promise<Record<string, any>> {
  const host = /^mongodb:\/\/([^/@]+)\//.exec(uri)?.[1]
  const path = host && decodeURIComponent(host)
  if (!path?.startsWith('/')) {
    throw new EmbeddedStoreError(
      'store.in-use',
      'The store is in use and cannot be asked from outside on this system. Stop its process first.'
    )
  }
  const reply = await new Promise<Record<string, any>>((resolve, reject) => {
    const socket = createConnection({ path })
    const reader = createFrameReader()
    socket.once('error', reject)
    socket.once('close', () =>
      reject(
        new EmbeddedStoreError('store.not-started', 'The process that has the store open ended meanwhile. Try again.')
      )
    )
    socket.on('data', (chunk) => {
      for (const message of reader.push(chunk as Buffer)) {
        resolve(toPlain(decode(message.body)))
        socket.destroy()
      }
    })
    socket.write(frameRequest(1, Buffer.from(encode(fromPlain({ ...command, $db: 'admin' })))))
  })
  if (reply.ok !== 1) throw new Error(String(reply.errmsg))
  return reply
}
