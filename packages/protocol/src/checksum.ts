import type { Branded } from './branded.ts'

/** Unsigned 32-bit sum, 0 … 4294967295; addition wraps modulo 2^32. Bucket sums are signed on the wire. */
export type Checksum = Branded<number, 'Checksum'>

export const CHECKSUM_ZERO = 0 as Checksum

/** Any integer, signed or unsigned, to its unsigned 32-bit form. */
export function toChecksum(value: number): Checksum {
  return (value >>> 0) as Checksum
}

export function addChecksums(a: Checksum, b: Checksum): Checksum {
  return ((a + b) >>> 0) as Checksum
}

export function subtractChecksums(a: Checksum, b: Checksum): Checksum {
  return ((a - b) >>> 0) as Checksum
}

/** The form for bucket entries of checkpoint lines: -2147483648 … 2147483647, which old clients insist on. */
export function toSignedChecksum(value: Checksum): number {
  return value | 0
}
