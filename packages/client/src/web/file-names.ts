/** Longest name a directory entry may have, in bytes, with room for what a browser may add. Longer names are hashed. */
const ENTRY_BYTES_MAX = 100
const HASH_OFFSET = 0xcbf29ce484222325n
const HASH_PRIME = 0x100000001b3n

/** Everything a browser names after a database file: where it lies, and the Web Lock that guards it. */
export type DatabaseNames = {
  /** Path below the origin's private file system. One database, one directory: its handles are taken as a whole. */
  readonly directory: string
  /** Held by the one worker that has the file open; the file is safe to open exactly as long as this lock is held. */
  readonly ownerLock: string
}

export function namesOfDatabase(dbFilename: string): DatabaseNames {
  const entry = entryName(dbFilename)
  return { directory: `headwater/${entry}`, ownerLock: `hw:${entry}:owner` }
}

/** A file name as one directory entry: no separators, never `.` or `..`, at most 100 bytes, different for different names. */
function entryName(dbFilename: string): string {
  const escaped = `db-${encodeURIComponent(dbFilename.toWellFormed())}`
  if (escaped.length <= ENTRY_BYTES_MAX) return escaped
  return `${escaped.slice(0, ENTRY_BYTES_MAX - 17)}~${hashText(escaped)}`
}

/** FNV-1a, 64 bits, as 16 hexadecimal digits. `crypto.subtle` is missing on pages without a secure context. */
function hashText(text: string): string {
  let hash = HASH_OFFSET
  for (const byte of new TextEncoder().encode(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * HASH_PRIME)
  }
  return hash.toString(16).padStart(16, '0')
}
