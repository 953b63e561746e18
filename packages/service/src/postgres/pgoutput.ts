import { HeadwaterError } from '@headwater/protocol'
import type { TextRow } from '@headwater/sync-config'
import { type Lsn, toLsn } from './lsn.ts'
import { POSTGRES_EPOCH_MS } from './stream-protocol.ts'

/** How a table tells its rows apart in the log: primary key, nothing, every column, or a unique index. */
export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index'

export type Relation = {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly identity: ReplicaIdentity
  readonly columns: readonly RelationColumn[]
}

export type RelationColumn = {
  readonly name: string
  readonly isKey: boolean
  readonly typeOid: number
  readonly typeModifier: number
}

/** One message of the `pgoutput` plugin, protocol version 1. Messages of one transaction arrive together, at its commit. */
export type WalMessage =
  | { readonly kind: 'begin'; readonly commitLsn: Lsn; readonly committedAtMs: number; readonly xid: number }
  | { readonly kind: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn; readonly committedAtMs: number }
  | { readonly kind: 'origin'; readonly lsn: Lsn; readonly name: string }
  | { readonly kind: 'relation'; readonly relation: Relation }
  | { readonly kind: 'type'; readonly oid: number; readonly schema: string; readonly name: string }
  | RowMessage
  | { readonly kind: 'truncate'; readonly relationOids: readonly number[] }
  | {
      readonly kind: 'message'
      readonly isTransactional: boolean
      readonly lsn: Lsn
      readonly prefix: string
      /** A view: copy it before reading on. */
      readonly content: Buffer
    }
  /** A change of a relation that nobody reads; not decoded further. */
  | { readonly kind: 'skipped' }

export type RowMessage = InsertMessage | UpdateMessage | DeleteMessage

export type InsertMessage = {
  readonly kind: 'insert'
  readonly relationOid: number
  readonly row: TextRow
  /** Bytes of the row's values in the message, unread columns included. */
  readonly rowBytes: number
}

export type UpdateMessage = {
  readonly kind: 'update'
  readonly relationOid: number
  /** The old identity (other columns null) when it changed, the whole old row under FULL, else undefined. */
  readonly old: TextRow | undefined
  readonly oldKind: 'key' | 'full' | undefined
  readonly row: TextRow
  readonly rowBytes: number
}

export type DeleteMessage = {
  readonly kind: 'delete'
  readonly relationOid: number
  readonly old: TextRow
  readonly oldKind: 'key' | 'full'
}

/**
 * By relation oid, which columns to decode, by position; others stay undefined, as unchanged TOAST values do.
 * A relation that is not in the map is skipped by its length.
 */
export type NeededColumns = ReadonlyMap<number, readonly boolean[]>

const IDENTITIES: { readonly [letter: string]: ReplicaIdentity } = {
  d: 'default',
  n: 'nothing',
  f: 'full',
  i: 'index',
}

const SKIPPED: WalMessage = { kind: 'skipped' }

/**
 * Decodes the message that fills `bytes` from `start` to `end`. Throws `bad-wal-message`.
 * Source: PostgreSQL manual, "Logical Replication Message Formats".
 */
export function decodeWalMessage(bytes: Buffer, start: number, end: number, needed: NeededColumns): WalMessage {
  const tag = bytes[start]
  switch (tag) {
    case 0x49: // I
      return decodeInsert(bytes, start, end, needed)
    case 0x55: // U
      return decodeUpdate(bytes, start, end, needed)
    case 0x44: // D
      return decodeDelete(bytes, start, end, needed)
    case 0x42: // B
      return {
        kind: 'begin',
        commitLsn: toLsn(bytes.readBigUInt64BE(start + 1)),
        committedAtMs: readTimestamp(bytes, start + 9),
        xid: bytes.readUInt32BE(start + 17),
      }
    case 0x43: // C
      return {
        kind: 'commit',
        commitLsn: toLsn(bytes.readBigUInt64BE(start + 2)),
        endLsn: toLsn(bytes.readBigUInt64BE(start + 10)),
        committedAtMs: readTimestamp(bytes, start + 18),
      }
    case 0x52: // R
      return { kind: 'relation', relation: decodeRelation(bytes, start) }
    case 0x59: // Y
      return decodeType(bytes, start)
    case 0x4d: // M
      return decodeLogicalMessage(bytes, start)
    case 0x54: // T
      return decodeTruncate(bytes, start)
    case 0x4f: // O
      return {
        kind: 'origin',
        lsn: toLsn(bytes.readBigUInt64BE(start + 1)),
        name: readText(bytes, start + 9).text,
      }
    default:
      throw badMessage(`unknown message type 0x${(tag ?? 0).toString(16)}`)
  }
}

