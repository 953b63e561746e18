import { type Branded, HeadwaterError } from '@headwater/protocol'

/** A byte position in Postgres' write-ahead log: unsigned, 64 bits. 0 stands for "none". */
export type Lsn = Branded<bigint, 'Lsn'>

export const LSN_ZERO = 0n as Lsn

const LSN_TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i

export function toLsn(value: bigint): Lsn {
  return value as Lsn
}

/** Reads Postgres' own notation, two hexadecimal halves: `16/B374D848`. Throws `bad-lsn`. */
export function parseLsn(text: string): Lsn {
  const match = LSN_TEXT.exec(text)
  if (match === null) {
    throw new HeadwaterError('bad-lsn', `Cannot read a log position: expected "hex/hex", got ${JSON.stringify(text)}`)
  }
  const [, high, low] = match
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Lsn
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffff_ffffn).toString(16)}`.toUpperCase()
}
