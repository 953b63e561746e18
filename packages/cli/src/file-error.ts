/** Name of a system error, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

export function isFullDisk(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '')
}

/** Why a file cannot be read or written, in words that follow a colon. */
export function describeFileError(error: unknown, what: 'read' | 'write'): string {
  const code = codeOf(error)
  switch (code) {
    case undefined:
      return String(error)
    case 'EACCES':
    case 'EPERM':
      return `this user may not ${what} it`
    case 'EDQUOT':
    case 'ENOSPC':
      return 'the disk is full'
    case 'EEXIST':
      return 'it is a file, not a directory'
    case 'EISDIR':
      return 'it is a directory'
    case 'ENOENT':
      return what === 'read' ? 'there is no such file' : 'no directory can be made there'
    case 'ENOTDIR':
      return 'a part of this path is a file'
    case 'EROFS':
      return 'the file system is read-only'
    default:
      return error instanceof Error ? error.message : code
  }
}
