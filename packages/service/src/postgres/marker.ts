import type { Session } from './connection.ts'
import { type Lsn, parseLsn } from './lsn.ts'

/** Prefix of our logical messages in the log. */
export const MARKER_PREFIX = 'headwater'

/**
 * A message that we put into the source's log to learn when the stream has passed a moment: everything that was
 * committed before it was emitted comes before it. JSON; `slot` names whose it is, for others read the same log.
 */
export type Marker =
  /** Changes nothing, and is stored and shown all the same: to see whether that works. */
  | { readonly kind: 'canary'; readonly slot: string }
  /** A chunk was read before this. */
  | { readonly kind: 'chunk'; readonly slot: string; readonly chunk: string }
  /** The rows of a table that is gone, or that is copied anew, are removed here. */
  | { readonly kind: 'remove-table'; readonly slot: string; readonly relationOid: number }
  | {
      readonly kind: 'write-checkpoints'
      readonly slot: string
      readonly entries: readonly (readonly [string, string])[]
    }

/** Emits a marker in a transaction of its own, which flushes it. Returns where it stands in the log. */
export async function emitMarker(session: Session, marker: Marker): Promise<Lsn> {
  const [row] = await session.query('SELECT pg_logical_emit_message(true, $1::text, $2::text)::text AS lsn', [
    MARKER_PREFIX,
    JSON.stringify(marker),
  ])
  return parseLsn(row?.['lsn'] ?? '')
}

/** Undefined for a message of somebody else, or one that a later version of ours may have written. */
export function decodeMarker(content: Buffer, slot: string): Marker | undefined {
  let value: unknown
  try {
    value = JSON.parse(content.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('slot' in value) || value.slot !== slot) return undefined
  if (!('kind' in value)) return undefined
  switch (value.kind) {
    case 'canary':
      return { kind: 'canary', slot }
    case 'chunk':
      return 'chunk' in value && typeof value.chunk === 'string'
        ? { kind: 'chunk', slot, chunk: value.chunk }
        : undefined
    case 'remove-table':
      return 'relationOid' in value && typeof value.relationOid === 'number'
        ? { kind: 'remove-table', slot, relationOid: value.relationOid }
        : undefined
    case 'write-checkpoints':
      return 'entries' in value && isEntries(value.entries)
        ? { kind: 'write-checkpoints', slot, entries: value.entries }
        : undefined
    default:
      return undefined
  }
}

function isEntries(value: unknown): value is readonly (readonly [string, string])[] {
  return Array.isArray(value) && value.every(isEntry)
}

function isEntry(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    typeof value[1] === 'string' &&
    /^\d{1,19}$/.test(value[1])
  )
}