/**
 *     I  oid:int32  'N'  tuple
 */
function decodeInsert(bytes: Buffer, start: number, end: number, needed: NeededColumns): WalMessage {
  const relationOid = bytes.readUInt32BE(start + 1)
  const columns = needed.get(relationOid)
  if (columns === undefined) return SKIPPED
  const row = decodeTuple(bytes, start + 6, end, columns)
  return { kind: 'insert', relationOid, row, rowBytes: end - start - 6 }
}

/**
 *     U  oid:int32  ['K' tuple | 'O' tuple]  'N'  tuple
 */
function decodeUpdate(bytes: Buffer, start: number, end: number, needed: NeededColumns): WalMessage {
  const relationOid = bytes.readUInt32BE(start + 1)
  const columns = needed.get(relationOid)
  if (columns === undefined) return SKIPPED
  const tag = bytes[start + 5]
  if (tag === 0x4e) {
    const row = decodeTuple(bytes, start + 6, end, columns)
    return { kind: 'update', relationOid, old: undefined, oldKind: undefined, row, rowBytes: end - start - 6 }
  }
  const newTag = endOfTuple(bytes, start + 6, end)
  if (bytes[newTag] !== 0x4e) throw badMessage('an update without its new row')
  return {
    kind: 'update',
    relationOid,
    old: decodeTuple(bytes, start + 6, newTag, columns),
    oldKind: tag === 0x4b ? 'key' : 'full',
    row: decodeTuple(bytes, newTag + 1, end, columns),
    rowBytes: end - newTag - 1,
  }
}

/**
 *     D  oid:int32  'K' | 'O'  tuple
 */
function decodeDelete(bytes: Buffer, start: number, end: number, needed: NeededColumns): WalMessage {
  const relationOid = bytes.readUInt32BE(start + 1)
  const columns = needed.get(relationOid)
  if (columns === undefined) return SKIPPED
  return {
    kind: 'delete',
    relationOid,
    old: decodeTuple(bytes, start + 6, end, columns),
    oldKind: bytes[start + 5] === 0x4b ? 'key' : 'full',
  }
}

/** Above this length a column is decoded by itself: the bytes of its length are then not ASCII. */
const SHORT_COLUMN_BYTES = 128

/**
 *     columns:int16, then for each column
 *     'n'                      NULL
 *     'u'                      unchanged TOAST: the value is not in the message
 *     't'  length:int32  text
 *
 * When the whole tuple is ASCII it is turned into one string and cut, which costs a third of a string a column.
 */
function decodeTuple(bytes: Buffer, start: number, end: number, needed: readonly boolean[]): TextRow {
  const count = (byteAt(bytes, start) << 8) | byteAt(bytes, start + 1)
  const row: (string | null | undefined)[] = []
  const whole = isPlainTuple(bytes, start, end, count) ? bytes.toString('utf8', start, end) : undefined
  const isAscii = whole !== undefined && whole.length === end - start
  let at = start + 2
  for (let column = 0; column < count; column += 1) {
    const kind = bytes[at]
    at += 1
    if (kind === 0x74) {
      const length = readInt32(bytes, at)
      at += 4
      if (needed[column] !== true) row.push(undefined)
      else if (isAscii) row.push(whole.substring(at - start, at - start + length))
      else row.push(bytes.toString('utf8', at, at + length))
      at += length
    } else if (kind === 0x6e) {
      row.push(null)
    } else if (kind === 0x75) {
      row.push(undefined)
    } else {
      throw badMessage(`a column of unknown kind 0x${(kind ?? 0).toString(16)}`)
    }
  }
  if (at !== end) throw badMessage('a row whose length does not add up')
  return row
}

