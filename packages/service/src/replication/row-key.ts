import { hash } from 'node:crypto'
import type { TextRow } from '@headwater/sync-config'
import type { RowKey } from '../storage/delta.ts'

/** How the rows of one table are told apart. */
export type KeyShape = {
  /** What every key of the table starts with: `<relation oid>:`. */
  readonly prefix: string
  /** Columns, by position. */
  readonly positions: readonly number[]
  /** May a key column be NULL? Only where the whole row is the key. */
  readonly isWholeRow: boolean
}

/** Longer identities are replaced by a hash, which starts with `#`. */
const IDENTITY_MAX_CHARACTERS = 120

export function rowKeyPrefix(relationOid: number): string {
  return `${relationOid}:`
}

/**
 * The key of a row: `16384:` and its identity. One column: its text. Several: each behind its length, `-` for NULL.
 * Equal keys exactly for rows with equal identity. Undefined when the row does not carry every key column.
 */
export function toRowKey(shape: KeyShape, row: TextRow): RowKey | undefined {
  const identity = readIdentity(shape, row)
  if (identity === undefined) return undefined
  const isPlain = identity.length <= IDENTITY_MAX_CHARACTERS && !identity.startsWith('#')
  return (shape.prefix + (isPlain ? identity : `#${hash('sha256', identity, 'base64url').slice(0, 32)}`)) as RowKey
}

function readIdentity(shape: KeyShape, row: TextRow): string | undefined {
  const [first] = shape.positions
  if (!shape.isWholeRow && first !== undefined && shape.positions.length === 1) return row[first] ?? undefined
  let identity = ''
  for (const position of shape.positions) {
    const value = row[position]
    if (value === undefined) return undefined
    identity += value === null ? '-' : `${value.length}:${value}`
  }
  return identity
}
