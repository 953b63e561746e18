import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { HeadwaterError } from '@headwater/protocol'

import { codeOf, describeFileError, isFullDisk } from './file-error.ts'

/** The audience of tokens for development. */
export const DEV_AUDIENCE = 'headwater-dev'

/**
 * The secret that signs tokens for development; one for each data directory, made at the first use. Throws
 * `storage-full`, or `bad-settings` where nothing can be written.
 */
export async function ensureDevSecret(dataDir: string): Promise<string> {
  const known = await findDevSecret(dataDir)
  if (known !== undefined) return known
  try {
    await makeDirectory(resolve(dataDir))
    return await createSecret(dataDir)
  } catch (error) {
    if (error instanceof HeadwaterError) throw error
    const reason = describeFileError(error, 'write')
    const remedy = isFullDisk(error) ? 'Free some space, or name' : 'Name'
    throw new HeadwaterError(
      isFullDisk(error) ? 'storage-full' : 'bad-settings',
      `Cannot keep anything in ${dataDir}: ${reason}. ${remedy} another directory with --data-dir.`,
      { cause: error },
    )
  }
}

/** Undefined when none was made, or when a full disk left an empty file. Throws `bad-settings` when it is unreadable. */
export async function findDevSecret(dataDir: string): Promise<string | undefined> {
  try {
    const secret = await readFile(secretPath(dataDir), 'utf8')
    return secret === '' ? undefined : secret
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw new HeadwaterError(
      'bad-settings',
      `Cannot read ${secretPath(dataDir)}: ${describeFileError(error, 'read')}. Run as the user who made it, or name another directory with --data-dir.`,
      { cause: error },
    )
  }
}

export function secretPath(dataDir: string): string {
  return join(dataDir, 'dev-secret')
}

/** The secret gets its name when it is whole: of two that start together, one names its own and the other reads it. */
async function createSecret(dataDir: string): Promise<string> {
  const path = secretPath(dataDir)
  const unfinished = `${path}.${randomBytes(4).toString('hex')}`
  const secret = randomBytes(32).toString('base64url')
  try {
    await writeFile(unfinished, secret, { mode: 0o600, flag: 'wx' })
    try {
      await link(unfinished, path)
    } catch {
      // There is one by now, or an empty one, or this file system has no links.
      const other = await findDevSecret(dataDir)
      if (other !== undefined) return other
      await rename(unfinished, path)
    }
    return secret
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** With those above it. Node's own way of doing that never returns in /proc, where nothing can be made. */
async function makeDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) return
  if (found === undefined && dirname(path) !== path) await makeDirectory(dirname(path))
  await mkdir(path).catch(async (error: unknown) => {
    // Another process was first.
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) throw error
  })
}