/** True when no column is long enough for a non-ASCII byte in its length. */
function isPlainTuple(bytes: Buffer, start: number, end: number, count: number): boolean {
  let at = start + 2
  for (let column = 0; column < count && at < end; column += 1) {
    if (bytes[at] === 0x74) {
      const length = readInt32(bytes, at + 1)
      if (length >= SHORT_COLUMN_BYTES) return false
      at += 5 + length
    } else {
      at += 1
    }
  }
  return true
}

function endOfTuple(bytes: Buffer, start: number, end: number): number {
  const count = (byteAt(bytes, start) << 8) | byteAt(bytes, start + 1)
  let at = start + 2
  for (let column = 0; column < count && at < end; column += 1) {
    at += bytes[at] === 0x74 ? 5 + readInt32(bytes, at + 1) : 1
  }
  return at
}

/**
 *     R  oid:int32  schema  name  identity:'d'|'n'|'f'|'i'  columns:int16
 *     then for each column  flags:int8 (1: part of the key)  name  type:int32  modifier:int32
 */
function decodeRelation(bytes: Buffer, start: number): Relation {
  const schema = readText(bytes, start + 5)
  const name = readText(bytes, schema.next)
  const identity = IDENTITIES[String.fromCharCode(byteAt(bytes, name.next))]
  if (identity === undefined) throw badMessage('an unknown replica identity')
  const count = bytes.readUInt16BE(name.next + 1)
  const columns: RelationColumn[] = []
  let at = name.next + 3
  for (let index = 0; index < count; index += 1) {
    const column = readText(bytes, at + 1)
    columns.push({
      name: column.text,
      isKey: (byteAt(bytes, at) & 1) === 1,
      typeOid: bytes.readUInt32BE(column.next),
      typeModifier: bytes.readInt32BE(column.next + 4),
    })
    at = column.next + 8
  }
  // An empty name stands for pg_catalog.
  return {
    oid: bytes.readUInt32BE(start + 1),
    schema: schema.text === '' ? 'pg_catalog' : schema.text,
    name: name.text,
    identity,
    columns,
  }
}

function decodeType(bytes: Buffer, start: number): WalMessage {
  const schema = readText(bytes, start + 5)
  return {
    kind: 'type',
    oid: bytes.readUInt32BE(start + 1),
    schema: schema.text === '' ? 'pg_catalog' : schema.text,
    name: readText(bytes, schema.next).text,
  }
}

/**
 *     M  flags:int8 (1: transactional)  lsn:int64  prefix  length:int32  content
 */
function decodeLogicalMessage(bytes: Buffer, start: number): WalMessage {
  const prefix = readText(bytes, start + 10)
  const length = bytes.readUInt32BE(prefix.next)
  return {
    kind: 'message',
    isTransactional: (byteAt(bytes, start + 1) & 1) === 1,
    lsn: toLsn(bytes.readBigUInt64BE(start + 2)),
    prefix: prefix.text,
    content: bytes.subarray(prefix.next + 4, prefix.next + 4 + length),
  }
}

/**
 *     T  relations:int32  flags:int8 (1 CASCADE, 2 RESTART IDENTITY)  oid:int32 …
 */
function decodeTruncate(bytes: Buffer, start: number): WalMessage {
  const count = bytes.readUInt32BE(start + 1)
  const relationOids: number[] = []
  for (let index = 0; index < count; index += 1) relationOids.push(bytes.readUInt32BE(start + 6 + 4 * index))
  return { kind: 'truncate', relationOids }
}

function readText(bytes: Buffer, start: number): { readonly text: string; readonly next: number } {
  const end = bytes.indexOf(0, start)
  if (end < 0) throw badMessage('a text without its end')
  return { text: bytes.toString('utf8', start, end), next: end + 1 }
}

function readTimestamp(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64BE(at) / 1000n) + POSTGRES_EPOCH_MS
}

function readInt32(bytes: Buffer, at: number): number {
  return (
    (byteAt(bytes, at) << 24) | (byteAt(bytes, at + 1) << 16) | (byteAt(bytes, at + 2) << 8) | byteAt(bytes, at + 3)
  )
}

function byteAt(bytes: Buffer, at: number): number {
  return bytes[at] ?? 0
}

function badMessage(reason: string): HeadwaterError {
  return new HeadwaterError('bad-wal-message', `Cannot decode a message of the replication stream: ${reason}.`)
}
