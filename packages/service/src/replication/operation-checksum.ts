import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Checksum, toChecksum } from '@headwater/protocol'

/**
 * Clients add the checksums of operations up and never work one out, so any 32 bits do that are spread well and are
 * the same whenever the same operation is made again. `hash` stands for the data: it is there already.
 */
export function putChecksum(type: string, id: string, subkey: string, hash: string): Checksum {
  return toChecksum(crc32(`put/${type}/${id}/${subkey}/${hash}`))
}

export function removeChecksum(type: string, id: string, subkey: string): Checksum {
  return toChecksum(crc32(`remove/${type}/${id}/${subkey}`))
}

/** Characters kept of a hash: 6 bits each. */
const HASH_CHARACTERS = 16

/** 96 bits of SHA-256: rows whose data has the same hash are the same, whoever made them up. */
export function dataHash(data: string): string {
  return hash('sha256', data, 'base64').slice(0, HASH_CHARACTERS)
}
