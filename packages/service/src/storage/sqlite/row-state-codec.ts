import type { LookupKey, LookupOutputs } from '@headwater/sync-config'
import type { Membership, RowKey, RowState, StoredLookup } from '../delta.ts'
import { ByteReader, type ByteWriter } from './bytes.ts'

/** Numbers for names that repeat in millions of row states. */
export type NameTable<Name extends string> = {
  readonly idOf: (name: Name) => number
  readonly nameOf: (id: number) => Name
}

export type RowStateNames = { readonly buckets: NameTable<Membership['bucket']>; readonly types: NameTable<string> }

/**
 * A row state in few bytes: usually about 15 where keys and hashes are usual ones.
 *
 *     varint  memberships; each: varint bucket number, varint type number, id, hash
 *     varint  lookup entries; each: key and outputs, as text behind its length
 *     varint  toasted columns; each: name and value, as text behind its length
 *
 *     id    varint 0 and text behind its length; or varint n+1 and varint m: m characters of the row key from n
 *     hash  varint 2n and n bytes, when the text is lower-case hexadecimal; or varint 2n+1 and n bytes of text
 */
export function encodeRowState(writer: ByteWriter, key: RowKey, state: RowState, names: RowStateNames): void {
  writer.varint(state.memberships.length)
  for (const membership of state.memberships) {
    writer.varint(names.buckets.idOf(membership.bucket))
    writer.varint(names.types.idOf(membership.type))
    encodeId(writer, key, membership.id)
    encodeHash(writer, membership.dataHash)
  }
  writer.varint(state.lookups.length)
  for (const lookup of state.lookups) {
    writer.prefixedText(lookup.key)
    writer.prefixedText(lookup.outputs)
  }
  const toasted = Object.entries(state.toasted)
  writer.varint(toasted.length)
  for (const [column, value] of toasted) {
    writer.prefixedText(column)
    writer.prefixedText(value)
  }
}

export function decodeRowState(bytes: Uint8Array, key: RowKey, names: RowStateNames): RowState {
  const reader = new ByteReader(bytes)
  const memberships: Membership[] = []
  for (let left = reader.varint(); left > 0; left--) {
    const bucket = names.buckets.nameOf(reader.varint())
    const type = names.types.nameOf(reader.varint())
    memberships.push({ bucket, type, id: decodeId(reader, key), dataHash: decodeHash(reader) })
  }
  const lookups: StoredLookup[] = []
  for (let left = reader.varint(); left > 0; left--) {
    const lookupKey = reader.prefixedText() as LookupKey
    lookups.push({ key: lookupKey, outputs: reader.prefixedText() as LookupOutputs })
  }
  const toasted: Record<string, string> = {}
  for (let left = reader.varint(); left > 0; left--) {
    const column = reader.prefixedText()
    toasted[column] = reader.prefixedText()
  }
  return { memberships, lookups, toasted }
}

function encodeId(writer: ByteWriter, key: RowKey, id: string): void {
  const at = key.indexOf(id)
  if (at === -1) {
    writer.varint(0)
    writer.prefixedText(id)
    return
  }
  writer.varint(at + 1)
  writer.varint(id.length)
}

function decodeId(reader: ByteReader, key: RowKey): string {
  const place = reader.varint()
  if (place === 0) return reader.prefixedText()
  return key.slice(place - 1, place - 1 + reader.varint())
}

function encodeHash(writer: ByteWriter, hash: string): void {
  if (encodeHex(writer, hash)) return
  writer.varint(Buffer.byteLength(hash) * 2 + 1)
  writer.text(hash)
}

/** False, and nothing written, when the text is not lower-case hexadecimal. */
function encodeHex(writer: ByteWriter, hash: string): boolean {
  const { length } = hash
  if (length === 0 || length % 2 === 1) return false
  const startedAt = writer.length
  writer.varint(length)
  for (let at = 0; at < length; at += 2) {
    const byte = (hexDigit(hash, at) << 4) | hexDigit(hash, at + 1)
    if (byte < 0) {
      writer.length = startedAt
      return false
    }
    writer.byte(byte)
  }
  return true
}

function decodeHash(reader: ByteReader): string {
  const head = reader.varint()
  const bytes = head >>> 1
  if (head % 2 === 1) return reader.text(bytes)
  const raw = reader.raw(bytes)
  let hash = ''
  for (const byte of raw) hash += HEX_PAIRS[byte] ?? ''
  return hash
}

const HEX_PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** -1 for what is none. */
function hexDigit(text: string, at: number): number {
  return HEX_DIGITS[text.charCodeAt(at)] ?? -1
}

const HEX_DIGITS = new Int8Array(128).fill(-1)
for (let digit = 0; digit < 16; digit++) HEX_DIGITS[digit.toString(16).charCodeAt(0)] = digit
