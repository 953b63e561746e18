import { hash } from 'node:crypto'
import { type Checksum, toChecksum } from '@headwater/protocol'

/**
 * Clients add the checksums of operations up and never work one out, so any 32 bits do that are spread well and are
 * the same whenever the same operation is made again. `hash` stands for the data: it is there already.
 */
export function putChecksum(type: string, id: string, subkey: string, hash: string): Checksum {
  return finish(mix(mix(mix(mix(PUT, type), id), subkey), hash))
}

export function removeChecksum(type: string, id: string, subkey: string): Checksum {
  return finish(mix(mix(mix(REMOVE, type), id), subkey))
}

const PUT = 0x811c9dc5
const REMOVE = 0x2f0b4c47

/** FNV-1a over the characters, and over one beyond all characters, so that it matters where a text ends. */
function mix(sum: number, text: string): number {
  let mixed = sum
  for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), FNV_PRIME)
  return Math.imul(mixed ^ TEXT_END, FNV_PRIME)
}

const FNV_PRIME = 0x01000193
const TEXT_END = 0x10000

/** The last step of MurmurHash3: every bit of the sum changes about half of the result. */
function finish(sum: number): Checksum {
  let mixed = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return toChecksum(mixed ^ (mixed >>> 16))
}

/** Characters kept of a hash: 4 bits each. */
const HASH_CHARACTERS = 24

/** 96 bits of SHA-256: rows whose data has the same hash are the same, whoever made them up. */
export function dataHash(data: string): string {
  return hash('sha256', data, 'hex').slice(0, HASH_CHARACTERS)
}
