import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { HeadwaterError } from '@headwater/protocol'

/**
 * Takes the storage directory for this process. The lock is one that SQLite holds on a small file of its own, so the
 * operating system lets go of it when the process dies in any way; process ids, which containers hand out again and
 * again, are only for the message. Throws `storage-locked`.
 */
export function lockDirectory(directory: string): Disposable {
  const pidPath = join(directory, 'lock.pid')
  const lock = new DatabaseSync(join(directory, 'lock.sqlite'), { timeout: 0 })
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (!isBusy(error)) throw error
    throw new HeadwaterError(
      'storage-locked',
      `Cannot open the storage in ${directory}: process ${readPid(pidPath)} is using it. Stop that process, or choose another directory`,
      { cause: error },
    )
  }
  notePid(pidPath)
  return {
    [Symbol.dispose]: () => {
      rmSync(pidPath, { force: true })
      lock.close()
    },
  }
}

/** The lock holds without it, and on a full disk what is stored can still be served. */
function notePid(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`)
  } catch {
    // The message to a second process then names none.
  }
}

const SQLITE_BUSY = 5

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}

function readPid(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || '(unknown)'
  } catch {
    return '(unknown)'
  }
}
