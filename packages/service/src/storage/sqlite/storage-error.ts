import { HeadwaterError } from '@headwater/protocol'

/** Primary result codes of SQLite are in the low byte of the extended ones. */
const PRIMARY_CODE = 0xff
const SQLITE_PERM = 3
const SQLITE_READONLY = 8
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
/** The file that readers and the writer share cannot be made larger. */
const SQLITE_IOERR_SHMSIZE = 4874

/** Errors of SQLite and of the file system as ours; others as they are. `doing` completes "Cannot …". */
export function translateStorageError(error: unknown, doing: string): unknown {
  const failure = readFailure(error)
  if (failure === undefined) return error
  if (failure.isFull) {
    return new HeadwaterError(
      'storage-full',
      `Cannot ${doing}: the disk of the storage directory is full. Free some space; work goes on by itself, nothing is lost`,
      { cause: error },
    )
  }
  return new HeadwaterError('storage-failed', `Cannot ${doing}: ${failure.said}`, { cause: error })
}

/** The same for the start, when nothing goes on by itself. `path` is the storage directory. */
export function translateOpenError(error: unknown, path: string): unknown {
  const failure = readFailure(error)
  if (failure === undefined) return error
  const elsewhere = 'another directory with --storage (storage.path)'
  if (failure.isFull) {
    return new HeadwaterError(
      'storage-full',
      `Cannot open the storage in ${path}: the disk is full. Free some space and start again, or give ${elsewhere}; nothing that is stored is lost`,
      { cause: error },
    )
  }
  const remedy = OPEN_REMEDIES[failure.code]?.(elsewhere) ?? `Check the disk, or give ${elsewhere}`
  return new HeadwaterError('storage-failed', `Cannot open the storage in ${path}: ${failure.said}. ${remedy}`, {
    cause: error,
  })
}

const letWrite = (elsewhere: string): string =>
  `Let the user that runs Headwater write there, and see that the disk has space; or give ${elsewhere}`
const noDirectory = (elsewhere: string): string =>
  `Only a directory can hold the storage: move the file away, or give ${elsewhere}`
const giveAnother = (elsewhere: string): string => `Give ${elsewhere}`

const OPEN_REMEDIES: { readonly [code: string]: ((elsewhere: string) => string) | undefined } = {
  EACCES: letWrite,
  EEXIST: noDirectory,
  ENOENT: giveAnother,
  ENOTDIR: noDirectory,
  EPERM: letWrite,
  EROFS: giveAnother,
  [SQLITE_CANTOPEN]: letWrite,
  [SQLITE_PERM]: letWrite,
  [SQLITE_READONLY]: letWrite,
}

type Failure = {
  readonly isFull: boolean
  /** Name of the system's error, or primary code of SQLite. */
  readonly code: string | number
  /** In words, for a sentence. */
  readonly said: string
}

function readFailure(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined
  if ('errcode' in error && typeof error.errcode === 'number') {
    const code = error.errcode & PRIMARY_CODE
    return {
      isFull: code === SQLITE_FULL || error.errcode === SQLITE_IOERR_SHMSIZE,
      code,
      said: `SQLite says "${error.message}" (code ${error.errcode})`,
    }
  }
  if (!('syscall' in error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const words = SYSTEM_WORDS[error.code]
  return {
    isFull: error.code === 'ENOSPC' || error.code === 'EDQUOT',
    code: error.code,
    said: words === undefined ? error.message : `${words} (${error.code})`,
  }
}

const SYSTEM_WORDS: { readonly [code: string]: string | undefined } = {
  EACCES: 'this user may not write there',
  EEXIST: 'there is a file at this path',
  EIO: 'the disk has a fault',
  ENOENT: 'no directory can be made there',
  ENOTDIR: 'a part of this path is a file',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
}
